"""An order's way through the six steps, as messages. Read this file first.

Commands are imperatives (`RegisterOrder`), events are past tense (`OrderRegistered`), what the broker said are reports
(`OrderBookRead`). Messages are frozen and carry values, never live objects; an addressee travels as a name.

    source --SubmitOrder--> CommandService --RegisterOrder--> OrderRepo --OrderRegistered--> TradingBot
    TradingBot --CheckRisk--> RiskManager --RiskPassed--> TradingBot
    TradingBot --CheckGuard--> ExecutionGuard --GuardPassed--> TradingBot
    TradingBot --MarkSent--> OrderRepo --OrderMarkedSent--> TradingBot --PlaceOrder--> BrokerProxy
    TradingBot --PlaceOrder--> Prices --PlaceOrder--> BrokerProxy, for an order without a price of its own
    BrokerProxy --RecordPrice--> OrderRepo, by what such an order was priced
    BrokerProxy --VerifyAgain--> ExecutionGuard --PlaceOrder--> BrokerProxy, for an EXIT that waited for its call
    ExecutionGuard --ExitDoubted--> BrokerProxy, for an EXIT that a read leaves less to close since it was let go
    BrokerProxy --OrderAccepted | OrderRefused | OrderNotSent | OrderOutcomeUnknown--> TradingBot
    TradingBot --RecordAccepted | FailOrder | RecordUnknown--> OrderRepo --OrderAnswer--> caller
    OrderWatcher --ReadOrderBook--> BrokerProxy --OrderBookRead--> OrderWatcher --RecordReport--> OrderRepo
    OrderRepo --FillBooked, OrderSettled--> ExecutionGuard, RiskManager, OrderWatcher; OrderUpdate--> strategy
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from core.messages.base import Lane, Message
from core.model.broker import Quote
from core.model.order import (
    ExecutionType,
    Fill,
    Order,
    OrderIntent,
    OrderResult,
    Problem,
    RawIntent,
    Source,
    Status,
    Tag,
)

__all__ = [
    "AboutOrder",
    "CancelAnswer",
    "CancelAtBroker",
    "CancelOrder",
    "CancelReported",
    "CancelStatus",
    "CheckGuard",
    "CheckRisk",
    "ExitDoubted",
    "FailOrder",
    "FillBooked",
    "FillDelivered",
    "GetMissedFills",
    "GuardBlocked",
    "GuardPassed",
    "MarkSent",
    "OrderAbandoned",
    "OrderAccepted",
    "OrderAnswer",
    "OrderMarkedSent",
    "OrderNotSent",
    "OrderOutcomeUnknown",
    "OrderRefused",
    "OrderRegistered",
    "OrderReserved",
    "OrderSettled",
    "OrderUpdate",
    "PlaceOrder",
    "RecordAccepted",
    "RecordPrice",
    "RecordUnknown",
    "RegisterOrder",
    "RegisterRefusal",
    "RiskBlocked",
    "RiskPassed",
    "RiskUse",
    "SubmitOrder",
    "Verified",
    "VerifyAgain",
]


class AboutOrder(Message):
    """A message that carries an order; it belongs to that order's command."""

    __slots__ = ()

    # No full mailbox loses an order on its way: the bounds refuse at the entrance, where the answer is at once.
    carries_on = True

    if TYPE_CHECKING:
        order: Order

    @property
    def command_id(self) -> str:
        """The command, by which the envelope is traced."""
        return self.order.command_id


@dataclass(frozen=True, slots=True)
class SubmitOrder(Message):
    """To CommandService: somebody wants an order. The answer, one `OrderAnswer`, goes to the name `reply_to`.

    `age_s` is how long ago its sender made it, where that is known (signed requests): its send deadline began then.
    """

    intent: OrderIntent | RawIntent
    source: Source
    reply_to: str | None = None
    age_s: float = 0.0


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
class Verified:
    """Travels with an EXIT: when the account was last looked at for it, by the steady clock.

    Attributes:
        at: When the guard let it go; where it is unread, when the guard began to look.
        unread: The account could not be read, and the EXIT goes all the same.
        looks: How often the guard has let it go.
        why: Why it was cut, or goes unverified.
    """

    at: datetime
    unread: bool = False
    looks: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True)
