"""Every message of the cast, grouped by the step it belongs to. Read this file first.

Commands are imperatives (`RegisterOrder`), events are past tense (`OrderRegistered`), what the broker said are reports
(`OrderBookRead`). Messages are frozen and carry values, never live objects; an addressee travels as a name.

    source --SubmitOrder--> CommandService --RegisterOrder--> OrderRepo --OrderRegistered--> TradingBot
    TradingBot --CheckRisk--> RiskManager --RiskPassed--> TradingBot
    TradingBot --CheckGuard--> ExecutionGuard --GuardPassed--> TradingBot
    TradingBot --MarkSent--> OrderRepo --OrderMarkedSent--> TradingBot --PlaceOrder--> BrokerProxy
    BrokerProxy --OrderAccepted | OrderRefused | OrderNotSent | OrderOutcomeUnknown--> TradingBot
    TradingBot --RecordAccepted | FailOrder | RecordUnknown--> OrderRepo --OrderAnswer--> caller
    OrderWatcher --ReadOrderBook--> BrokerProxy --OrderBookRead--> OrderWatcher --RecordReport--> OrderRepo
    OrderRepo --FillBooked, OrderSettled--> ExecutionGuard, RiskManager, OrderWatcher; OrderUpdate--> strategy
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from core.order import (
    ExecutionType,
    Fill,
    Order,
    OrderIntent,
    OrderResult,
    Problem,
    Product,
    RawIntent,
    Source,
    Status,
    Tag,
)
from core.reports import BrokerHolding, BrokerOrderReport, BrokerPosition, BrokerTrade, Listing, Quote
from core.runtime.message import ActorDied as ActorDied
from core.runtime.message import ActorFailed as ActorFailed
from core.runtime.message import Lane as Lane
from core.runtime.message import Message as Message
from core.runtime.message import Ping as Ping
from core.runtime.message import Pong as Pong
from core.runtime.message import Tick as Tick

# How much of a book a trace shows.
_SHOWN = 5


def _count(rows: Sized, name: str) -> str:
    return f"{len(rows)} {name}{'' if len(rows) == 1 else 's'}"


def _asked(at: datetime) -> str:
    return f"asked at {at:%H:%M:%S.%f}"


def _positions_text(positions: tuple[BrokerPosition, ...]) -> str:
    held = [row for row in positions if row.net_quantity]
    shown = ", ".join(f"{row.net_quantity:+d} {row.symbol}" for row in held[:_SHOWN])
    return f"{_count(positions, 'position')}, {len(held)} open{': ' if shown else ''}{shown}"


class AboutOrder(Message):
    """A message that carries an order; it belongs to that order's command."""

    __slots__ = ()

    # No full mailbox loses an order on its way: the bounds refuse at the entrance, where the answer is at once.
    carries_on = True

    if TYPE_CHECKING:
        order: Order

    @property
    def command_id(self) -> str:
        """The command, by which the letter is traced."""
        return self.order.command_id


# Step 1: register.


@dataclass(frozen=True, slots=True)
class SubmitOrder(Message):
    """To CommandService: somebody wants an order. The answer, one `OrderAnswer`, goes to the name `reply_to`."""

    intent: OrderIntent | RawIntent
    source: Source
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class RegisterOrder(AboutOrder):
    """To OrderRepo: write the row CREATED, or find the row of the same idempotency key."""

    carries_on = False

    order: Order
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class RegisterRefusal(Message):
    """To OrderRepo: write a FAILED row for an intent that could be read and is not taken (scenario D4).

    `fields` are the columns that could be read, by name; the others stay empty. `intent` is the whole of a valid one
    that is refused for another reason.
    """

    command_id: str
    source: Source
    fields: tuple[tuple[str, str | int], ...]
    tag: Tag
    problems: tuple[Problem, ...]
    at: datetime
    trading_day: date
    reply_to: str | None
    intent: OrderIntent | None = None


