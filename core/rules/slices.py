"""A command as one or more broker orders: into which it is cut, and what they amount to together (scenario G10).

Exchanges refuse one order at or above the freeze quantity. So such a command goes out as several, the largest first.
Their quantities never add up to more than the command's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.model.order import Order, Status, Tag

__all__ = ["STOPPED", "cut", "most_at_once", "named", "together", "with_parts"]

STOPPED = Tag.CANCELLED_BEFORE_SENDING
"""The tag of a slice that was not sent because one before it was not taken."""


def most_at_once(freeze: int | None, lot: int | None) -> int:
    """The largest order below the freeze quantity in whole lots; zero where it is not known."""
    return 0 if freeze is None else (freeze - 1) // (lot or 1) * (lot or 1)


def cut(quantity: int, most: int) -> tuple[int, ...]:
    """The quantities of the broker orders for `quantity`, none above `most`; zero is no bound."""
    if most <= 0 or quantity <= most:
        return (quantity,)
    full, rest = divmod(quantity, most)
    return (most,) * full + ((rest,) if rest else ())


def named(part: Order, text: str) -> str:
    """What is told of one broker order: which it is, where its command has several."""
    return text if part.parts == 1 else f"slice {part.part} of {part.parts}: {text}"


def with_parts(order: Order, changed: Iterable[Order]) -> Order:
    """The command after broker orders of it changed. Its average price is left as it was: that is one of all fills."""
    by_place = {one.part: one for one in changed}
    if order.parts == 1:
        return by_place.get(1, order)
    return together(order, tuple(by_place.get(one.part, one) for one in order.broker_orders))


def together(order: Order, parts: tuple[Order, ...]) -> Order:
    """What several broker orders amount to. A final command keeps its end (law 3); a late fill adds to it."""
    number = order.broker_order_id or next((one.broker_order_id for one in parts if one.broker_order_id), None)
    filled = sum(one.filled_quantity for one in parts)
    quantity = order.quantity if order.is_final else sum(one.quantity for one in parts)
    whole = replace(
        order,
        broker_orders=parts,
        broker_order_id=number,
        filled_quantity=filled,
        quantity=quantity,
        # What a person added at the broker was asked for too.
        intent=replace(order.intent, quantity=max(quantity, order.intent.quantity)),
    )
    if order.is_final:
        return whole
    if all(one.is_final for one in parts):
        return _ended(whole)
    unknown = [one for one in parts if one.unknown] if number is None else []
    return replace(whole, unknown=bool(unknown), reason=unknown[0].reason if unknown else None)


def _ended(order: Order) -> Order:
    failed = [one for one in order.broker_orders if one.status is Status.FAILED]
    if not failed or order.filled_quantity >= order.quantity:
        return replace(order, status=Status.EXECUTED, unknown=False, tag=None, reason=None)
    first = failed[0]
    reason = named(first, f"{first.reason}")
    if order.filled_quantity:
        reason = f"{reason}; of the order {order.filled_quantity} of {order.quantity} filled"
    return replace(order, status=Status.FAILED, unknown=False, tag=first.tag, reason=reason)
