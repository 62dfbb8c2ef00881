"""Other terms for an order that works at the broker: asked for, checked step by step, and told by the order book.

    caller --ModifyOrder--> OrderRepo --CheckModify--> CommandService --> RiskManager --> ExecutionGuard
    ExecutionGuard --ModifyAtBroker--> BrokerProxy --ModifyReported--> OrderRepo --ModifyAnswer--> caller
    OrderWatcher --RecordReport | ModifyNotDone--> OrderRepo

Whoever of the four says no tells `ModifyReported` with BLOCKED.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from core.messages.base import Lane, Message
from core.messages.orders import AboutOrder
from core.model.order import ExecutionType, Order, Problem, Terms

__all__ = [
    "CheckModify",
    "ModifyAnswer",
    "ModifyAtBroker",
    "ModifyNotDone",
    "ModifyOrder",
    "ModifyReported",
    "ModifyStatus",
    "Seen",
]


class ModifyStatus(StrEnum):
    """What became of a wish to modify. Only UNCHANGED says what the order is; else its row tells."""

    TAKEN = "TAKEN"
    """The broker took the request; the order has the terms once the book says so."""
    UNDER_WAY = "UNDER_WAY"
    """The same was asked for already; nothing is sent again."""
    UNCHANGED = "UNCHANGED"
    """It has these terms already; nothing is sent."""
    UNKNOWN = "UNKNOWN"
    """The broker's answer is not known; pending until the book tells."""
    INVALID = "INVALID"
    """A field is wrong; `problems` names each."""
    CHANGED = "CHANGED"
    """It is not what the caller saw."""
    BUSY = "BUSY"
    """Other terms were asked for, and the book has not told of them yet."""
    BLOCKED = "BLOCKED"
    """Its instrument, a risk limit, a halt, or what its strategy holds stands against it."""
    REFUSED = "REFUSED"
    """The broker refused, most often because the order is over; the book tells, nothing is repeated."""
    NOT_SENT = "NOT_SENT"
    """The request was never written; it may be tried again."""
    OVER = "OVER"
    """The order was final already."""
    NO_NUMBER = "NO_NUMBER"
    """The broker_order_id is not known yet: there is nothing a modification could name."""
    NO_ORDER = "NO_ORDER"
    """There is no such order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the caller saw of the order; None where it does not say."""

    quantity: int | None = None
    filled_quantity: int | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModifyOrder(Message):
    """To OrderRepo: somebody wants other terms. Answered with `ModifyAnswer` to the name `reply_to`.

    `fields` are quantity (the total), price, trigger_price and order_type, as far as they are to change: names and
    values as they came from outside, not validated yet. With `seen`, the order must still be what the caller saw.
    `to` are whole terms in their place, from within: a MARKET order with a price keeps its type and goes as that limit.
    """

    command_id: str
    fields: tuple[tuple[str, object], ...]
    by: str
    seen: Seen = Seen()
    reply_to: str | None = None
    to: Terms | None = None


class _AboutChange(AboutOrder):
    """A message about `order.modifying`."""

    __slots__ = ()

    if TYPE_CHECKING:
        reply_to: str | None

    def told(self, standing: ModifyStatus, reason: str, sent: Terms | None = None) -> ModifyReported:
        """What came of it."""
        assert self.order.modifying is not None, "it is about a modification"
        asked = self.order.modifying.terms
        return ModifyReported(self.order.command_id, standing, reason, asked, sent, self.reply_to)


@dataclass(frozen=True, slots=True)
class CheckModify(_AboutChange):
    """To CommandService, RiskManager, ExecutionGuard in turn: may `order.modifying` be asked for?"""

    order: Order
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class ModifyAtBroker(_AboutChange):
    """To BrokerProxy: one modify call, not later than `until` by the steady clock."""

    order: Order
    until: datetime
    reply_to: str | None = None

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.order.execution_type is ExecutionType.EXIT else Lane.NORMAL


@dataclass(frozen=True, slots=True)
class ModifyReported(Message):
    """To OrderRepo: what the broker answered, or who stood against it and why.

    `asked` are the terms that were wanted, `sent` those in the request: what goes at the market goes as a limit.
    """

    carries_on = True

    command_id: str
    standing: ModifyStatus
    reason: str
    asked: Terms
    sent: Terms | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class ModifyNotDone(Message):
    """To OrderRepo: the order book shows the old terms, read after read: the modification was not carried out."""

    carries_on = True

    command_id: str
    asked: Terms
    reason: str


@dataclass(frozen=True, slots=True)
class ModifyAnswer(Message):
    """To whoever wanted other terms, once: with what the order is now. What then becomes of it, its row tells."""

    carries_on = True

    command_id: str
    standing: ModifyStatus
    reason: str
    terms: Terms | None = None
    filled_quantity: int = 0
    problems: tuple[Problem, ...] = ()