@dataclass(frozen=True, slots=True)
class OrderRegistered(AboutOrder):
    """From OrderRepo: the row is CREATED, committed."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderAnswer(Message):
    """To the caller, once: what became of the submission after step 5, or where it was stopped."""

    carries_on = True

    result: OrderResult

    @property
    def command_id(self) -> str:
        return self.result.command_id


# Step 2: blockers.


@dataclass(frozen=True, slots=True)
class CheckRisk(AboutOrder):
    """To RiskManager (2A)."""

    order: Order


@dataclass(frozen=True, slots=True)
class RiskUse:
    """What the limits were held against; the order page shows it. `pnl` in rupees, None when not known."""

    pnl: Decimal | None
    open_orders: int
    orders_today: int


@dataclass(frozen=True, slots=True)
class RiskPassed(AboutOrder):
    """`use` comes first, so that it is in the trace's words, which are cut."""

    use: RiskUse
    order: Order


@dataclass(frozen=True, slots=True)
class RiskBlocked(AboutOrder):
    """`reason` gives the numbers: what is used and what the limit is."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class CheckGuard(AboutOrder):
    """To ExecutionGuard (2B): check and reserve in one step."""

    order: Order


@dataclass(frozen=True, slots=True)
class GuardPassed(AboutOrder):
    """The reservation stands. `order.quantity` and `order.product` are what may be sent (an EXIT may be cut)."""

    order: Order


@dataclass(frozen=True, slots=True)
class GuardBlocked(AboutOrder):
    order: Order
    tag: Tag
    reason: str


# Step 3: mark. Duplicates (2C) and halts are decided inside this transaction.


@dataclass(frozen=True, slots=True)
class MarkSent(AboutOrder):
    """To OrderRepo: CREATED to SENT_TO_BROKER, if it is still CREATED and no other order of this symbol is open."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderMarkedSent(AboutOrder):
    """SENT_TO_BROKER is committed: the broker may be called (law 1)."""

    order: Order


@dataclass(frozen=True, slots=True)
class FailOrder(Message):
    """To OrderRepo: FAILED with this tag, if the row still has status `expected`; otherwise nothing."""

    carries_on = True

    command_id: str
    expected: Status
    tag: Tag
    reason: str


# Step 4: execute.


@dataclass(frozen=True, slots=True)
class PlaceOrder(AboutOrder):
    """To BrokerProxy. Exits are served before entries."""

    order: Order

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.order.execution_type is ExecutionType.EXIT else Lane.NORMAL


@dataclass(frozen=True, slots=True)
class OrderAccepted(AboutOrder):
    """The broker's OMS took the order (protocol 15.1)."""

    order: Order
    broker_order_id: str


@dataclass(frozen=True, slots=True)
class OrderRefused(AboutOrder):
    """A plain refusal: nothing exists at the broker. `reason` is in the broker's own words."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class OrderNotSent(AboutOrder):
    """The request was never written: nothing exists at the broker (scenario A7), or it was not tried (A15, halt)."""

    order: Order
    tag: Tag
    reason: str


@dataclass(frozen=True, slots=True)
class OrderOutcomeUnknown(AboutOrder):
    """The request may have reached the broker and no verdict came back (scenarios A4-A6)."""

    order: Order
    reason: str


# Step 5: result.


@dataclass(frozen=True, slots=True)
class RecordAccepted(Message):
    """To OrderRepo (5A): store the broker's number."""

    carries_on = True

    command_id: str
    broker_order_id: str


@dataclass(frozen=True, slots=True)
class RecordUnknown(Message):
    """To OrderRepo: the row stays SENT_TO_BROKER without a number, marked unknown."""

    carries_on = True

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderStranded(Message):
    """To OrderRepo: an actor failed while it had this order in hand (scenario E4).

    A CREATED row FAILS with INTERNAL_ERROR; a row already SENT_TO_BROKER without a number becomes unknown.
    """

    carries_on = True

    command_id: str
    reason: str


# Step 6: watch.


@dataclass(frozen=True, slots=True)
class OrderReserved(AboutOrder):
    """From OrderRepo to ExecutionGuard: the row is SENT_TO_BROKER, so its reservation must stand."""

    order: Order


@dataclass(frozen=True, slots=True)
class WatchOrder(AboutOrder):
    """To OrderWatcher: the row is SENT_TO_BROKER; its number or unknown outcome may follow by another WatchOrder."""

    order: Order