class GuardPassed(AboutOrder):
    """The reservation stands. `order.quantity` and `order.product` are what may be sent (an EXIT may be cut)."""

    order: Order
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class GuardBlocked(AboutOrder):
    order: Order
    tag: Tag
    reason: str


@dataclass(frozen=True, slots=True)
class MarkSent(AboutOrder):
    """To OrderRepo: CREATED to SENT_TO_BROKER, if it is still CREATED and no other order of this symbol is open."""

    order: Order
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class OrderMarkedSent(AboutOrder):
    """SENT_TO_BROKER is committed: the broker may be called (law 1). `order` is one broker order of its command."""

    order: Order
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class FailOrder(Message):
    """To OrderRepo: FAILED with this tag, if the row still has status `expected`; otherwise nothing.

    Once it was sent, this is about one broker order of the command: `part`.
    """

    carries_on = True

    command_id: str
    expected: Status
    tag: Tag
    reason: str
    part: int = 1


@dataclass(frozen=True, slots=True)
class PlaceOrder(AboutOrder):
    """To BrokerProxy: one broker order. Exits are served before entries.

    A MARKET or SL-M order comes by way of Prices, which adds `price`, the last that it believes, where there is one;
    its age is that of `priced_at`, by the steady clock.
    """

    order: Order
    verified: Verified | None = None
    price: Quote | None = None
    priced_at: datetime | None = None

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.order.execution_type is ExecutionType.EXIT else Lane.NORMAL


@dataclass(frozen=True, slots=True)
class VerifyAgain(AboutOrder):
    """To ExecutionGuard: this EXIT waited for its call, so the account may be another one by now.

    The answer is another `PlaceOrder`, or `OrderNotSent` to TradingBot.
    """

    order: Order
    verified: Verified


@dataclass(frozen=True, slots=True)
class ExitDoubted(AboutOrder):
    """To BrokerProxy: a read since this EXIT was let go leaves less to close. It is verified again if it waits yet."""

    # It must come before the `PlaceOrder` that waits beside it.
    lane = Lane.CONTROL

    order: Order


@dataclass(frozen=True, slots=True)
class OrderAccepted(AboutOrder):
    """The broker's OMS took the order (protocol 15.1)."""

    order: Order
    broker_order_id: str
    verified: Verified | None = None


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
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class RecordAccepted(Message):
    """To OrderRepo (5A): store the broker_order_id. The next slice of the command goes by what was `verified`."""

    carries_on = True

    command_id: str
    broker_order_id: str
    part: int = 1
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class RecordPrice(Message):
    """To OrderRepo: by which price, of what age and source, an order without one was sent as a limit."""

    carries_on = True

    command_id: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordUnknown(Message):
    """To OrderRepo: the row stays SENT_TO_BROKER without a number, marked unknown."""

    carries_on = True

    command_id: str
    reason: str
    part: int = 1
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class OrderAbandoned(Message):
    """To OrderRepo: an actor failed while it had this order in hand (scenario E4).

    A CREATED row FAILS with INTERNAL_ERROR; a row already SENT_TO_BROKER without a number becomes unknown.
    """

    carries_on = True

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderReserved(AboutOrder):
    """From OrderRepo to ExecutionGuard: the row is SENT_TO_BROKER, so its reservation must stand."""

    order: Order


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
class GetMissedFills(Message):
    """To OrderRepo, once, from a strategy that starts: fills it has not taken yet, then every further one (B10)."""

    strategy: str


@dataclass(frozen=True, slots=True)
class FillDelivered(Message):
    """To OrderRepo: the strategy has handled this fill; it is not told again after a restart."""

    command_id: str
    broker_trade_id: str


class CancelStatus(StrEnum):
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
    """Sent, and the broker_order_id is not known yet: there is nothing a cancel could name."""
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
    standing: CancelStatus
    reason: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class CancelAnswer(Message):
    """To whoever wanted the cancel, once. What then becomes of the order, its row tells."""

    command_id: str
    standing: CancelStatus
    reason: str
