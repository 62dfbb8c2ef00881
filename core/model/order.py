"""The order: intent, row, status, transitions, tags.

Read this after `core/messages.py`. Everything here is an immutable value; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from core.model.protect import Protect

__all__ = [
    "FINAL",
    "NEVER_AT_BROKER",
    "TAGS",
    "TRANSITIONS",
    "ExecutionType",
    "Fill",
    "Modification",
    "Order",
    "OrderIntent",
    "OrderResult",
    "OrderType",
    "Problem",
    "Product",
    "RawIntent",
    "Side",
    "Source",
    "Status",
    "Tag",
    "TagNote",
    "Terms",
    "Validity",
    "legal",
]


class Status(StrEnum):
    """Where an order stands. What lies between (partly filled, outcome unknown) is told by other columns."""

    CREATED = "CREATED"
    SENT_TO_BROKER = "SENT_TO_BROKER"
    EXECUTED = "EXECUTED"
    FAILED = "FAILED"


FINAL = frozenset({Status.EXECUTED, Status.FAILED})

# The whole life of a row. `None` is "no row yet". A final row keeps its status for ever; a late fill is an amendment,
# recorded as an event from a status to itself (scenario B12, law 3).
TRANSITIONS: Mapping[tuple[Status | None, Status], str] = {
    (None, Status.CREATED): "step 1: registered",
    (None, Status.FAILED): "step 1: the intent could be read and is not valid",
    (
        Status.CREATED,
        Status.SENT_TO_BROKER,
    ): "step 3: all blockers passed, committed before the broker is called",
    (Status.CREATED, Status.FAILED): "step 2: blocked; or never sent because the service stopped or erred",
    (Status.SENT_TO_BROKER, Status.EXECUTED): "step 6B: COMPLETE at the broker",
    (
        Status.SENT_TO_BROKER,
        Status.FAILED,
    ): "step 5B or 6A: refused, ended without completing, or proven absent",
}


def legal(before: Status | None, after: Status) -> bool:
    """Whether a row may go from `before` to `after` (`TRANSITIONS`)."""
    return (before, after) in TRANSITIONS


class TagNote(NamedTuple):
    """What a tag means and what the operator does next."""

    meaning: str
    next_step: str


class Tag(StrEnum):
    """Why an order FAILED. A closed set: `TAGS` gives each its meaning."""

    VALIDATION_FAILED = "VALIDATION_FAILED"
    RISK_LIMITS_EXCEEDED = "RISK_LIMITS_EXCEEDED"
    EXECUTION_GUARD_BLOCKED = "EXECUTION_GUARD_BLOCKED"
    POSITION_ALREADY_FLAT = "POSITION_ALREADY_FLAT"
    DUPLICATE_ORDER_BLOCKED = "DUPLICATE_ORDER_BLOCKED"
    CANCELLED_BEFORE_SENDING = "CANCELLED_BEFORE_SENDING"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    NEVER_SENT = "NEVER_SENT"
    SERVICE_NOT_READY = "SERVICE_NOT_READY"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DATABASE_ERROR = "DATABASE_ERROR"
    BROKER_NOT_SENT = "BROKER_NOT_SENT"
    BROKER_REJECTED = "BROKER_REJECTED"
    BROKER_CANCELLED = "BROKER_CANCELLED"
    BROKER_EXPIRED = "BROKER_EXPIRED"
    BROKER_NOT_FOUND = "BROKER_NOT_FOUND"


TAGS: Mapping[Tag, TagNote] = {
    Tag.VALIDATION_FAILED: TagNote(
        "A field of the intent is missing, unknown or out of range; the reason names it.",
        "Correct the sender and submit again.",
    ),
    Tag.RISK_LIMITS_EXCEEDED: TagNote(
        "Step 2A: a risk limit is reached, trading is halted, or the day's P&L is not known freshly enough.",
        "Read the numbers in the reason; wait for the cooldown, the next trading day, or resume a halt.",
    ),
    Tag.EXECUTION_GUARD_BLOCKED: TagNote(
        "Step 2B: the order does not fit the strategy's position, for instance a second ENTRY.",
        "Exit first, use ADJUST, or put the legs into one basket.",
    ),
    Tag.POSITION_ALREADY_FLAT: TagNote(
        "Step 2B: an EXIT with nothing left to exit: flat, or other exits in flight cover it.",
        "Nothing to do; look at the exits already sent.",
    ),
    Tag.DUPLICATE_ORDER_BLOCKED: TagNote(
        "Step 2C: the strategy has an open order in this symbol.",
        "Wait for the open order or cancel it.",
    ),
    Tag.CANCELLED_BEFORE_SENDING: TagNote(
        "Cancelled by a person or program before it was sent; the broker never saw it.",
        "Nothing to do.",
    ),
    Tag.DEADLINE_PASSED: TagNote(
        "The order waited longer than its send deadline and was not sent.",
        "Submit again if it is still wanted; look for a slow broker or spent rate limits.",
    ),
    Tag.NEVER_SENT: TagNote(
        "The service stopped between registering the order and sending it; the broker never saw it.",
        "Submit again if it is still wanted.",
    ),
    Tag.SERVICE_NOT_READY: TagNote(
        "The service could not take new orders: starting, stopping, or the broker cannot be read.",
        "Look at /readyz for the reason; submit again when ready.",
    ),
    Tag.IDEMPOTENCY_KEY_REUSED: TagNote(
        "The idempotency key belongs to another order, which the answer names; this one was neither recorded nor sent.",
        "Give every order a key of its own, and submit again if it is still wanted. No row has this tag.",
    ),
    Tag.INTERNAL_ERROR: TagNote(
        "An error in Sixstep before the order was sent; the broker never saw it.",
        "Look into the log for the command id and report it.",
    ),
    Tag.DATABASE_ERROR: TagNote(
        "The database could not record the order, so it was not sent.",
        "Look at disk space and at the database; submit again.",
    ),
    Tag.BROKER_NOT_SENT: TagNote(
        "No connection to the broker, or no quote to price the order by: it was not placed, it does not exist there.",
        "Look at network and session; safe to submit again.",
    ),
    Tag.BROKER_REJECTED: TagNote(
        "The broker or the exchange refused the order; the reason has its own words.",
        "Correct what the words name; submit again.",
    ),
    Tag.BROKER_CANCELLED: TagNote(
        "Cancelled at the broker; filled_quantity tells what had been filled before.",
        "Look whether a person, the broker or the exchange cancelled it.",
    ),
    Tag.BROKER_EXPIRED: TagNote(
        "Its validity ended at the exchange; filled_quantity tells what had been filled before. Where the reason says "
        "that its trading day is over: no book is left that could tell what it filled in the end.",
        "Submit again if it is still wanted; compare positions first where the reason says so.",
    ),
    Tag.BROKER_NOT_FOUND: TagNote(
        "The outcome of sending was unknown, and repeated successful reads prove the broker never had the order.",
        "Safe to submit again.",
    ),
}


# Tags of rows that never reached the broker's OMS: they do not count as orders sent.
NEVER_AT_BROKER = frozenset(
    {
        Tag.VALIDATION_FAILED,
        Tag.RISK_LIMITS_EXCEEDED,
        Tag.EXECUTION_GUARD_BLOCKED,
        Tag.POSITION_ALREADY_FLAT,
        Tag.DUPLICATE_ORDER_BLOCKED,
        Tag.CANCELLED_BEFORE_SENDING,
        Tag.DEADLINE_PASSED,
        Tag.NEVER_SENT,
        Tag.SERVICE_NOT_READY,
        Tag.IDEMPOTENCY_KEY_REUSED,
        Tag.INTERNAL_ERROR,
        Tag.DATABASE_ERROR,
        Tag.BROKER_NOT_SENT,
    }
)


# For these the broker was never called. BROKER_NOT_SENT is not among them: a call was begun.
_NEVER_CALLED_FOR = NEVER_AT_BROKER - {Tag.BROKER_NOT_SENT}


class ExecutionType(StrEnum):
    """What an order is for: opening, closing, or changing what a strategy holds."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"
    ADJUST = "ADJUST"