class ReadFailure(StrEnum):
    """Why a read gave nothing: three different reactions (scenario B6)."""

    SESSION_EXPIRED = "SESSION_EXPIRED"
    UNREACHABLE = "UNREACHABLE"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class PositionsDoubted(Message):
    """From RiskManager to OrderWatcher: one read shows a loss beyond a limit; read positions again at once (G13)."""


@dataclass(frozen=True, slots=True)
class ReadOrderBook(Message):
    """To BrokerProxy: read the order book. `urgent` is a read for an exit: it is served, and counted, as one."""

    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str:
        # Not merged into one that is not urgent: that one may wait.
        return "order_book:urgent" if self.urgent else "order_book"


@dataclass(frozen=True, slots=True)
class ReadTradeBook(Message):
    lane = Lane.READ
    conflation_key = "trade_book"


@dataclass(frozen=True, slots=True)
class ReadPositions(Message):
    """To BrokerProxy: read the position book. `urgent` is a read for an exit: it is served, and counted, as one."""

    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str:
        # Not merged into one that is not urgent: that one may wait.
        return "positions:urgent" if self.urgent else "positions"


@dataclass(frozen=True, slots=True)
class ReadHoldings(Message):
    """To BrokerProxy: read the delivered shares; answered with `HoldingsRead` to the name `reply_to`."""

    lane = Lane.READ
    conflation_key = "holdings"
    reply_to: str


@dataclass(frozen=True, slots=True)
class HoldingsRead(Message):
    """Delivered shares; None where they could not be read, which `problem` says."""

    holdings: tuple[BrokerHolding, ...] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OrderBookRead(Message):
    """The whole book of the day.

    `asked_at` is when the call began, by the steady clock: a verdict on absence needs it. `read_at` is the date and
    time of the answer.
    """

    reports: tuple[BrokerOrderReport, ...]
    asked_at: datetime
    read_at: datetime
    changed: tuple[str, ...] = ()
    """The broker's numbers of the rows that are not as in the read before."""

    def trace_text(self) -> str:
        """A stub: a book has all orders of the day in it."""
        shown = ", ".join(self.changed[:_SHOWN]) + (", …" if len(self.changed) > _SHOWN else "")
        news = f"{len(self.changed)} changed" + (f": {shown}" if shown else "")
        return f"OrderBookRead({_count(self.reports, 'order')}, {news}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class TradeBookRead(Message):
    trades: tuple[BrokerTrade, ...]
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub: a book has all trades of the day in it."""
        return f"TradeBookRead({_count(self.trades, 'trade')}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class PositionsRead(Message):
    """The position book; also passed on by OrderWatcher to RiskManager."""

    positions: tuple[BrokerPosition, ...]
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub: how many there are, and the first that are open."""
        return f"PositionsRead({_positions_text(self.positions)}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class OwnFill:
    """One order of ours as the order book lists it: `filled` there, None where the row does not say; `booked` here."""

    command_id: str
    exchange: str
    symbol: str
    product: Product
    sign: int
    filled: int | None
    booked: int


@dataclass(frozen=True, slots=True)
class VerifyAccount(Message):
    """From ExecutionGuard to OrderWatcher: an EXIT waits for reads of order book and positions begun after it came."""

    lane = Lane.URGENT
    conflation_key = "verify_account"


