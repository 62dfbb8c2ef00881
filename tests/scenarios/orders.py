"""Orders of the scenarios, at a price of 1500 that stands still."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, OrderIntent, Side, Tag
from core.store.values import time_from
from tests.factories import an_intent

__all__ = ["ADJUST", "BUY", "ENTRY", "EXIT", "SELL", "absent_tag", "body", "marketable", "resting"]

ENTRY, EXIT, ADJUST = ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST
BUY, SELL = Side.BUY, Side.SELL


def marketable(kind: ExecutionType = ENTRY, side: Side = BUY, quantity: int = 50, **more: object) -> OrderIntent:
    """A limit through the price of 1500, which fills at once."""
    price = Decimal(1510) if side is BUY else Decimal(1490)
    return an_intent(kind, side, quantity, price=price, **more)  # type: ignore[arg-type]


def resting(kind: ExecutionType = ENTRY, side: Side = BUY, quantity: int = 50, **more: object) -> OrderIntent:
    """A limit well away from the price, within the day's band."""
    price = Decimal(1450) if side is BUY else Decimal(1550)
    return an_intent(kind, side, quantity, price=price, **more)  # type: ignore[arg-type]


def absent_tag(row: dict[str, Any]) -> Tag:
    """What an order that the broker never had ends with: by night, Indian time, no book proves it (scenario G7)."""
    cleared = TradingCalendar().may_be_cleared(time_from(row["created_at"]), time_from(row["updated_at"]))
    return Tag.BROKER_EXPIRED if cleared else Tag.BROKER_NOT_FOUND


def body(**changes: Any) -> dict[str, Any]:
    """An order that rests, as the webhook takes it."""
    return {
        "strategy": "alpha",
        "execution_type": "ENTRY",
        "exchange": "NSE",
        "symbol": "INFY-EQ",
        "side": "BUY",
        "quantity": 50,
        "product": "MIS",
        "order_type": "LIMIT",
        "price": "1450",
        **changes,
    }
