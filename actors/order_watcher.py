"""Step 6: reads the order book each second, tells OrderRepo what it says, and passes positions to guard and risk."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from actors.cast import Cast
from core.calendar import trading_day
from core.messages import (
    Alert,
    Book,
    BookUnreadable,
    BrokerReadable,
    OpenOrders,
    OpenOrdersWanted,
    OrderBookRead,
    OrderSettled,
    PositionsRead,
    PositionsWanted,
    ReadFailure,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordAbsent,
    RecordReport,
    RecordUnknown,
    Severity,
    Tick,
    TradeBookRead,
    WatchOrder,
)
from core.order import Fill, Order
from core.reports import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.runtime import Actor, Letter, Runtime

__all__ = ["OrderWatcher"]

_POLL = "poll"
# A read that has not answered for so long is asked for again: its answer was lost with a failed handler.
_LOST_READ_S = 60.0
# Successful reads that must miss an order before its absence is believed (scenario A2).
_PROOF_READS = 2
_OUR_TAG = re.compile(r"^\d{6}-[0-9a-z]{5}-\d+$")


@dataclass(slots=True)
class _Watch:
    """One order that is, or may be, at the broker."""

    order: Order
    letter: Letter  # the last word of OrderRepo about it: what is told of the order later is an effect of that
    unknown_since: datetime | None = None
    missed: int = 0
    last: BrokerOrderReport | None = None
    fruitless: int = 0  # trade book reads in a row that did not explain what the order book says was filled


class OrderWatcher(Actor):
    """Ticks itself; matches book rows to orders by the broker's number, or by client tag while that is not known."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        cast: Cast,
        zone: ZoneInfo,
        interval_s: float = 1.0,
        positions_interval_s: float = 5.0,
        absence_grace_s: float = 10.0,
        unreadable_alarm_after: int = 5,
    ) -> None:
        super().__init__(runtime, name)
        self._cast = cast
        self._zone = zone
        self._interval_s = interval_s
        self._positions_interval_s = positions_interval_s
        self._grace = timedelta(seconds=absence_grace_s)
        self._alarm_after = unreadable_alarm_after
        self._watched: dict[str, _Watch] = {}
        # Settled today: a fill may still come after the end of an order (scenario B12).
        self._settled: dict[str, _Watch] = {}
        self._numbers: dict[str, str] = {}
        self._awaiting: dict[Book, float] = {}
        self._explaining: dict[str, BrokerOrderReport] = {}
        self._failures: dict[Book, int] = defaultdict(int)
        self._read_once: set[Book] = set()
        self._readable: bool | None = None
        self._positions: PositionsRead | None = None
        self._positions_due = 0.0
        self._known_strangers: set[str] = set()
        self._known_odd: set[tuple[str, str]] = set()
        self._restarted = True

    def started(self) -> None:
        self._ask_for_state()
        self.every(_POLL, self._interval_s)

    def rebuild(self) -> None:
        self._awaiting.clear()
        self._explaining.clear()
        self._ask_for_state()

    def _ask_for_state(self) -> None:
        self.tell(self._cast.order_repo, OpenOrdersWanted())
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(OpenOrders, dropping=(WatchOrder, OrderSettled))

    def on_open_orders(self, message: OpenOrders) -> None:
        self._watched.clear()
        for order in message.orders:
            self._watch(order)
            if self._restarted and order.broker_order_id is None and not order.unknown:
                # The process ended between marking and recording: the broker may have it (scenario A1) or not (A2).
                reason = "the service was restarted before the broker's answer was recorded"
                self.tell(self._cast.order_repo, RecordUnknown(order.command_id, reason))
        self._restarted = False

    # What to watch

    def on_watch_order(self, message: WatchOrder) -> None:
        self._watch(message.order)

    def _watch(self, order: Order) -> None:
        watch = self._watched.setdefault(order.command_id, _Watch(order, self.letter))
        watch.order, watch.letter = order, self.letter
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.command_id
            watch.unknown_since = None
            watch.missed = 0
        elif order.unknown and watch.unknown_since is None:
            watch.unknown_since = self.clock.now()

    def on_order_settled(self, message: OrderSettled) -> None:
        order = message.order
        watch = self._watched.pop(order.command_id, None)
        if order.broker_order_id is None:
            return
        watch = watch or self._settled.get(order.command_id) or _Watch(order, self.letter)
        watch.order, watch.letter = order, self.letter
        self._settled[order.command_id] = watch
        self._numbers[order.broker_order_id] = order.command_id
        if order.filled_quantity:
            self._ask(Book.POSITIONS)

    # The clock

    def on_tick(self, _: Tick) -> None:
        self._forget_other_days()
        self._ask(Book.ORDERS)
        if self.clock.monotonic() >= self._positions_due:
            self._ask(Book.POSITIONS)

    def _ask(self, book: Book) -> None:
        """Ask for a book unless its answer is under way."""
        now = self.clock.monotonic()
        if now - self._awaiting.get(book, -_LOST_READ_S) < _LOST_READ_S:
            return
        self._awaiting[book] = now
        match book:
            case Book.ORDERS:
                self.tell(self._cast.broker_proxy, ReadOrderBook())
            case Book.TRADES:
                self.tell(self._cast.broker_proxy, ReadTradeBook())
            case Book.POSITIONS:
                self._positions_due = now + self._positions_interval_s
                self.tell(self._cast.broker_proxy, ReadPositions())

    def _forget_other_days(self) -> None:
        today = trading_day(self.clock.now(), self._zone)
        for command_id in [c for c, watch in self._settled.items() if watch.order.trading_day < today]:
            watch = self._settled.pop(command_id)
            self._numbers.pop(watch.order.broker_order_id or "", None)

    # The order book

    def on_order_book_read(self, message: OrderBookRead) -> None:
        self._note_read(Book.ORDERS)
        seen = set()
        for report in message.reports:
            watch = self._find(report)
            if watch is None:
                self._note_stranger(report)
                continue
            seen.add(watch.order.command_id)
            self._compare(watch, report)
        for command_id, watch in self._watched.items():
            if command_id not in seen:
                self._note_missing(watch, message.asked_at)
        if self._explaining:
            self._ask(Book.TRADES)

    def _find(self, report: BrokerOrderReport) -> _Watch | None:
        command_id = self._numbers.get(report.broker_order_id) or report.client_tag or ""
        watch = self._watched.get(command_id) or self._settled.get(command_id)
        if watch is None:
            return None
        number = watch.order.broker_order_id
        if number is not None and number != report.broker_order_id:
            self._note_second_order(watch.order, report)
            return None
        return watch

    def _compare(self, watch: _Watch, report: BrokerOrderReport) -> None:
        order = watch.order
        watch.missed = 0
        if report.status is BrokerStatus.UNKNOWN:
            self._note_odd_status(order, report)
        if self._needs_trades(order, report):
            self._explaining[order.command_id] = report
        elif report != watch.last or order.broker_order_id is None or (report.status.is_final and not order.is_final):
            self._record(watch, RecordReport(order.command_id, report, ()))
        watch.last = report

    def _needs_trades(self, order: Order, report: BrokerOrderReport) -> bool:
        """Whether the trade book must say what was filled: the order book's figures are totals, or absent (B4)."""
        filled = report.filled_quantity
        if filled is not None and filled > order.filled_quantity:
            return True
        if order.is_final:
            return False
        return report.status is BrokerStatus.COMPLETE or (
            report.status in (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED) and filled is None
        )

    def on_trade_book_read(self, message: TradeBookRead) -> None:
        self._note_read(Book.TRADES)
        trades: dict[str, list[BrokerTrade]] = defaultdict(list)
        for trade in message.trades:
            trades[trade.broker_order_id].append(trade)
        explaining, self._explaining = self._explaining, {}
        for command_id, report in explaining.items():
            watch = self._watched.get(command_id) or self._settled.get(command_id)
            if watch is None:
                continue
            fills = tuple(
                Fill(trade.broker_trade_id, trade.quantity, trade.price, trade.at or message.read_at)
                for trade in trades[report.broker_order_id]
            )
            self._note_explained(watch, report, sum(fill.quantity for fill in fills))
            self._record(watch, RecordReport(command_id, report, fills))

    def _record(self, watch: _Watch, message: RecordReport | RecordAbsent) -> None:
        """As an effect of the letters of the order itself, not of the tick that brought the book (law 10)."""
        with self.answering(watch.letter):
            self.tell(self._cast.order_repo, message)

    def _note_explained(self, watch: _Watch, report: BrokerOrderReport, traded: int) -> None:
        expected = report.filled_quantity
        if expected is None:
            expected = watch.order.quantity if report.status is BrokerStatus.COMPLETE else 0
        watch.fruitless = watch.fruitless + 1 if traded < expected else 0
        if watch.fruitless == self._alarm_after:
            command_id = watch.order.command_id
            text = f"{command_id}: the order book says {expected} filled, the trade book shows {traded}"
            self._alert("trades_missing", text, command_id)

    def _note_missing(self, watch: _Watch, asked_at: datetime) -> None:
        """A successful read did not show this order. A verdict needs the grace period and more than one (A2, B17)."""
        order = watch.order
        if order.broker_order_id is not None:
            self._note_numbered_missing(watch, asked_at)
            return
        if watch.unknown_since is None or asked_at < watch.unknown_since + self._grace:
            return
        watch.missed += 1
        if watch.missed >= _PROOF_READS:
            waited = (asked_at - watch.unknown_since).total_seconds()
            reason = (
                f"{order.reason or 'outcome unknown'}; {watch.missed} successful reads of the order book, "
                f"the last {waited:.0f} s after sending, do not show it"
            )
            self._record(watch, RecordAbsent(order.command_id, reason))

    def _note_numbered_missing(self, watch: _Watch, asked_at: datetime) -> None:
        order = watch.order
        watch.missed += 1
        if order.trading_day < trading_day(asked_at, self._zone):
            # Another day's book cannot show it: a DAY order ended with its trading day (scenario B7).
            if watch.missed >= _PROOF_READS:
                self._report_expired(watch)
        elif watch.missed == self._alarm_after:
            text = f"{order.command_id}: the broker's book does not show order {order.broker_order_id}"
            self._alert("order_missing", text, order.command_id)

    def _report_expired(self, watch: _Watch) -> None:
        order = watch.order
        report = BrokerOrderReport(
            broker_order_id=order.broker_order_id or "",
            client_tag=order.client_tag,
            exchange=order.exchange,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            status=BrokerStatus.EXPIRED,
            raw_status="",
            filled_quantity=order.filled_quantity,
            reason=f"its trading day {order.trading_day} is over and today's book does not show it",
        )
        self._record(watch, RecordReport(order.command_id, report, ()))

    # Positions

    def on_positions_read(self, message: PositionsRead) -> None:
        self._positions = message
        self._note_read(Book.POSITIONS)
        self.tell(self._cast.execution_guard, message)
        self.tell(self._cast.risk_manager, message)

    def on_positions_wanted(self, _: PositionsWanted) -> None:
        self.reply(
            self._positions
            or BookUnreadable(Book.POSITIONS, ReadFailure.UNREADABLE, "the position book has not been read yet")
        )

    # Whether the broker can be read

    def on_book_unreadable(self, message: BookUnreadable) -> None:
        """States stay as they are: a failed read says nothing about any order (scenario B5)."""
        self._awaiting.pop(message.book, None)
        self._failures[message.book] += 1
        if self._failures[message.book] == self._alarm_after:
            self._alert("unreadable", f"{message.book} unreadable {self._alarm_after} times: {message.reason}")
            self._tell_readable(False, f"the {message.book} cannot be read: {message.reason}")

    def _note_read(self, book: Book) -> None:
        self._awaiting.pop(book, None)
        self._failures[book] = 0
        self._read_once.add(book)
        if {Book.ORDERS, Book.POSITIONS} <= self._read_once and not any(
            count >= self._alarm_after for count in self._failures.values()
        ):
            self._tell_readable(True, "")

    def _tell_readable(self, readable: bool, reason: str) -> None:
        if readable is not self._readable:
            self._readable = readable
            self.tell(self._cast.command_service, BrokerReadable(readable, reason))

    # What a person should know

    def _note_stranger(self, report: BrokerOrderReport) -> None:
        """An order nobody here placed: shown, counted in positions, never touched (scenario B9)."""
        ours = report.client_tag is not None and _OUR_TAG.match(report.client_tag)
        if ours or report.broker_order_id in self._known_strangers:
            return
        self._known_strangers.add(report.broker_order_id)
        self._alert(
            "external_order",
            f"external order {report.broker_order_id}: {report.side} {report.quantity} {report.symbol} "
            f"{report.raw_status}",
        )

    def _note_second_order(self, order: Order, report: BrokerOrderReport) -> None:
        if report.broker_order_id in self._known_strangers:
            return
        self._known_strangers.add(report.broker_order_id)
        self._alert(
            "two_orders",
            f"{order.command_id}: two broker orders carry its tag: {order.broker_order_id} and "
            f"{report.broker_order_id} ({report.raw_status})",
            order.command_id,
        )

    def _note_odd_status(self, order: Order, report: BrokerOrderReport) -> None:
        seen = (order.command_id, report.raw_status)
        if seen not in self._known_odd:
            self._known_odd.add(seen)
            text = f"{order.command_id}: unknown status {report.raw_status!r}; it is read again"
            self._alert("odd_status", text, order.command_id)

    def _alert(self, kind: str, text: str, command_id: str | None = None) -> None:
        self.tell(self._cast.notifier, Alert(Severity.CRITICAL, kind, text, command_id))
