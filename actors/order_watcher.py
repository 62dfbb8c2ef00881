"""Step 6: reads the order book each second, tells OrderRepo what it says, and passes positions to guard and risk."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

from actors.addresses import STREAM, Addresses
from core.messages import (
    AccountRead,
    Alert,
    BookUnreadable,
    BrokerReadable,
    ExternalFilled,
    ExternalOrders,
    FeedState,
    FeedStatus,
    GetExternalOrders,
    GetOpenOrders,
    GetPositions,
    GetQuote,
    Message,
    ModifyOrder,
    OpenOrders,
    OrderBookRead,
    OrderPushed,
    OrderSettled,
    PositionsDoubted,
    PositionsRead,
    PushesMissed,
    QuoteRead,
    QuoteUnreadable,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordUnknown,
    RepublishBrokerStatus,
    Severity,
    Tick,
    TradeBookRead,
    VerifyAccount,
    WatchOrder,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerOrderReport
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order
from core.model.outcomes import Book, ReadFailure
from core.model.positions import OwnFill
from core.rules.books import BookMemory, Doubt, Readability
from core.rules.chase import ChaseRules, Chases, Moved, Working
from core.rules.order_matching import LONG_GRACES, PROOF_READS, Looked, our_tag_of
from core.rules.quiet import Quiet
from core.rules.watched import Told, Watch, Watched
from core.runtime import Actor, Runtime

__all__ = ["OrderWatcher"]

_POLL = "poll"
_SOON_S = 0.25
_POSITIONS = "positions"
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
        quiet_interval_s: float = 1.0,
        positions_interval_s: float = 5.0,
        absence_grace_s: float = 10.0,
        unreadable_alarm_after: int = 5,
        chase: ChaseRules | None = None,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._calendar = calendar
        self._interval_s = interval_s
        self._quiet = Quiet(interval_s, quiet_interval_s)
        self._pace_s = interval_s
        self._polled_at = -math.inf
        self._positions_interval_s = positions_interval_s
        grace = timedelta(seconds=absence_grace_s)
        self._watched = Watched(calendar, grace, unreadable_alarm_after)
        self._awaiting: dict[Book, float] = {}
        self._readability = Readability(unreadable_alarm_after)
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
        self._memory = BookMemory(calendar, LONG_GRACES * grace)
        # What was alarmed of books that lack rows: each once, until the book is whole again.
        self._doubted: set[Book] = set()
        self._restarted = True
        self._chase_every_s = chase.every_s if chase is not None else 0.0
        self._chases = Chases(chase or ChaseRules())

    def started(self) -> None:
        self._ask_for_state()
        self.every(_POLL, self._interval_s)
        self.after(_POSITIONS, self._interval_s)
        if self.knows(self._addresses.order_feed.name):
            self.tell(self._addresses.order_feed, RepublishBrokerStatus())

    def rebuild(self) -> None:
        self._awaiting.clear()
        self._urgent.clear()
        self._watched.explaining.clear()
        self._ask_for_state()
        self.after(_POSITIONS, self._interval_s)

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
        self._watched.idle.clear()
        self._begin_day()
        self._watched.externals.begin_day(message.settled_halts)
        self._know(message)
        for order in message.ended:
            self._watched.settle(order, self.envelope)
        for order in message.orders:
            self._watched.add(order, self.envelope, self.clock.steady())
            if self._restarted and order.broker_order_id is None and not order.unknown:
                # The process ended between marking and recording: the broker may have it (scenario A1) or not (A2).
                reason = "the service was restarted before the broker's answer was recorded"
                self.tell(self._addresses.order_repo, RecordUnknown(order.command_id, reason, order.part))
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
        self._wake()

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

    def on_tick(self, message: Tick) -> None:
        if message.key == _POSITIONS:
            # Unless it asks now, an answer is under way.
            self.after(_POSITIONS, self._interval_s)
            self._ask(Book.POSITIONS)
            return
        self._polled_at = self.clock.monotonic()
        self._begin_day()
        self._watched.forget_before(self._yesterday())
        self._ask(Book.ORDERS)
        busy = bool(self._watched.open or self._watched.explaining)
        self._read_each(self._quiet.interval_s(self.clock.monotonic(), busy=busy))

    def _wake(self) -> None:
        """Something moves: the order book is read at its usual pace."""
        self._quiet.moved(self.clock.monotonic())
        self._read_each(self._interval_s)

    def _read_each(self, seconds: float) -> None:
        if seconds == self._pace_s:
            return
        left = self._polled_at + seconds - self.clock.monotonic()
        if left < seconds:
            # Counted from the last read, so that the book becomes no older; not before the order that it is about.
            self._pace_s = 0.0
            self.after(_POLL, max(_SOON_S, left))
        else:
            self._pace_s = seconds
            self.every(_POLL, seconds)

    def on_feed_state(self, message: FeedState) -> None:
        self._quiet.feed(self.clock.monotonic(), up=message.standing is FeedStatus.CONNECTED)
        self._wake()

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
                self.after(_POSITIONS, self._positions_interval_s)
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
            self._watched.idle.clear()
            self._watched.externals.begin_day()

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
            self._tell_all(self._readability.failed(book, doubt.reason))
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
        self._quiet.read(self.clock.monotonic(), message.changed)
        if message.changed:
            self._read_each(self._interval_s)
        whole, lacking, cleared = self._is_of_today(message.read_at), False, False
        of_today = self._watched.of_today(message.reports, self._today())
        self._bare = not of_today
        if whole:
            doubt = self._doubt(Book.ORDERS, {report.broker_order_id for report in message.reports}, of_today)
            cleared = doubt is not None and doubt.cleared
            lacking = doubt is not None and doubt.unreadable and not cleared
            whole = doubt is None
        said = self._watched.read(message.reports, self.clock.now(), message.asked_at)
        self._tell_of(said.told)
        if lacking:
            # What it shows is true of those orders (compared above); it says nothing of others.
            self._urgent.pop(Book.ORDERS, None)
            self._note_externals({**self._watched.externals.shown, **said.externals})
            self._ask_what_explains(urgent=False)
            return
        for tag, watch in self._watched.open.items():
            if whole and tag not in said.seen:
                self._note_missing(watch, message.asked_at, bare=not of_today)
            elif cleared and tag not in said.seen:
                self._tell_of(self._watched.cleared(watch))
        self._own, self._orders_asked_at = tuple(said.own.values()), message.asked_at
        self._note_externals(said.externals)
        waited_for = self._urgent.pop(Book.ORDERS, None) is not None
        if waited_for and Book.POSITIONS not in self._urgent and self._positions is not None:
            # The positions for an EXIT came first.
            self._tell_account(self._positions)
        self._ask_what_explains(urgent=waited_for)
        self._note_read(Book.ORDERS)
        self._chase()

    # Orders at the market that it has left behind (scenario G20)

    def _chase(self) -> None:
        working = (Working(watch.order, watch.last) for watch in self._watched.open.values())
        for exchange, symbol in self._chases.look(working, self.clock.monotonic()):
            wanted = GetQuote(exchange, symbol, self.name, self._chase_every_s)
            self.tell(self._addresses.prices, wanted)

    def on_quote_read(self, message: QuoteRead) -> None:
        for step in self._chases.priced(message.quote, self.clock.monotonic(), self.clock.now()):
            watch = self._watched.get(step.order.command_id)
            with self.answering(watch.envelope if watch is not None else self.envelope):
                if isinstance(step, Moved):
                    by = f"chase (step {step.steps})"
                    wanted = ModifyOrder(step.order.command_id, (), by, to=step.terms)
                    self.tell(self._addresses.order_repo, wanted)
                else:
                    self._tell_left(step.order, step.reason)

    def on_quote_unreadable(self, _: QuoteUnreadable) -> None:
        """It is asked for again when the next order book is read."""

    def _tell_left(self, order: Order, reason: str) -> None:
        what = f"{order.command_id}: {order.execution_type} {order.side} {order.quantity} {order.symbol} of "
        text = f"{what}{order.strategy} is not filled: {reason}"
        if order.execution_type is ExecutionType.EXIT:
            self._alert(AlertKind.LEFT_BEHIND, text)
        else:
            self.tell(self._addresses.notifier, Alert(Severity.WARNING, AlertKind.LEFT_BEHIND, text))

    def _ask_what_explains(self, *, urgent: bool) -> None:
        """Read the trades of fills that are not booked; until then it is open what the account has."""
        if self._watched.explaining and urgent:
            self._ask_urgently(Book.TRADES, ReadTradeBook(urgent=True))
        elif self._watched.explaining or self._readability.failures[Book.TRADES]:
            # One that failed is read until it can be, also when nothing needs it any more: it keeps ENTRYs out.
            self._ask(Book.TRADES)

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
        self._tell_of(self._watched.explained(message.trades, message.read_at, lacking=lacking))
        if not lacking:
            self._note_read(Book.TRADES)

    def _tell_of(self, told: Told) -> None:
        """As an effect of the envelopes of the orders themselves, not of the tick that brought the book (law 10)."""
        for watch, message in told:
            with self.answering(watch.envelope):
                self._tell(message)

    def _tell_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._tell(message)

    def _tell(self, message: Message) -> None:
        match message:
            case Alert():
                self.tell(self._addresses.notifier, message)
            case BrokerReadable():
                self.tell(self._addresses.command_service, message)
            case _:
                self.tell(self._addresses.order_repo, message)

    # Orders that a successful read did not show

    def _note_missing(self, watch: Watch, asked_at: datetime, *, bare: bool) -> None:
        """A verdict needs the grace period and more than one read (scenarios A2, B17)."""
        if watch.order.broker_order_id is not None:
            self._tell_of(self._watched.missing(watch, asked_at, self.clock.now()))
        elif self._watched.is_overdue(watch, asked_at):
            watch.missed += 1
            told = self._watched.absent(watch, self._looked(watch, asked_at, bare), self._today())
            self._tell_of(told)
            if not told and bare and self._watched.is_overdue(watch, asked_at, LONG_GRACES):
                self._ask(Book.TRADES)

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

    # The push feed: sooner than the next read, and never believed about an order's absence

    def on_order_pushed(self, message: OrderPushed) -> None:
        report, trade = message.report, message.trade
        self._wake()
        self._quiet.pushed(self.clock.monotonic(), report.broker_order_id)
        watch = self._watched.find(report, self.clock.now())
        if watch is None or watch.order.broker_order_id not in (None, report.broker_order_id):
            # Not ours, or a frame without a tag for an order whose number is still on its way: the book tells.
            if watch is None and report.filled_quantity and our_tag_of(report) is None:
                filled = ExternalFilled(report, trade.at if trade is not None else None)
                self.tell(self._addresses.execution_guard, filled)
                self.tell(self._addresses.broker_proxy, filled)
            self._ask(Book.ORDERS)
            return
        self._tell_of(self._watched.pushed(watch, report, trade, self.clock.now()))

    def on_pushes_missed(self, _: PushesMissed) -> None:
        self._wake()
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
            if self._readability.failures[Book.POSITIONS] <= PROOF_READS:
                self.after(_POSITIONS, self._interval_s)
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
                tuple(self._watched.externals.shown.values()),
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
        self._wake()
        self._awaiting.pop(message.book, None)
        self._urgent.pop(message.book, None)
        self._tell_all(self._readability.failed(message.book, message.reason))

    def _note_read(self, book: Book) -> None:
        self._awaiting.pop(book, None)
        self._tell_all(self._readability.read(book, explained=not self._watched.explaining))

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        if self._readability.told is not None:
            self._tell(self._readability.told)

    # What a person should know

    def _note_externals(self, rows: dict[str, BrokerOrderReport]) -> None:
        before = self._watched.externals.shown
        self._tell_all(self._watched.externals.note(rows, self.clock.now()))
        if self._watched.externals.shown != before:
            # What somebody else traded may be what a strategy holds: the guard learns of it at once.
            self._positions_again = Book.POSITIONS in self._awaiting
            self._ask(Book.POSITIONS)
            if self.knows(STREAM):
                changed = (one for key, one in self._watched.externals.shown.items() if before.get(key) != one)
                self.tell_name(STREAM, ExternalOrders(tuple(changed)))

    def on_get_external_orders(self, _: GetExternalOrders) -> None:
        self.reply(ExternalOrders(tuple(self._watched.externals.shown.values())))

    def _alert(self, kind: AlertKind, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text))
