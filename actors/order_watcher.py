"""Step 6: reads the order book each second, tells OrderRepo what it says, and passes positions to guard and risk."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta

from actors.addresses import Addresses
from core.messages import (
    AccountRead,
    Alert,
    BookUnreadable,
    BrokerReadable,
    ExternalFilled,
    ExternalOrders,
    GetExternalOrders,
    GetOpenOrders,
    GetPositions,
    OpenOrders,
    OrderBookRead,
    OrderPushed,
    OrderSettled,
    PositionsDoubted,
    PositionsRead,
    PushesMissed,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordAbsent,
    RecordReport,
    RecordUnknown,
    RepublishBrokerStatus,
    SetHalt,
    Tick,
    TradeBookRead,
    VerifyAccount,
    WatchOrder,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.model.calendar import TradingCalendar
from core.model.order import Fill, Order, Tag
from core.model.outcomes import Book, ReadFailure
from core.model.positions import OwnFill
from core.rules.books import BookMemory, Doubt
from core.rules.order_matching import (
    LONG_GRACES,
    PROOF_READS,
    Looked,
    absence,
    as_changed,
    at_least,
    counted,
    expired,
    is_news,
    needs_trades,
    our_tag_of,
)
from core.rules.watched import IdleRows, Watch, Watched
from core.runtime import Actor, Runtime

__all__ = ["OrderWatcher"]

_POLL = "poll"
# A read that has not answered for so long is asked for again: its answer was lost with a failed handler.
_LOST_READ_S = 60.0


class OrderWatcher(Actor):
    """Ticks itself; matches book rows to orders by the broker_order_id, or by client tag while that is not known."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        calendar: TradingCalendar,
        interval_s: float = 1.0,
        positions_interval_s: float = 5.0,
        absence_grace_s: float = 10.0,
        unreadable_alarm_after: int = 5,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._calendar = calendar
        self._interval_s = interval_s
        self._positions_interval_s = positions_interval_s
        self._grace = timedelta(seconds=absence_grace_s)
        self._alarm_after = unreadable_alarm_after
        self._watched = Watched(calendar)
        self._idle = IdleRows()
        self._awaiting: dict[Book, float] = {}
        # Reports by the broker_order_id that wait for the trade book, with the command they belong to.
        self._explaining: dict[str, tuple[str, BrokerOrderReport]] = {}
        self._failures: dict[Book, int] = defaultdict(int)
        self._read_once: set[Book] = set()
        self._readable: bool | None = None
        self._why_unreadable = ""
        self._positions: PositionsRead | None = None
        # Reads for an EXIT that waits: when they were asked for. Whether positions are wanted after those under way.
        self._urgent: dict[Book, float] = {}
        self._positions_again = False
        # What the last order book read says of our own orders, and when that read began.
        self._own: tuple[OwnFill, ...] = ()
        self._orders_asked_at: datetime | None = None
        self._trades_asked_at: datetime | None = None
        # Whether the last order book showed no order of today.
        self._bare = False
        self._positions_due = 0.0
        self._externals: dict[str, BrokerOrderReport] = {}
        self._known_externals: set[str] = set()
        # The words of the halts over which a person has resumed trading today.
        self._settled: frozenset[str] = frozenset()
        self._known_odd: set[tuple[str, str]] = set()
        self._memory = BookMemory(calendar, LONG_GRACES * self._grace)
        # What was alarmed of books that lack rows: each once, until the book is whole again.
        self._doubted: set[Book] = set()
        self._restarted = True

    def started(self) -> None:
        self._ask_for_state()
        self.every(_POLL, self._interval_s)

    def rebuild(self) -> None:
        self._awaiting.clear()
        self._urgent.clear()
        self._explaining.clear()
        self._ask_for_state()

    def _ask_for_state(self) -> None:
        self.tell(self._addresses.order_repo, GetOpenOrders(self._yesterday(), self._today()))
        # What OrderRepo told before its answer is in the answer already.
        self.wait_for(OpenOrders, dropping=(WatchOrder, OrderSettled))

    def _today(self) -> date:
        return self._calendar.day(self.clock.now())

    def _yesterday(self) -> date:
        """The first day whose ended orders are still looked for: a broker clears its book hours after midnight."""
        return self._today() - timedelta(days=1)

    def on_open_orders(self, message: OpenOrders) -> None:
        self._watched.open.clear()
        self._idle.clear()
        self._begin_day()
        self._settled = frozenset(re.findall(r"\w+", " ".join(message.settled_halts)))
        self._know(message)
        for order in message.ended:
            self._watched.settle(order, self.envelope)
        for order in message.orders:
            self._watched.add(order, self.envelope, self.clock.steady())
            if self._restarted and order.broker_order_id is None and not order.unknown:
                # The process ended between marking and recording: the broker may have it (scenario A1) or not (A2).
                reason = "the service was restarted before the broker's answer was recorded"
                self.tell(self._addresses.order_repo, RecordUnknown(order.command_id, reason))
        self._restarted = False

    def _know(self, message: OpenOrders) -> None:
        """What must be in the books of today, whatever they answer: a process that starts has seen none (G12)."""
        for order in (*message.orders, *message.ended):
            number = order.broker_order_id
            if order.trading_day != self._today() or number is None:
                continue
            self._memory.note(Book.ORDERS, (number,), order.created_at)
            if order.filled_quantity:
                self._memory.note(Book.TRADES, (number,), order.created_at)
                self._memory.note(Book.POSITIONS, (f"{order.exchange} {order.symbol}",), order.created_at)

    # What to watch

    def on_watch_order(self, message: WatchOrder) -> None:
        self._watched.add(message.order, self.envelope, self.clock.steady())
        self._note_filled(message.order)

    def _note_filled(self, order: Order) -> None:
        if order.filled_quantity and order.trading_day == self._today():
            self._memory.note_filled(order.exchange, order.symbol, self.clock.steady(), order.created_at)

    def on_order_settled(self, message: OrderSettled) -> None:
        order = message.order
        self._watched.settle(order, self.envelope)
        self._note_filled(order)
        if order.filled_quantity:
            self._ask(Book.POSITIONS)

    # The clock

    def on_tick(self, _: Tick) -> None:
        self._begin_day()
        self._watched.forget_before(self._yesterday())
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
                self.tell(self._addresses.broker_proxy, ReadOrderBook())
            case Book.TRADES:
                self.tell(self._addresses.broker_proxy, ReadTradeBook())
            case Book.POSITIONS:
                self._positions_due = now + self._positions_interval_s
                self.tell(self._addresses.broker_proxy, ReadPositions())

    def on_verify_account(self, _: VerifyAccount) -> None:
        """Read both books ahead of everything but orders: an EXIT waits. One read under way serves all that wait."""
        self._ask_urgently(Book.ORDERS, ReadOrderBook(urgent=True))
        self._ask_urgently(Book.POSITIONS, ReadPositions(urgent=True))

    def _ask_urgently(self, book: Book, message: ReadOrderBook | ReadTradeBook | ReadPositions) -> None:
        now = self.clock.monotonic()
        if now - self._urgent.get(book, -_LOST_READ_S) >= _LOST_READ_S:
            self._urgent[book] = now
            self.tell(self._addresses.broker_proxy, message)

    def _begin_day(self) -> None:
        if self._memory.begin(self.clock.now()):
            self._doubted.clear()
            self._idle.clear()
            self._settled = frozenset()

    # Books that lack rows: no news (scenario G12)

    def _doubt(self, book: Book, shown: set[str], of_today: set[str]) -> Doubt | None:
        """What is doubtful about the rows that a book shows; they are kept in mind, and the doubt is told once."""
        now = self.clock.now()
        doubt = self._memory.doubt(book, shown, now)
        if doubt is None or not doubt.unreadable:
            self._memory.note(book, of_today, now)
        self._note_doubt(book, doubt)
        return doubt

    def _note_doubt(self, book: Book, doubt: Doubt | None) -> None:
        if doubt is None:
            self._doubted.discard(book)
        elif doubt.unreadable and not doubt.cleared:
            self._note_failed(book, doubt.reason)
        elif book not in self._doubted:
            self._doubted.add(book)
            text = f"{doubt.reason}; such a read proves nothing absent"
            if doubt.cleared:
                text = f"{doubt.reason}: the broker has cleared it, or cannot read it"
            self._alert(AlertKind.BOOKS_CLEARED if doubt.cleared else AlertKind.BOOK_LACKS, text)
        if doubt is not None and doubt.unreadable:
            self._awaiting.pop(book, None)

    def _is_of_today(self, read_at: datetime) -> bool:
        """Whether an answer was given on this trading day: one of the day before is on its way when a day begins."""
        return self._calendar.day(read_at) == self._today()

    # The order book

    def on_order_book_read(self, message: OrderBookRead) -> None:
        self._begin_day()
        whole, lacking, cleared = self._is_of_today(message.read_at), False, False
        of_today = self._rows_of_today(message.reports)
        self._bare = not of_today
        if whole:
            doubt = self._doubt(Book.ORDERS, {report.broker_order_id for report in message.reports}, of_today)
            cleared = doubt is not None and doubt.cleared
            lacking = doubt is not None and doubt.unreadable and not cleared
            whole = doubt is None
        seen = set()
        externals: dict[str, BrokerOrderReport] = {}
        own: dict[str, OwnFill] = {}
        for report in message.reports:
            watch = self._idle.get(report)
            if watch is not None:
                seen.add(watch.order.command_id)
                continue
            watch = self._watched.find(report, self.clock.now())
            if watch is None:
                externals[report.broker_order_id] = report
                continue
            seen.add(watch.order.command_id)
            self._list_own(own, watch.order, report)
            self._compare(watch, report)
            if watch.order.command_id not in own and report.broker_order_id not in self._explaining:
                self._idle.note(watch, report, self._today())
        if lacking:
            # What it shows is true of those orders (compared above); it says nothing of others.
            self._urgent.pop(Book.ORDERS, None)
            self._note_externals({**self._externals, **externals})
            self._ask_what_explains(urgent=False)
            return
        for command_id, watch in self._watched.open.items():
            if whole and command_id not in seen:
                self._note_missing(watch, message.asked_at, bare=not of_today)
            elif cleared and command_id not in seen and not watch.cleared:
                watch.cleared = True
                self._tell_cleared(watch)
        self._own, self._orders_asked_at = tuple(own.values()), message.asked_at
        self._note_externals(externals)
        waited_for = self._urgent.pop(Book.ORDERS, None) is not None
        if waited_for and Book.POSITIONS not in self._urgent and self._positions is not None:
            # The positions for an EXIT came first.
            self._tell_account(self._positions)
        self._ask_what_explains(urgent=waited_for)
        self._note_read(Book.ORDERS)

    def _ask_what_explains(self, *, urgent: bool) -> None:
        """Read the trades of fills that are not booked; until then it is open what the account has."""
        if self._explaining and urgent:
            self._ask_urgently(Book.TRADES, ReadTradeBook(urgent=True))
        elif self._explaining:
            self._ask(Book.TRADES)

    def _rows_of_today(self, reports: tuple[BrokerOrderReport, ...]) -> set[str]:
        """The numbers of a book, without those of our orders of another day: the broker may clear it later than us."""
        today = f"{self._today():%y%m%d}"
        return {
            report.broker_order_id
            for report in reports
            if self._idle.get(report) is not None or our_tag_of(report) in (None, today)
        }

    def _list_own(self, own: dict[str, OwnFill], order: Order, report: BrokerOrderReport) -> None:
        """Note what the broker counts as filled of an order of ours that is open, or has fills not booked yet."""
        filled: int | None = counted(order, report)
        if report.filled_quantity is None and report.status in (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED):
            filled = None
        if order.product is None or (order.is_final and (filled or 0) <= order.filled_quantity):
            return
        before, number = own.get(order.command_id), report.broker_order_id
        if before is not None:
            # A second broker order under one tag (scenario A14).
            filled = None if filled is None or before.filled is None else filled + before.filled
        where = (order.exchange, order.symbol, order.product)
        booked = order.filled_quantity
        own[order.command_id] = OwnFill(order.command_id, *where, order.side.sign, filled, booked, number)

    def _compare(self, watch: Watch, report: BrokerOrderReport) -> None:
        order = watch.order
        watch.missed = watch.missed_open = 0
        if report.status is BrokerStatus.UNKNOWN:
            self._note_odd_status(watch, report)
        if order.broker_order_id not in (None, report.broker_order_id):
            self._compare_double(watch, report)
            return
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        known = as_changed(order, report, watch.last)
        if needs_trades(order, known):
            self._explaining[report.broker_order_id] = (order.command_id, known)
        elif is_news(order, known, watch.last):
            self._record(watch, RecordReport(order.command_id, known, ()))
        watch.last = report

    def _compare_double(self, watch: Watch, report: BrokerOrderReport) -> None:
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
        lacking = False
        self._urgent.pop(Book.TRADES, None)
        if self._is_of_today(message.read_at):
            numbers = {trade.broker_order_id for trade in message.trades}
            doubt = self._doubt(Book.TRADES, numbers, numbers)
            lacking = doubt is not None and doubt.unreadable
            if self._bare:
                # What traded must stand in the order book. One that shows other orders may just lag behind.
                self._memory.note(Book.ORDERS, numbers, self.clock.now())
            if doubt is None:
                self._trades_asked_at = message.asked_at
        trades: dict[str, list[BrokerTrade]] = defaultdict(list)
        for trade in message.trades:
            trades[trade.broker_order_id].append(trade)
        explaining, self._explaining = self._explaining, {}
        for number, (command_id, report) in explaining.items():
            watch = self._watched.get(command_id)
            if lacking and number not in trades:
                self._explaining[number] = command_id, report
            elif watch is not None:
                self._explain(watch, report, tuple(_fill_of(trade, message.read_at) for trade in trades[number]))
        if not lacking:
            self._note_read(Book.TRADES)

    def _explain(self, watch: Watch, report: BrokerOrderReport, fills: tuple[Fill, ...]) -> None:
        """Record what the order book says of an order together with the trades that explain it."""
        traded = sum(fill.quantity for fill in fills)
        self._note_explained(watch, report, traded)
        if watch.order.broker_order_id not in (None, report.broker_order_id) and traded >= (
            report.filled_quantity or 0
        ):
            watch.doubles[report.broker_order_id] = report
        # The trade book was read later than the order book: what it shows beyond that is true as well.
        self._record(watch, RecordReport(watch.order.command_id, at_least(report, traded), fills))

    def _record(self, watch: Watch, message: RecordReport | RecordAbsent) -> None:
        """As an effect of the envelopes of the order itself, not of the tick that brought the book (law 10)."""
        with self.answering(watch.envelope):
            self.tell(self._addresses.order_repo, message)

    def _note_explained(self, watch: Watch, report: BrokerOrderReport, traded: int) -> None:
        expected = counted(watch.order, report)
        watch.fruitless = watch.fruitless + 1 if traded < expected else 0
        if watch.fruitless == self._alarm_after:
            self._alert_of(
                watch, AlertKind.TRADES_MISSING, f"the order book says {expected} filled, the trades {traded}"
            )

    # Orders that a successful read did not show

    def _note_missing(self, watch: Watch, asked_at: datetime, *, bare: bool) -> None:
        """A verdict needs the grace period and more than one read (scenarios A2, B17)."""
        order = watch.order
        if order.broker_order_id is not None:
            self._note_numbered_missing(watch, asked_at)
            return
        if watch.unknown_since is None or asked_at < watch.unknown_since + self._grace:
            return
        watch.missed += 1
        verdict = absence(
            order,
            self._looked(watch, asked_at, bare),
            unknown_since=watch.unknown_since,
            grace=self._grace,
            today=self._today(),
        )
        if verdict is None:
            if bare and asked_at >= watch.unknown_since + LONG_GRACES * self._grace:
                self._ask(Book.TRADES)
            return
        if verdict.tag is not Tag.BROKER_NOT_FOUND:
            self._alert_of(watch, AlertKind.NEVER_RESOLVED, verdict.reason)
        self._record(watch, RecordAbsent(order.command_id, verdict.reason, verdict.tag))

    def _tell_cleared(self, watch: Watch) -> None:
        text = f"{watch.order.command_id}: not in the book that the broker has cleared; it ends with its trading day"
        with self.answering(watch.envelope):
            alert = Alert(AlertKind.ORDER_CLEARED.severity, AlertKind.ORDER_CLEARED, text, watch.order.command_id)
            self.tell(self._addresses.notifier, alert)

    def _looked(self, watch: Watch, asked_at: datetime, bare: bool) -> Looked:
        """Where an order of unknown outcome was looked for."""
        order, positions, elsewhere_at = watch.order, self._positions, None
        if positions is not None and self._trades_asked_at is not None:
            elsewhere_at = min(positions.asked_at, self._trades_asked_at)
        return Looked(
            missed=watch.missed,
            asked_at=asked_at,
            bare=bare,
            elsewhere_at=elsewhere_at,
            moved=positions is not None and self._memory.moved(order.exchange, order.symbol, positions.positions),
            cleared=self._calendar.may_be_cleared(order.created_at, self.clock.now()),
        )

    def _note_numbered_missing(self, watch: Watch, asked_at: datetime) -> None:
        order = watch.order
        watch.missed += 1
        if order.trading_day < self._today():
            # Another day's book cannot show it: a DAY order ended with its trading day (scenario B7).
            ended = watch.missed >= PROOF_READS
        else:
            ended = self._ended_before_markets(watch, asked_at)
        if ended:
            report = expired(order, self._today())
            if not watch.ended:
                watch.ended = True
                self._alert_of(watch, AlertKind.NEVER_RESOLVED, f"{order.symbol}: {report.reason}")
            self._record(watch, RecordReport(order.command_id, report, ()))
        elif watch.missed == self._alarm_after:
            self._alert_of(
                watch, AlertKind.ORDER_MISSING, f"the broker's book does not show order {order.broker_order_id}"
            )

    def _ended_before_markets(self, watch: Watch, asked_at: datetime) -> bool:
        """Whether an order of today, sent before the markets opened, ended with the broker's earlier day.

        The broker has cleared its books by now, and the books since do not show it; for so long, that a broker which
        cannot read them yet is not mistaken for one that has cleared them.
        """
        calendar, now = self._calendar, self.clock.now()
        if not calendar.before_markets(watch.order.created_at) or calendar.before_markets(now):
            return False
        if watch.missed_open == 0 or watch.missed_open_since is None:
            watch.missed_open_since = asked_at
        watch.missed_open += 1
        return watch.missed_open >= PROOF_READS and asked_at >= watch.missed_open_since + LONG_GRACES * self._grace

    # The push feed: sooner than the next read, and never believed about an order's absence

    def on_order_pushed(self, message: OrderPushed) -> None:
        report, trade = message.report, message.trade
        watch = self._watched.find(report, self.clock.now())
        if watch is None or watch.order.broker_order_id not in (None, report.broker_order_id):
            # Not ours, or a frame without a tag for an order whose number is still on its way: the book tells.
            if watch is None and report.filled_quantity and our_tag_of(report) is None:
                filled = ExternalFilled(report, trade.at if trade is not None else None)
                self.tell(self._addresses.execution_guard, filled)
                self.tell(self._addresses.broker_proxy, filled)
            self._ask(Book.ORDERS)
            return
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        report = as_changed(watch.order, at_least(report, watch.filled), None)
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
        self._begin_day()
        self._urgent.pop(Book.POSITIONS, None)
        if not self._is_of_today(message.read_at):
            self._awaiting.pop(Book.POSITIONS, None)
            self._ask(Book.POSITIONS)
            return
        now = self.clock.now()
        positions = self._memory.completed(message.positions, message.asked_at, now)
        if isinstance(positions, Doubt):
            # Neither flat nor held by such a read, so it is not passed on, and the last P&L grows old.
            self._note_doubt(Book.POSITIONS, replace(positions, unreadable=True))
            if self._failures[Book.POSITIONS] <= PROOF_READS:
                self._positions_due = 0.0
            return
        self._memory.note_positions(positions, now)
        message = replace(message, positions=positions)
        self._positions = message
        if not self._memory.cleared:
            self.tell(self._addresses.risk_manager, message)
        self._tell_account(message)
        self._note_read(Book.POSITIONS)
        if self._positions_again:
            self._positions_again = False
            self._ask(Book.POSITIONS)

    def _tell_account(self, positions: PositionsRead) -> None:
        """Positions beside the last order book, to the guard; before the first order book there is nothing to say."""
        if self._orders_asked_at is None:
            return
        self.tell(
            self._addresses.execution_guard,
            AccountRead(
                positions.positions,
                tuple(self._externals.values()),
                self._own,
                self._orders_asked_at,
                positions.asked_at,
                positions.read_at,
            ),
        )

    def on_positions_doubted(self, _: PositionsDoubted) -> None:
        self._ask(Book.POSITIONS)

    def on_get_positions(self, _: GetPositions) -> None:
        self.reply(
            self._positions
            or BookUnreadable(Book.POSITIONS, ReadFailure.UNREADABLE, "the position book has not been read yet")
        )

    # Whether the broker can be read

    def on_book_unreadable(self, message: BookUnreadable) -> None:
        """States stay as they are: a failed read says nothing about any order (scenario B5)."""
        self._awaiting.pop(message.book, None)
        self._urgent.pop(message.book, None)
        self._note_failed(message.book, message.reason)

    def _note_failed(self, book: Book, reason: str) -> None:
        self._failures[book] += 1
        if self._failures[book] == self._alarm_after:
            self._alert(AlertKind.UNREADABLE, f"{book} unreadable {self._alarm_after} times: {reason}")
            self._tell_readable(False, f"the {book} cannot be read: {reason}")

    def _note_read(self, book: Book) -> None:
        """A book was read and what it says is on its way to the database."""
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
            self.tell(self._addresses.command_service, BrokerReadable(readable, reason))

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        if self._readable is not None:
            self.tell(self._addresses.command_service, BrokerReadable(self._readable, self._why_unreadable))

    # What a person should know

    def _note_externals(self, externals: dict[str, BrokerOrderReport]) -> None:
        """Orders nobody here placed: shown, counted in positions, never touched (scenario B9)."""
        today = f"{self._today():%y%m%d}"
        # Under a tag of ours and of another day it is an order of that day in a book not cleared yet.
        found = {number: report for number, report in externals.items() if our_tag_of(report) in (None, today)}
        if self._calendar.before_markets(self.clock.now()):
            # The broker clears its book in these hours, and then gives the numbers to other orders.
            self._known_externals &= externals.keys()
        new = [report for number, report in found.items() if number not in self._known_externals]
        self._known_externals.update(report.broker_order_id for report in new)
        self._tell_externals([report for report in new if our_tag_of(report) is None])
        self._halt_for([report for report in new if our_tag_of(report) is not None])
        if found != self._externals:
            self._externals = found
            # What somebody else traded may be what a strategy holds: the guard learns of it at once.
            self._positions_again = Book.POSITIONS in self._awaiting
            self._ask(Book.POSITIONS)

    def _tell_externals(self, reports: list[BrokerOrderReport]) -> None:
        for report in reports:
            self._alert(AlertKind.EXTERNAL_ORDER, f"external order {report.broker_order_id}: {_shown(report)}")

    def _halt_for(self, reports: list[BrokerOrderReport]) -> None:
        """Orders under tags of ours that the database has not sent, but for those a person resumed over already.

        The database is older than the broker's day, or another service trades here: a key used again would double.
        """
        left = [report for report in reports if report.broker_order_id not in self._settled]
        left.sort(key=lambda report: report.broker_order_id)
        if not left:
            return
        numbers = ", ".join(report.broker_order_id for report in left)
        which = "; ".join(f"{_shown(report)} under {report.client_tag}" for report in left)
        self.tell(
            self._addresses.order_repo,
            SetHalt(
                f"orders under tags of ours that the database has not sent: {numbers}",
                by="order watcher",
                alert=AlertKind.UNRECORDED_ORDER,
                details=f" ({which}); it was restored from an older copy, or another service trades here; see to "
                "these orders, then resume trading",
            ),
        )

    def on_get_external_orders(self, _: GetExternalOrders) -> None:
        self.reply(self._external_orders())

    def _external_orders(self) -> ExternalOrders:
        return ExternalOrders(tuple(self._externals.values()))

    def _note_second_order(self, watch: Watch, report: BrokerOrderReport) -> None:
        if report.broker_order_id in self._known_externals:
            return
        self._known_externals.add(report.broker_order_id)
        numbers = f"{watch.order.broker_order_id} and {report.broker_order_id} ({report.raw_status})"
        self._alert_of(watch, AlertKind.TWO_ORDERS, f"two broker orders carry its tag: {numbers}")

    def _note_odd_status(self, watch: Watch, report: BrokerOrderReport) -> None:
        seen = (watch.order.command_id, report.raw_status)
        if seen not in self._known_odd:
            self._known_odd.add(seen)
            self._alert_of(watch, AlertKind.ODD_STATUS, f"unknown status {report.raw_status!r}; it is read again")

    def _alert_of(self, watch: Watch, kind: AlertKind, text: str) -> None:
        """As an effect of the order's envelopes, like what is recorded of it (law 10)."""
        with self.answering(watch.envelope):
            self._alert(kind, f"{watch.order.command_id}: {text}", watch.order.command_id)

    def _alert(self, kind: AlertKind, text: str, command_id: str | None = None) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text, command_id))


def _shown(report: BrokerOrderReport) -> str:
    return f"{report.side} {report.quantity} {report.symbol} {report.raw_status}"


def _fill_of(trade: BrokerTrade, seen_at: datetime) -> Fill:
    return Fill(trade.broker_trade_id, trade.quantity, trade.price, trade.at or seen_at)
