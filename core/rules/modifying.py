"""Other terms for an order at the broker, as pure decisions: what is asked for, and what the order book says of it.

Nothing is assumed of a modification. The order has its terms once a row of the order book shows them; it has not where
rows go on showing the old ones, and what a late row shows then is followed all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from core.messages import ModifyStatus, Seen
from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Modification, Order, OrderType, Problem, RawIntent, Terms
from core.rules.validation import Refused, canonical, order_type_of, read_intent, shown

__all__ = [
    "Denied",
    "agrees",
    "as_asked",
    "at_most",
    "changes",
    "only_reduces",
    "raises",
    "sent_as",
    "terms_of",
    "wanted",
    "with_terms",
]

_CHANGEABLE = ("quantity", "price", "trigger_price", "order_type")
# A price alone makes a limit of what goes at the market.
_PRICED = {OrderType.MARKET: OrderType.LIMIT, OrderType.SL_M: OrderType.SL}


@dataclass(frozen=True, slots=True)
class Denied:
    """Nothing is asked of the broker, for this reason; `problems` where a field is wrong."""

    standing: ModifyStatus
    reason: str
    problems: tuple[Problem, ...] = ()


def wanted(order: Order, fields: Iterable[tuple[str, object]], seen: Seen, to: Terms | None = None) -> Terms | Denied:
    """The terms that `order` is to have, or why it keeps those it has."""
    if denied := _unfit(order, seen):
        return denied
    terms = to or _read(order, tuple(fields))
    return terms if isinstance(terms, Denied) else _needless(order, terms) or terms


def _unfit(order: Order, seen: Seen) -> Denied | None:
    if order.is_final:
        filled = f", {order.filled_quantity} filled" if order.filled_quantity else ""
        return Denied(ModifyStatus.OVER, f"it is {order.status} already{filled}")
    if order.broker_order_id is None:
        return Denied(ModifyStatus.NO_NUMBER, "the broker_order_id is not known yet; try again")
    if order.parts > 1:
        text = f"it is {order.parts} orders at the broker; cancel it, and send what is still wanted anew"
        return Denied(ModifyStatus.BLOCKED, text)
    otherwise = _otherwise(order, seen)
    return Denied(ModifyStatus.CHANGED, otherwise) if otherwise else None


def _needless(order: Order, terms: Terms) -> Denied | None:
    """Why nothing is to be asked for now: it is so, is asked for, something else is, or it cannot be."""
    pending = order.modifying
    if pending is not None and _same(pending.terms, terms):
        return Denied(ModifyStatus.UNDER_WAY, f"{terms} was asked for by {pending.by} already; the book tells the rest")
    if pending is not None:
        text = f"{pending.by} has asked for {pending.terms}; try again when the book has told of it"
        return Denied(ModifyStatus.BUSY, text)
    if terms == order.terms and terms.order_type is not OrderType.MARKET:
        return Denied(ModifyStatus.UNCHANGED, f"it is {terms} already")
    if terms.quantity <= order.filled_quantity:
        text = f"must be more than the {order.filled_quantity} filled already; it is the total"
        return _invalid(Problem("quantity", text))
    return None


def _otherwise(order: Order, seen: Seen) -> str:
    """What is not as the caller saw it."""
    pairs = (
        ("quantity", seen.quantity, order.quantity),
        ("filled quantity", seen.filled_quantity, order.filled_quantity),
        ("price", seen.price, order.intent.price),
    )
    wrong = [f"its {what} is {now}, not {then}" for what, then, now in pairs if then is not None and then != now]
    return "; ".join(wrong)


def _read(order: Order, fields: tuple[tuple[str, object], ...]) -> Terms | Denied:
    """The fields put in place of the order's own, and judged as those of a new order."""
    fields = tuple(field for field in fields if field[1] is not None)
    given = {canonical(name): value for name, value in fields}
    strange = [name for name in given if name not in _CHANGEABLE]
    if strange or not given:
        name = "(none)" if not strange else strange[0] if strange[0].isidentifier() else shown(strange[0])
        return _invalid(Problem(name[:60], f"cannot be changed; {', '.join(_CHANGEABLE)} can"))
    own = order.intent
    kind: object = given.get("order_type", _PRICED.get(own.order_type, own.order_type) if "price" in given else None)
    kind = own.order_type if kind is None else order_type_of(kind) or kind
    keeps = {
        "strategy": own.strategy,
        "execution_type": own.execution_type,
        "exchange": own.exchange,
        "symbol": own.symbol,
        "side": own.side,
        "product": order.product,
        "validity": own.validity,
        "quantity": order.quantity,
        "order_type": kind,
    }
    if isinstance(kind, OrderType) and kind.has_price and own.order_type.has_price:
        keeps["price"] = own.price
    if isinstance(kind, OrderType) and kind.has_trigger and own.order_type.has_trigger:
        keeps["trigger_price"] = own.trigger_price
    mine = tuple((name, value) for name, value in keeps.items() if name not in given)
    intent = read_intent(RawIntent((*mine, *fields)))
    if isinstance(intent, Refused):
        return _invalid(*intent.problems)
    return Terms(
        quantity=intent.quantity,
        order_type=intent.order_type,
        price=intent.price,
        trigger_price=intent.trigger_price,
    )