@dataclass(frozen=True, slots=True)
class AccountRead(Message):
    """From OrderWatcher to ExecutionGuard: positions, beside what the last order book read says of the account.

    `externals` are filled orders nobody here placed, `own` ours that are listed. `asked_at` and `orders_asked_at` are
    when each of the two reads began, by the steady clock; `read_at` is the date and time of the positions' answer.
    """

    positions: tuple[BrokerPosition, ...]
    externals: tuple[BrokerOrderReport, ...]
    own: tuple[OwnFill, ...]
    orders_asked_at: datetime
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub, as for the books it is made of."""
        return (
            f"AccountRead({_positions_text(self.positions)}, {_count(self.externals, 'external order')}, "
            f"{_count(self.own, 'order')} of ours, {_asked(self.asked_at)})"
        )


class Book(StrEnum):
    ORDERS = "order book"
    TRADES = "trade book"
    POSITIONS = "position book"


@dataclass(frozen=True, slots=True)
class BookUnreadable(Message):
    """A read failed: states stay as they are; never read as "nothing there" (scenario B5)."""

    book: Book
    failure: ReadFailure
    reason: str


@dataclass(frozen=True, slots=True)
class RecordReport(Message):
    """To OrderRepo: what the broker says of this order, with its trades known so far."""

    carries_on = True

    command_id: str
    report: BrokerOrderReport
    fills: tuple[Fill, ...]

    @property
    def conflation_key(self) -> str | None:
        """Each read of the book says the same again until OrderRepo has come to it: once is enough to wait."""
        return None if self.fills else f"{self.command_id} {hash(self.report)}"


@dataclass(frozen=True, slots=True)
class RecordAbsent(Message):
    """To OrderRepo: an unknown order is proven absent: enough successful reads after the grace period (scenario A2).

    With `Tag.BROKER_EXPIRED`: its trading day is over, so no book can show it any more (scenario B7).
    """

    carries_on = True

    command_id: str
    reason: str
    tag: Tag = Tag.BROKER_NOT_FOUND


@dataclass(frozen=True, slots=True)
class FillBooked(AboutOrder):
    """From OrderRepo, committed: one trade of one order. `order` is the row after it."""

    order: Order
    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderSettled(AboutOrder):
    """From OrderRepo, committed: the row is final. Reservations are freed, watching ends."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderUpdate(AboutOrder):
    """To the strategy that owns the order: every committed change; with `fill` when the change is a trade.

    `missed` says that the fill was booked in an earlier run, which ended before the strategy had taken it.
    """

    order: Order
    result: OrderResult
    fill: Fill | None = None
    missed: bool = False


@dataclass(frozen=True, slots=True)
class MissedFillsWanted(Message):
    """To OrderRepo, once, from a strategy that starts: fills it has not taken yet, then every further one (B10)."""

    strategy: str


@dataclass(frozen=True, slots=True)
class FillTaken(Message):
    """To OrderRepo: the strategy has handled this fill; it is not told again after a restart."""

    command_id: str
    broker_trade_id: str


# The push feed: what it says comes sooner than the next read of the books, which stay the truth.


@dataclass(frozen=True, slots=True)
class FeedSession(Message):
    """From BrokerProxy to OrderFeed: a session is up; the push connection needs its token."""

    token: str


@dataclass(frozen=True, slots=True)
class FeedSessionLost(Message):
    """To OrderFeed: REST does not accept the token any more; another one follows, or a person must look."""


@dataclass(frozen=True, slots=True)
class OrderPushed(Message):
    """From OrderFeed to OrderWatcher: an order changed at the broker, and the trade if the change is one."""

    report: BrokerOrderReport
    trade: BrokerTrade | None = None


@dataclass(frozen=True, slots=True)
class PushesMissed(Message):
    """From OrderFeed to OrderWatcher: read the books, something may have been missed (protocol 9.3 rule 5)."""

    reason: str


class FeedStanding(StrEnum):
    """Whether the push feed makes things sooner now. Orders are taken in each case: the books are read as always."""

    OFF = "OFF"
    """Switched off by `[broker] push_feed`."""
    WAITING = "WAITING"
    """Not connected yet in this run."""
    CONNECTED = "CONNECTED"
    DOWN = "DOWN"
    """It connects again by itself, or waits for a new session where the broker refused the token."""


@dataclass(frozen=True, slots=True)
class FeedStateWanted(Message):
    """Asked of OrderFeed; answered with `FeedState`."""


@dataclass(frozen=True, slots=True)
class FeedState(Message):
    """The push feed: how it stands `since` when and why, and when the broker's last frame of any kind came."""

    standing: FeedStanding
    since: datetime
    reason: str
    heard_at: datetime | None


# State that survives a restart: asked for at start and after a rebuild.


