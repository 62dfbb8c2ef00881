"""EXITs that the broker ended before they were filled: what a person is told of them (scenarios C8, G20)."""

from __future__ import annotations

import re

from core.model.order import ExecutionType, Order, Tag, Validity

__all__ = ["failed_exit"]

_BY_BROKER = {
    Tag.BROKER_REJECTED: "rejected",
    Tag.BROKER_CANCELLED: "cancelled at the broker, and nobody here asked for that",
    Tag.BROKER_EXPIRED: "ended with its day or its validity",
}
# "RED:Margin Shortfall:INR 1200.00", "Insufficient Balance", "ORA:Order amount exceeds available funds".
_MARGIN = re.compile(r"\bmargin\b|\bshortfall\b|\binsufficient\b|\bfunds?\b", re.IGNORECASE)


def failed_exit(order: Order, *, cancel_wanted: bool) -> str | None:
    """What is wrong with an EXIT that is over; None where nothing is, or somebody here wanted that.

    IOC is meant to end unfilled.
    """
    how = _BY_BROKER.get(order.tag) if order.tag is not None else None
    left = order.quantity - order.filled_quantity
    if order.execution_type is not ExecutionType.EXIT or how is None or left <= 0:
        return None
    if order.tag is Tag.BROKER_CANCELLED and (cancel_wanted or order.intent.validity is Validity.IOC):
        return None
    text = f"{order.command_id}: EXIT {order.side} {order.quantity} {order.symbol} of {order.strategy} was {how}"
    text += f": {order.reason}; {left} are held still"
    if order.tag is Tag.BROKER_REJECTED and _MARGIN.search(order.reason or ""):
        text += (
            ". It was refused for MARGIN, which an order that closes should not need: the broker counts it as opening. "
            "Look at its product, at what else works in the symbol, and at the other leg of a hedge"
        )
    return text