def _invalid(*problems: Problem) -> Denied:
    return Denied(ModifyStatus.INVALID, "; ".join(map(str, problems)), problems)


def _same(one: Terms, other: Terms) -> bool:
    """Whether both ask for the same; the limit of what goes at the market is found when it goes."""
    priced = one.order_type.has_price
    return one == other if priced else replace(one, price=None) == replace(other, price=None)


def as_asked(order: Order) -> Order:
    """The order with the terms asked for in place of those it has."""
    if order.modifying is None:
        return order
    return with_terms(order, order.modifying.terms)


def with_terms(order: Order, terms: Terms) -> Order:
    """The order with these terms. A row never has more than it asked for, so what was added was asked for too."""
    intent = replace(
        order.intent,
        quantity=max(terms.quantity, order.intent.quantity),
        order_type=terms.order_type,
        price=terms.price,
        trigger_price=terms.trigger_price,
    )
    return replace(order, quantity=terms.quantity, intent=intent)


def at_most(order: Order) -> Order:
    """The order with the most that it may fill: what it has, or what is asked for where that is more."""
    pending = order.modifying
    return order if pending is None else replace(order, quantity=max(order.quantity, pending.terms.quantity))


def only_reduces(order: Order) -> bool:
    """Whether what is asked for can add no risk: less of the same, or an EXIT."""
    pending = order.modifying
    if pending is None or order.execution_type is ExecutionType.EXIT:
        return True
    terms = pending.terms
    return terms.quantity <= order.quantity and replace(terms, quantity=order.quantity) == order.terms


def raises(order: Order) -> bool:
    """Whether more is asked for than the order has."""
    return order.modifying is not None and order.modifying.terms.quantity > order.quantity


# What the order book says


def agrees(pending: Modification, report: BrokerOrderReport) -> bool:
    """Whether a row shows the terms asked for, and as those in force: while a change is pending it may show either."""
    terms = pending.terms
    if report.status in (BrokerStatus.PENDING, BrokerStatus.UNKNOWN, BrokerStatus.REJECTED):
        return False
    return (
        report.quantity == terms.quantity
        and report.order_type is sent_as(terms)
        and report.price == terms.price
        and (report.trigger_price == terms.trigger_price or not terms.order_type.has_trigger)
    )


def sent_as(terms: Terms) -> OrderType:
    """The type that the broker has it as: what goes at the market goes as a limit, once it is priced."""
    return terms.order_type if terms.price is None else _PRICED.get(terms.order_type, terms.order_type)


def terms_of(order: Order, report: BrokerOrderReport) -> Terms:
    """What a row says the order is. Where it is silent, and of its type, the order keeps what it has.

    A slice has its command's prices.
    """
    own = order.terms
    if order.modifying is not None and agrees(order.modifying, report):
        return order.modifying.terms
    return replace(
        own,
        quantity=report.quantity or own.quantity,
        price=_price(own.price, report.price, own.order_type.has_price and order.parts == 1),
        trigger_price=_price(own.trigger_price, report.trigger_price, own.order_type.has_trigger and order.parts == 1),
    )


def _price(own: Decimal | None, shown: Decimal | None, has: bool) -> Decimal | None:
    # 1550 and 1550.00 are one price, and the row keeps it as it was asked for.
    return shown if has and shown is not None and shown != own else own


def changes(before: Terms, now: Terms) -> list[tuple[str, str]]:
    """What of them is another: its name, and from what to what."""
    pairs = (
        ("quantity", before.quantity, now.quantity),
        ("type", before.order_type, now.order_type),
        ("price", before.price, now.price),
        ("trigger price", before.trigger_price, now.trigger_price),
    )
    return [(what, f"{then} to {after}") for what, then, after in pairs if then != after]