@dataclass(frozen=True, slots=True)
class Holding:
    """What a strategy holds: signed quantity; `basket` is the basket it was entered with.

    `opened_at` is when the first fill of the holding happened, None where the record does not say.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    basket: str | None = None
    opened_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ExternalFill:
    """What one external order filled: signed quantity; `at` is the exchange's time of its last event.

    `settled` is how much of it (unsigned) was seen while no strategy held anything there: it closed nothing of ours,
    whatever the clocks say.
    """

    number: str
    quantity: int
    at: datetime | None
    price: Decimal | None
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What of an account's position was nobody's when it was last reconciled.

    `quantity` is the broker's net quantity less the strategies' own fills; `fills` are the external orders of which it
    knows. Those that may have closed a holding are kept as long as there is one, also when their book is gone.
    """

    exchange: str
    symbol: str
    product: Product
    quantity: int
    fills: tuple[ExternalFill, ...] = ()

    @property
    def account(self) -> tuple[str, str, Product]:
        return (self.exchange, self.symbol, self.product)


@dataclass(frozen=True, slots=True)
class RecordBaselines(Message):
    """To OrderRepo, from ExecutionGuard: what is nobody's now, kept for the next run."""

    baselines: tuple[Baseline, ...]


class Correction(StrEnum):
    """Why what a strategy holds was corrected, beside its own fills."""

    EXTERNAL_ORDER = "EXTERNAL_ORDER"
    """An order that nobody here placed closed it."""
    ADOPTED = "ADOPTED"
    """A person gave a position of the account to the strategy."""
    WRITTEN_OFF = "WRITTEN_OFF"
    """A person wrote off what the broker does not have."""
    CONVERTED = "CONVERTED"
    """It was converted to another product at the broker."""
    EXPIRED = "EXPIRED"
    """The contract ended."""


@dataclass(frozen=True, slots=True)
class ExternalClose:
    """A correction of what a strategy holds: most often, somebody closed a part by the order `broker_order_id`.

    `quantity` is signed as what the close adds: minus for a long holding that was sold. `beyond`: an EXIT of ours
    filled although this order had closed the holding, so that the strategy now stands the other way.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    price: Decimal
    broker_order_id: str
    beyond: bool = False
    kind: Correction = Correction.EXTERNAL_ORDER
    note: str = ""


@dataclass(frozen=True, slots=True)
class RecordExternalClose(Message):
    """To OrderRepo, from ExecutionGuard: positions and an external order prove this close, or `close.kind` says what.

    `baselines` are kept together with it. `reply_to` is told `PositionAdopted`.
    """

    close: ExternalClose
    trading_day: date
    baselines: tuple[Baseline, ...] = ()
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class AdoptPosition(Message):
    """To ExecutionGuard, from a person: give so much of a position to a strategy, or write so much off.

    `quantity` is unsigned. Answered with `PositionAdopted` to the name `reply_to`.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    write_off: bool
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class PositionAdopted(Message):
    """What came of it: the correction that is recorded, or why it is refused."""

    correction: ExternalClose | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HoldingClosed(Message):
    """From OrderRepo to ExecutionGuard and RiskManager, committed: what the strategy holds is corrected."""

    close: ExternalClose
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardStateWanted(Message):
    """To OrderRepo; answered to ExecutionGuard with `GuardState`."""

    trading_day: date


@dataclass(frozen=True, slots=True)
class GuardState(Message):
    """Holdings from the booked fills, and every order at the broker (its open quantity is reserved).

    `created` names the rows still CREATED: a reservation the guard has made for one of them stands. `closes` says how
    much of each external order has explained a close already, `corrections` the sum of all corrections of a position,
    `baselines` what of the account was nobody's when it was last reconciled.
    """

    holdings: tuple[Holding, ...]
    open_orders: tuple[Order, ...]
    created: frozenset[str] = frozenset()
    closes: tuple[tuple[str, int], ...] = ()
    corrections: tuple[tuple[str, str, Product, int], ...] = ()
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading is halted: no ENTRY and no ADJUST is sent, EXITs are."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LossRun:
    """A strategy's losing exits in a row, and until when it cools down."""

    strategy: str
    losses: int
    cooldown_until: datetime | None