class Side(StrEnum):
    """BUY or SELL; `sign` turns a quantity into a signed one."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Product(StrEnum):
    """Intraday (MIS), carried forward (NRML) or delivery (CNC)."""

    MIS = "MIS"
    NRML = "NRML"
    CNC = "CNC"


class OrderType(StrEnum):
    """LIMIT, MARKET, stop-loss limit (SL) or stop-loss market (SL-M)."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    SL = "SL"
    SL_M = "SL-M"

    @property
    def has_price(self) -> bool:
        """Whether the order carries a limit price."""
        return self in (OrderType.LIMIT, OrderType.SL)

    @property
    def has_trigger(self) -> bool:
        """Whether the order carries a trigger price."""
        return self in (OrderType.SL, OrderType.SL_M)


class Validity(StrEnum):
    """Good for the day, or immediate-or-cancel."""

    DAY = "DAY"
    IOC = "IOC"


class Source(StrEnum):
    """Where an intent came from."""

    STRATEGY = "STRATEGY"
    WEBHOOK = "WEBHOOK"
    DASHBOARD = "DASHBOARD"
    TELEGRAM = "TELEGRAM"
    CLI = "CLI"
    RISK = "RISK"
    PROTECTION = "PROTECTION"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an intent: which field, and what would be right."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class RawIntent:
    """An intent as it came from outside: field names and JSON values, not yet validated."""

    fields: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What a strategy or person wants. Prices in rupees, quantity in units (not lots).

    `product` may be None only for an EXIT, which then uses the product of what is held (scenario C5). `basket` names
    the legs that enter together. `idempotency_key` makes a repeated submission the same order (scenario A13); with
    another intent it is refused (G8). `protect` of an ENTRY protects what it fills; the row of the order has none.
    """

    strategy: str
    execution_type: ExecutionType
    exchange: str
    symbol: str
    side: Side
    quantity: int
    product: Product | None
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    validity: Validity = Validity.DAY
    idempotency_key: str | None = None
    basket: str | None = None
    protect: Protect | None = None

    def terms(self) -> str:
        """What is wanted, on one line."""
        said = [self.strategy, self.execution_type.value, self.side.value, str(self.quantity)]
        said += [f"{self.exchange}:{self.symbol}", self.order_type.value]
        said += [str(price) for price in (self.price, self.trigger_price) if price is not None]
        said += [self.product.value] if self.product is not None else []
        said += [self.validity.value] if self.validity is not Validity.DAY else []
        said += [f"({self.protect})"] if self.protect is not None else []
        return " ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What of an order can be changed at the broker. `quantity` is the total: filled and still wanted together."""

    quantity: int
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None

    def __str__(self) -> str:
        trigger = "" if self.trigger_price is None else f" trigger {self.trigger_price:f}"
        return f"{self.quantity} {self.order_type}{'' if self.price is None else f' {self.price:f}'}{trigger}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Modification:
    """Other terms that were asked for, until the order book says whether they hold.

    `answered`: the broker took the request, or its answer is not known; before that it may not have been asked yet.
    """

    terms: Terms
    by: str
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A row of `orders`: the intent and what has become of it.

    `quantity` is what is sent: the guard may have cut an EXIT below `intent.quantity`. `unknown` means sent, and the
    broker's answer is not known yet. `average_price` is in rupees, None until something filled. `deadline` is the
    latest time, by the steady clock, at which the order may still be sent.

    A command has one broker order, or several: `parts` of them, `broker_orders` in turn. Each is an order with the
    intent of the command, its own quantity, state and number, and its place `part`, counted from 1. One broker order
    alone is the command itself, and `broker_orders` is empty. `most_at_once` is the largest that the exchange takes as
    one order, zero where that is not known or does not matter; it is not kept once the order was sent.

    `modifying` are other terms that were asked for; only of a command with one broker order.
    """

    command_id: str
    account: str
    source: Source
    intent: OrderIntent
    quantity: int
    status: Status
    created_at: datetime
    updated_at: datetime
    trading_day: date
    deadline: datetime
    product: Product | None = None
    tag: Tag | None = None
    reason: str | None = None
    unknown: bool = False
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: Decimal | None = None
    part: int = 1
    parts: int = 1
    broker_orders: tuple[Order, ...] = ()
    most_at_once: int = 0
    modifying: Modification | None = None

    def trace_text(self) -> str:
        """The order in a trace, where it stands in each of some twenty envelopes: what it is, and what became of it."""
        became = [self.status.value]
        if self.tag is not None:
            became.append(self.tag.value)
        if self.unknown:
            became.append("unknown")
        if self.broker_order_id is not None:
            became.append(self.broker_order_id)
        if self.filled_quantity:
            became.append(f"filled {self.filled_quantity} at {self.average_price}")
        if self.modifying is not None:
            became.append(f"to be {self.modifying.terms}")
        cut = "" if self.quantity == self.intent.quantity else f" cut to {self.quantity}"
        product = "" if self.product == self.intent.product else f" as {self.product}"
        name = self.client_tag if self.part > 1 else self.command_id
        return f"Order({name} {self.intent.terms()}{cut}{product}: {' '.join(became)})"

    @property
    def strategy(self) -> str:
        return self.intent.strategy

    @property
    def exchange(self) -> str:
        return self.intent.exchange

    @property
    def symbol(self) -> str:
        return self.intent.symbol

    @property
    def side(self) -> Side:
        return self.intent.side

    @property
    def execution_type(self) -> ExecutionType:
        return self.intent.execution_type

    @property
    def terms(self) -> Terms:
        """What it is at the broker, as far as that is known."""
        intent = self.intent
        return Terms(
            quantity=self.quantity,
            order_type=intent.order_type,
            price=intent.price,
            trigger_price=intent.trigger_price,
        )

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def may_be_at_broker(self) -> bool:
        """Whether the broker could show this order: it was called for it, whatever the verdict was."""
        return self.broker_order_id is not None or self.tag not in _NEVER_CALLED_FOR

    @property
    def client_tag(self) -> str:
        """The client_order_id: what goes into `remarks`, by which an order is found at the broker (protocol 5.6)."""
        return self.command_id if self.part == 1 else f"{self.command_id}.{self.part}"

    @property
    def at_broker(self) -> tuple[Order, ...]:
        """Its broker orders, one by one."""
        return self.broker_orders or (self,)

    @property
    def is_answered(self) -> bool:
        """Whether step 5 is behind all of its broker orders: each has a number, an unknown outcome, or ended."""
        return self.is_final or all(
            one.is_final or one.unknown or one.broker_order_id is not None for one in self.at_broker
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one order. `at` is the exchange's time, or the time it was seen when the broker gives none."""

    broker_trade_id: str
    quantity: int
    price: Decimal
    at: datetime

    def trace_text(self) -> str:
        """The trade in a trace."""
        return f"Fill({self.broker_trade_id} {self.quantity} at {self.price} {self.at})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """The answer to whoever submitted an intent, and what strategies are told of later changes.

    `success` is True once the broker accepted or filled the order. `unknown` True means that the broker's answer is
    not known: neither a success nor a failure; an update follows. `problems` is set with tag VALIDATION_FAILED.
    With tag IDEMPOTENCY_KEY_REUSED nothing was recorded, and `command_id`, `status` and `broker_order_id` are those of
    the order that has the key.
    """

    success: bool
    command_id: str
    status: Status
    tag: Tag | None = None
    reason: str | None = None
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: Decimal | None = None
    unknown: bool = False
    problems: tuple[Problem, ...] = ()

    def trace_text(self) -> str:
        """The answer in a trace, in few words where all went well."""
        said = [self.command_id, self.status.value, "success" if self.success else "no success"]
        said += [f"{self.tag}"] if self.tag is not None else []
        said += ["unknown"] if self.unknown else []
        said += [self.broker_order_id] if self.broker_order_id is not None else []
        said += [f"filled {self.filled_quantity} at {self.average_price}"] if self.filled_quantity else []
        said += [repr(self.reason)] if self.reason is not None else []
        return f"OrderResult({' '.join([*said, *(repr(str(problem)) for problem in self.problems)])})"

    @classmethod
    def of(cls, order: Order) -> OrderResult:
        """The result that agrees with a row (law 8)."""
        return cls(
            success=order.status is Status.EXECUTED
            or (order.status is Status.SENT_TO_BROKER and order.broker_order_id is not None),
            command_id=order.command_id,
            status=order.status,
            tag=order.tag,
            reason=order.reason,
            broker_order_id=order.broker_order_id,
            filled_quantity=order.filled_quantity,
            average_price=order.average_price,
            unknown=order.unknown,
        )

    @classmethod
    def key_reused(cls, first: Order) -> OrderResult:
        """The result of a submission under a key that belongs to another order."""
        return cls(
            success=False,
            command_id=first.command_id,
            status=first.status,
            tag=Tag.IDEMPOTENCY_KEY_REUSED,
            reason=f"the idempotency key belongs to another order, {first.command_id}: nothing was recorded or sent "
            "this time; give every order a key of its own",
            broker_order_id=first.broker_order_id,
        )
