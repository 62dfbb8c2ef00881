"""Step 6: reads the order book each second, tells OrderRepo what it says, and passes positions to guard and risk."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from actors.cast import Cast
from core.calendar import TradingCalendar
from core.messages import (
    Alert,
    Book,
    BookUnreadable,
    BrokerReadable,
    ExternalOrders,
    ExternalOrdersWanted,
    OpenOrders,
    OpenOrdersWanted,
    OrderBookRead,
    OrderPushed,
    OrderSettled,
    PositionsRead,
    PositionsWanted,
    PushesMissed,
    ReadFailure,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordAbsent,
    RecordReport,
    RecordUnknown,
    Severity,
    StandingWanted,
    Tick,
    TradeBookRead,
    WatchOrder,
)
from core.order import Fill, Order, Tag
from core.reports import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.runtime import Actor, Letter, Runtime
from core.watch import PROOF_READS, absence, at_least, counted, expired, is_news, needs_trades, our_tag_of

__all__ = ["OrderWatcher"]

_POLL = "poll"
# A read that has not answered for so long is asked for again: its answer was lost with a failed handler.
_LOST_READ_S = 60.0


@dataclass(slots=True)
class _Watch:
    """One order that is, or may be, at the broker."""

    order: Order
    letter: Letter  # the last word of OrderRepo about it: what is told of the order later is an effect of that
    unknown_since: datetime | None = None
    missed: int = 0
    last: BrokerOrderReport | None = None
    filled: int = 0  # the most that the broker ever counted as filled
    fruitless: int = 0  # trade book reads in a row that did not explain what the order book says was filled
    # Further broker orders under this order's tag (scenario A14): number to the last report that was recorded.
    doubles: dict[str, BrokerOrderReport] = field(default_factory=dict)


class OrderWatcher(Actor):
    """Ticks itself; matches book rows to orders by the broker's number, or by client tag while that is not known."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        cast: Cast,
        calendar: TradingCalendar,
        interval_s: float = 1.0,
        positions_interval_s: float = 5.0,
        absence_grace_s: float = 10.0,
        unreadable_alarm_after: int = 5,
    ) -> None:
        super().__init__(runtime, name)
        self._cast = cast
        self._calendar = calendar
        self._interval_s = interval_s
        self._positions_interval_s = positions_interval_s
        self._grace = timedelta(seconds=absence_grace_s)
        self._alarm_after = unreadable_alarm_after
        self._watched: dict[str, _Watch] = {}
        # Settled today or yesterday: a fill may still come after the end of an order (scenario B12).
        self._settled: dict[str, _Watch] = {}
        self._numbers: dict[str, str] = {}
        self._awaiting: dict[Book, float] = {}
        # Reports by the broker's number that wait for the trade book, with the command they belong to.
        self._explaining: dict[str, tuple[str, BrokerOrderReport]] = {}
        self._failures: dict[Book, int] = defaultdict(int)
        self._read_once: set[Book] = set()
        self._readable: bool | None = None
        self._why_unreadable = ""
        self._positions: PositionsRead | None = None
        self._positions_due = 0.0
        self._externals: dict[str, BrokerOrderReport] = {}
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
        self.tell(self._cast.order_repo, OpenOrdersWanted(self._yesterday()))
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(OpenOrders, dropping=(WatchOrder, OrderSettled))

    def _today(self) -> date:
        return self._calendar.day(self.clock.now())

    def _yesterday(self) -> date:
        """The first day whose ended orders are still looked for: a broker clears its book hours after midnight."""
        return self._today() - timedelta(days=1)

    def on_open_orders(self, message: OpenOrders) -> None:
        self._watched.clear()
        for order in message.ended:
            self._keep(order)
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
            watch.unknown_since = self.clock.steady()

    def on_order_settled(self, message: OrderSettled) -> None:
        order = message.order
        self._keep(order)
        self._watched.pop(order.command_id, None)
        if order.filled_quantity:
            self._ask(Book.POSITIONS)

    def _keep(self, order: Order) -> None:
        """Go on looking for an order that is over: it may fill late (B12), or turn up although it was given up."""
        if not order.may_be_at_broker:
            return
        watch = self._watched.get(order.command_id) or self._settled.get(order.command_id) or _Watch(order, self.letter)
        watch.order, watch.letter = order, self.letter
        self._settled[order.command_id] = watch
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.command_id

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
        yesterday = self._yesterday()
        for command_id in [c for c, watch in self._settled.items() if watch.order.trading_day < yesterday]:
            watch = self._settled.pop(command_id)
            self._numbers.pop(watch.order.broker_order_id or "", None)

    # The order book

    def on_order_book_read(self, message: OrderBookRead) -> None:
        seen = set()
        strangers: dict[str, BrokerOrderReport] = {}
        for report in message.reports:
            watch = self._find(report)
            if watch is None:
                strangers[report.broker_order_id] = report
                continue
            seen.add(watch.order.command_id)
            self._compare(watch, report)
        for command_id, watch in self._watched.items():
            if command_id not in seen:
                self._note_missing(watch, message.asked_at)
        self._note_strangers(strangers)
        if self._explaining:
            self._ask(Book.TRADES)
        self._note_read(Book.ORDERS)

    def _find(self, report: BrokerOrderReport) -> _Watch | None:
        """The order of this row: by its tag; by its number where the row has no tag of ours."""
        watch = self._known(report.client_tag or "")
        if watch is None and our_tag_of(report) is None:
            watch = self._known(self._numbers.get(report.broker_order_id, ""))
        return watch

    def _known(self, command_id: str) -> _Watch | None:
        return self._watched.get(command_id) or self._settled.get(command_id)

    def _compare(self, watch: _Watch, report: BrokerOrderReport) -> None:
        order = watch.order
        watch.missed = 0
        if report.status is BrokerStatus.UNKNOWN:
            self._note_odd_status(watch, report)
        if order.broker_order_id not in (None, report.broker_order_id):
            self._compare_double(watch, report)
            return
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        if needs_trades(order, report):
            self._explaining[report.broker_order_id] = (order.command_id, report)
        elif is_news(order, report, watch.last):
            self._record(watch, RecordReport(order.command_id, report, ()))
        watch.last = report

    def _compare_double(self, watch: _Watch, report: BrokerOrderReport) -> None:
        """A second broker order under the tag: its fills are as real as those of the first (scenario A14)."""
        number = report.broker_order_id
        if number not in watch.doubles:
            self._note_second_order(watch, report)
        if report == watch.doubles.get(number):
            return
        if report.filled_quantity:
            self._explaining[number] = (watch.order.command_id, report)
        else:
            self._record(watch, RecordReport(watch.order.command_id, report, ()))
            watch.doubles[number] = report

    def on_trade_book_read(self, message: TradeBookRead) -> None:
        trades: dict[str, list[BrokerTrade]] = defaultdict(list)
        for trade in message.trades:
            trades[trade.broker_order_id].append(trade)
        explaining, self._explaining = self._explaining, {}
        for number, (command_id, report) in explaining.items():
            watch = self._known(command_id)
            if watch is not None:
                self._explain(watch, report, tuple(_fill_of(trade, message.read_at) for trade in trades[number]))
        self._note_read(Book.TRADES)

    def _explain(self, watch: _Watch, report: BrokerOrderReport, fills: tuple[Fill, ...]) -> None:
        """Record what the order book says of an order together with the trades that explain it."""
        traded = sum(fill.quantity for fill in fills)
        self._note_explained(watch, report, traded)
        if watch.order.broker_order_id not in (None, report.broker_order_id) and traded >= (
            report.filled_quantity or 0
        ):
            watch.doubles[report.broker_order_id] = report
        # The trade book was read later than the order book: what it shows beyond that is true as well.
        self._record(watch, RecordReport(watch.order.command_id, at_least(report, traded), fills))

    def _record(self, watch: _Watch, message: RecordReport | RecordAbsent) -> None:
        """As an effect of the letters of the order itself, not of the tick that brought the book (law 10)."""
        with self.answering(watch.letter):
            self.tell(self._cast.order_repo, message)

    def _note_explained(self, watch: _Watch, report: BrokerOrderReport, traded: int) -> None:
        expected = counted(watch.order, report)
        watch.fruitless = watch.fruitless + 1 if traded < expected else 0
        if watch.fruitless == self._alarm_after:
            self._alert_of(watch, "trades_missing", f"the order book says {expected} filled, the trades {traded}")

    # Orders that a successful read did not show

    def _note_missing(self, watch: _Watch, asked_at: datetime) -> None:
        """A verdict needs the grace period and more than one read (scenarios A2, B17)."""
        order = watch.order
        if order.broker_order_id is not None:
            self._note_numbered_missing(watch)
            return
        if watch.unknown_since is None or asked_at < watch.unknown_since + self._grace:
            return
        watch.missed += 1
        verdict = absence(
            order,
            unknown_since=watch.unknown_since,
            missed=watch.missed,
            asked_at=asked_at,
            today=self._today(),
        )
        if verdict is None:
            return
        if verdict.tag is not Tag.BROKER_NOT_FOUND:
            self._alert_of(watch, "never_resolved", verdict.reason)
        self._record(watch, RecordAbsent(order.command_id, verdict.reason, verdict.tag))

    def _note_numbered_missing(self, watch: _Watch) -> None:
        order = watch.order
        watch.missed += 1
        if order.trading_day < self._today():
            # Another day's book cannot show it: a DAY order ended with its trading day (scenario B7).
            if watch.missed >= PROOF_READS:
                self._record(watch, RecordReport(order.command_id, expired(order), ()))
        elif watch.missed == self._alarm_after:
            self._alert_of(watch, "order_missing", f"the broker's book does not show order {order.broker_order_id}")

    # The push feed: sooner than the next read, and never believed about an order's absence

    def on_order_pushed(self, message: OrderPushed) -> None:
        report, trade = message.report, message.trade
        watch = self._find(report)
        if watch is None or watch.order.broker_order_id not in (None, report.broker_order_id):
            # Not ours, or a frame without a tag for an order whose number is still on its way: the book tells.
            if report.broker_order_id not in self._known_strangers:
                self._ask(Book.ORDERS)
            return
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        report = at_least(report, watch.filled)
        order = watch.order
        if trade is not None:
            fill = _fill_of(trade, self.clock.now())
            self._record(watch, RecordReport(order.command_id, report, (fill,)))
        elif (
            not order.is_final
            and not needs_trades(order, report)
            and (order.broker_order_id is None or report.status.is_final)
        ):
            # What was filled without a trade told here, the next read of the books explains.
            self._record(watch, RecordReport(order.command_id, report, ()))

    def on_pushes_missed(self, _: PushesMissed) -> None:
        self._ask(Book.ORDERS)

    # Positions

    def on_positions_read(self, message: PositionsRead) -> None:
        self._positions = message
        self.tell(self._cast.execution_guard, message)
        self.tell(self._cast.risk_manager, message)
        self._note_read(Book.POSITIONS)

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
        """A book was read and what it says is on its way to the record."""
        self._awaiting.pop(book, None)
        self._failures[book] = 0
        self._read_once.add(book)
        if not {Book.ORDERS, Book.POSITIONS} <= self._read_once:
            return
        if self._readable is None and self._explaining:
            # Orders wait until the fills of the time before the start are booked and told (scenario B10).
            return
        if not any(count >= self._alarm_after for count in self._failures.values()):
            self._tell_readable(True, "")

    def _tell_readable(self, readable: bool, reason: str) -> None:
        if readable is not self._readable:
            self._readable, self._why_unreadable = readable, reason
            self.tell(self._cast.command_service, BrokerReadable(readable, reason))

    def on_standing_wanted(self, _: StandingWanted) -> None:
        if self._readable is not None:
            self.tell(self._cast.command_service, BrokerReadable(self._readable, self._why_unreadable))

    # What a person should know

    def _note_strangers(self, strangers: dict[str, BrokerOrderReport]) -> None:
        """Orders nobody here placed: shown, counted in positions, never touched (scenario B9)."""
        today = f"{self._today():%y%m%d}"
        # Under a tag of ours and of another day it is an order of that day in a book not cleared yet.
        found = {number: report for number, report in strangers.items() if our_tag_of(report) in (None, today)}
        for number, report in found.items():
            if number not in self._known_strangers:
                self._known_strangers.add(number)
                self._alert("external_order", _external_text(report))
        if found != self._externals:
            self._externals = found
            self.tell(self._cast.execution_guard, self._external_orders())

    def on_external_orders_wanted(self, _: ExternalOrdersWanted) -> None:
        self.reply(self._external_orders())

    def _external_orders(self) -> ExternalOrders:
        return ExternalOrders(tuple(self._externals.values()))

    def _note_second_order(self, watch: _Watch, report: BrokerOrderReport) -> None:
        if report.broker_order_id in self._known_strangers:
            return
        self._known_strangers.add(report.broker_order_id)
        numbers = f"{watch.order.broker_order_id} and {report.broker_order_id} ({report.raw_status})"
        self._alert_of(watch, "two_orders", f"two broker orders carry its tag: {numbers}")

    def _note_odd_status(self, watch: _Watch, report: BrokerOrderReport) -> None:
        seen = (watch.order.command_id, report.raw_status)
        if seen not in self._known_odd:
            self._known_odd.add(seen)
            self._alert_of(watch, "odd_status", f"unknown status {report.raw_status!r}; it is read again")

    def _alert_of(self, watch: _Watch, kind: str, text: str) -> None:
        """As an effect of the order's letters, like what is recorded of it (law 10)."""
        with self.answering(watch.letter):
            self._alert(kind, f"{watch.order.command_id}: {text}", watch.order.command_id)

    def _alert(self, kind: str, text: str, command_id: str | None = None) -> None:
        self.tell(self._cast.notifier, Alert(Severity.CRITICAL, kind, text, command_id))


def _fill_of(trade: BrokerTrade, seen_at: datetime) -> Fill:
    return Fill(trade.broker_trade_id, trade.quantity, trade.price, trade.at or seen_at)


def _external_text(report: BrokerOrderReport) -> str:
    what = f"{report.side} {report.quantity} {report.symbol} {report.raw_status}"
    if our_tag_of(report) is not None:
        return f"order {report.broker_order_id} ({what}) carries the tag {report.client_tag}, which the record lacks"
    return f"external order {report.broker_order_id}: {what}"