@dataclass(frozen=True, slots=True)
class Breach:
    """The daily loss limit was reached on this trading day; ENTRY and ADJUST wait for the next."""

    trading_day: date
    pnl: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class RiskStateWanted(Message):
    """To OrderRepo; answered to RiskManager with `RiskState`."""

    trading_day: date


@dataclass(frozen=True, slots=True)
class RiskState(Message):
    """`lots` are what strategies hold with their average entry prices, from which a losing exit is told.

    `halted_strategies` are those halted alone, name and reason; `max_loss_mark` is the day's loss from which max_loss
    counts on after it halted; `traded` are exchange and symbol of each order of the day that filled.
    """

    halt: Halt | None
    breach: Breach | None
    loss_runs: tuple[LossRun, ...]
    open_orders: tuple[Order, ...]
    orders_today: int
    trading_day: date
    lots: tuple[tuple[Holding, Decimal], ...] = ()
    halted_strategies: tuple[tuple[str, str], ...] = ()
    max_loss_mark: Decimal | None = None
    traded: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenOrdersWanted(Message):
    """To OrderRepo; answered to OrderWatcher with `OpenOrders`. `ended_since` is a trading day."""

    ended_since: date


@dataclass(frozen=True, slots=True)
class OpenOrders(Message):
    """Every row SENT_TO_BROKER, and those of the days asked for that ended: a fill may still come (scenario B12)."""

    orders: tuple[Order, ...]
    ended: tuple[Order, ...] = ()

    def trace_text(self) -> str:
        """A stub: a day's orders."""
        return f"OpenOrders({len(self.orders)} open, {len(self.ended)} ended)"


@dataclass(frozen=True, slots=True)
class SaveBreach(Message):
    """To OrderRepo: the daily limit is reached; kept for the trading day."""

    breach: Breach


@dataclass(frozen=True, slots=True)
class SaveMaxLossMark(Message):
    """To OrderRepo: max_loss halted trading at this P&L of the day, or a person resumed at it (scenario G15)."""

    trading_day: date
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class SaveStrategyHalt(Message):
    """To OrderRepo: a strategy is halted alone, until somebody resumes trading."""

    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class SaveLossRun(Message):
    """To OrderRepo: a strategy's losing exits in a row and its cooldown."""

    run: LossRun


@dataclass(frozen=True, slots=True)
class NotePnl(Message):
    """To OrderRepo, from the dashboard once a minute: a point of the day's P&L in rupees, for the next run's chart.

    Where the database cannot take it, the point is lost and nothing else: the chart has others.
    """

    trading_day: date
    at: datetime
    pnl: Decimal


# Halt: the kill switch.


@dataclass(frozen=True, slots=True)
class SetHalt(Message):
    """To OrderRepo: halt trading. Answered with `HaltChanged`; repeated halts keep the first reason."""

    lane = Lane.URGENT
    reason: str
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class ClearHalt(Message):
    """To OrderRepo: resume trading. Answered with `HaltChanged`."""

    lane = Lane.URGENT
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class HaltChanged(Message):
    """From OrderRepo, committed; to RiskManager, BrokerProxy and Notifier. None means trading is on."""

    lane = Lane.URGENT
    halt: Halt | None


@dataclass(frozen=True, slots=True)
class HaltStrategy(Message):
    """To RiskManager: this strategy keeps failing; it alone opens no risk until trading is resumed (scenario E9)."""

    lane = Lane.URGENT
    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class SquareOff(Message):
    """To ExecutionGuard: cancel what rests, and submit an EXIT for what strategies hold intraday or carried.

    Nothing for delivery (CNC) is touched. `strategy` and `symbol` narrow it. Answered with `SquareOffBegun` to the name
    `reply_to`.
    """

    reason: str
    source: Source
    strategy: str | None = None
    symbol: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class SquareOffBegun(Message):
    """The EXITs submitted at once, as every order, and the command ids of the orders that are cancelled first.

    Where an order rests, an EXIT follows when the book shows it gone.
    """

    exits: tuple[OrderIntent, ...]
    cancels: tuple[str, ...] = ()


# Cancelling.


class CancelStanding(StrEnum):
    """What became of a wish to cancel. Only CANCELLED says that the order is over; else its row tells."""

    CANCELLED = "CANCELLED"
    """It had not been sent and never will be."""
    TAKEN = "TAKEN"
    """The broker took the request; the order is over once the book says so."""
    UNKNOWN = "UNKNOWN"
    """The broker's answer is not known; pending until the book tells (scenario C10)."""
    REFUSED = "REFUSED"
    """The broker refused, most often because the order is over; the book tells, nothing is repeated (C11)."""
    NOT_SENT = "NOT_SENT"
    """The request was never written; it may be tried again."""
    OVER = "OVER"
    """The order was final already."""
    NO_NUMBER = "NO_NUMBER"
    """Sent, and the broker's number is not known yet: there is nothing a cancel could name."""
    NO_ORDER = "NO_ORDER"
    """There is no such order."""


@dataclass(frozen=True, slots=True)
class CancelOrder(Message):
    """To OrderRepo: somebody wants an order gone. Answered with `CancelAnswer` to the name `reply_to`."""

    lane = Lane.URGENT
    command_id: str
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class CancelAtBroker(AboutOrder):
    """To BrokerProxy: one cancel call, served with the exits. `reply_to` travels on to `CancelReported`."""

    lane = Lane.URGENT
    order: Order
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class CancelReported(Message):
    """To OrderRepo: the broker's answer to a cancel, `reason` in its own words."""

    command_id: str
    standing: CancelStanding
    reason: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class CancelAnswer(Message):
    """To whoever wanted the cancel, once. What then becomes of the order, its row tells."""

    command_id: str
    standing: CancelStanding
    reason: str


# Session and readiness.


@dataclass(frozen=True, slots=True)
class SessionChanged(Message):
    """From BrokerProxy: the broker session came up or went down. `needs_person` means no retry will help (E2)."""

    up: bool
    reason: str
    needs_person: bool = False


@dataclass(frozen=True, slots=True)
class BrokerReadable(Message):
    """From OrderWatcher: order book and positions were read, open rows are watched; or reads keep failing."""

    readable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RecordWritable(Message):
    """From OrderRepo to CommandService: the database takes changes again, or has been away for more than a moment."""

    writable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ReadingSlowed(Message):
    """From BrokerProxy to CommandService: the call budget is short; empty when reading is as fast as it should be."""

    note: str


@dataclass(frozen=True, slots=True)
class StandingWanted(Message):
    """From CommandService, whose handler failed, to BrokerProxy, OrderWatcher and OrderRepo: say how it stands."""


@dataclass(frozen=True, slots=True)
class ServiceReady(Message):
    """From CommandService: orders are accepted. To strategies and the composition root."""


@dataclass(frozen=True, slots=True)
class ServiceStopping(Message):
    """To CommandService: take no new orders. To BrokerProxy: send none of those still waiting."""

    lane = Lane.URGENT
    reason: str


@dataclass(frozen=True, slots=True)
class DrainWanted(Message):
    """To OrderRepo: tell the name `reply_to` once no order stands between registration and step 5 (scenario E7)."""

    reply_to: str


@dataclass(frozen=True, slots=True)
class Drained(Message):
    """From OrderRepo: every order taken has its outcome recorded."""


@dataclass(frozen=True, slots=True)
class ReadinessWanted(Message):
    """Asked by the doors; answered with `Readiness`."""


@dataclass(frozen=True, slots=True)
class Readiness(Message):
    """`reasons` says what is missing; empty when ready. `notes` says what is worse than it should be meanwhile."""

    ready: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


# Looking in: asked by the doors, answered to the asker.


@dataclass(frozen=True, slots=True)
class GuardSnapshotWanted(Message):
    pass


@dataclass(frozen=True, slots=True)
class GuardLine:
    """One symbol of one strategy: held from fills, reserved by orders in flight (both signed)."""

    strategy: str
    exchange: str
    symbol: str
    product: Product
    held: int
    reserved: int
    basket: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Broker's net quantity less what strategies hold: positions of the account that no strategy here made."""

    exchange: str
    symbol: str
    product: Product | None
    broker: int
    held: int

    @property
    def unattributed(self) -> int:
        return self.broker - self.held


@dataclass(frozen=True, slots=True)
class GuardSnapshot(Message):
    lines: tuple[GuardLine, ...]
    differences: tuple[Difference, ...]
    reconciled_at: datetime | None


@dataclass(frozen=True, slots=True)
class RiskSnapshotWanted(Message):
    pass


@dataclass(frozen=True, slots=True)
class RiskSnapshot(Message):
    """Limits and their use.

    `entry_blocked` says why an ENTRY would be refused now; None when it would pass. `halted_strategies` has the name
    and the reason of each strategy that is halted alone (scenario E9).
    """

    trading_day: date
    pnl: Decimal | None
    pnl_age_s: float | None
    halt: Halt | None
    breach: Breach | None
    loss_runs: tuple[LossRun, ...]
    open_orders: int
    orders_today: int
    entry_blocked: str | None
    halted_strategies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PositionsWanted(Message):
    """Asked of OrderWatcher; answered with the last `PositionsRead`, or `BookUnreadable` before the first."""


@dataclass(frozen=True, slots=True)
class ExternalOrdersWanted(Message):
    """Asked of OrderWatcher; answered with `ExternalOrders`."""


@dataclass(frozen=True, slots=True)
class ExternalOrders(Message):
    """Orders of today's book that nobody here placed (scenario B9)."""

    orders: tuple[BrokerOrderReport, ...]

    def trace_text(self) -> str:
        """A stub: who trades by phone may have hundreds."""
        shown = ", ".join(report.broker_order_id for report in self.orders[:_SHOWN])
        return f"ExternalOrders({_count(self.orders, 'order')}{': ' if shown else ''}{shown})"


# Strategies.


@dataclass(frozen=True, slots=True)
class ReadQuote(Message):
    """To BrokerProxy: the touchline of one instrument; answered with `QuoteRead` or `QuoteUnreadable`."""

    exchange: str
    symbol: str
    reply_to: str

    lane = Lane.READ

    @property
    def conflation_key(self) -> str:
        return f"quote:{self.exchange}:{self.symbol}:{self.reply_to}"


@dataclass(frozen=True, slots=True)
class QuoteRead(Message):
    quote: Quote


@dataclass(frozen=True, slots=True)
class QuoteUnreadable(Message):
    exchange: str
    symbol: str
    reason: str


# What the pages show beside orders.


@dataclass(frozen=True, slots=True)
class BrokerUseWanted(Message):
    """Asked of BrokerProxy; answered with `BrokerUse`."""


@dataclass(frozen=True, slots=True)
class BrokerUse(Message):
    """Session, queue and rates of the broker. Limits of 0 mean none; `calls` counts by kind since the start."""

    session_up: bool
    session_reason: str
    needs_person: bool
    waiting: int
    last_second: int
    last_minute: int
    per_second: int
    per_minute: int
    calls: tuple[tuple[str, int], ...]
    slowed: str = ""
    """What is read more slowly than it should be, since the call budget is short; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class RecentAlertsWanted(Message):
    """Asked of Notifier; answered with `RecentAlerts`."""


@dataclass(frozen=True, slots=True)
class RecentAlerts(Message):
    """The last alerts with their times, newest first, and what Telegram did not take; None when it took all."""

    alerts: tuple[tuple[datetime, Alert], ...]
    undelivered: str | None = None


@dataclass(frozen=True, slots=True)
class FindInstruments(Message):
    """To BrokerProxy: instruments whose symbol holds `text`; answered with `InstrumentsFound` to `reply_to`."""

    lane = Lane.READ
    exchange: str
    text: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class InstrumentsFound(Message):
    """What the broker's search gave; `problem` says why it gave nothing."""

    instruments: tuple[Listing, ...]
    problem: str | None = None


# Telling a person.


class Severity(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class Alert(Message):
    """To Notifier: something a person should know. `kind` groups alerts of one sort for rate limiting."""

    severity: Severity
    kind: str
    text: str
    command_id: str | None = None
