"""The terms of an order as the wire writes them (protocol 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.model.order import OrderType, Product, Side
from core.model.outcomes import NotSent

__all__ = ["ORDER_TYPES", "PRODUCTS", "SIDES", "price_text", "prices_of"]

SIDES: Mapping[Side, str] = {Side.BUY: "B", Side.SELL: "S"}
PRODUCTS: Mapping[Product, str] = {Product.MIS: "I", Product.NRML: "M", Product.CNC: "C"}
ORDER_TYPES: Mapping[OrderType, str] = {
    OrderType.LIMIT: "LMT",
    OrderType.MARKET: "MKT",
    OrderType.SL: "SL-LMT",
    OrderType.SL_M: "SL-MKT",
}
_NO_PRICE = "0"


def price_text(price: Decimal) -> str:
    """A price as it travels: plain digits, at least two decimals, never an exponent (protocol 2.1, 15.2)."""
    # On the text, because Decimal's own rounding would touch digits beyond its precision.
    rupees, _, paise = f"{price:f}".partition(".")
    return f"{rupees}.{paise.rstrip('0').ljust(2, '0')}"


def prices_of(
    order_type: OrderType, price: Decimal | None, trigger_price: Decimal | None
) -> tuple[str, str | None] | NotSent:
    """Price and trigger as the order type needs them, and nothing that it does not (protocol 5.1)."""
    for name, wanted, given in (
        ("price", order_type.has_price, price),
        ("trigger price", order_type.has_trigger, trigger_price),
    ):
        if wanted and (given is None or not given.is_finite() or given <= 0):
            return NotSent(f"{order_type} needs a {name}")
    return (
        price_text(price) if order_type.has_price and price is not None else _NO_PRICE,
        price_text(trigger_price) if order_type.has_trigger and trigger_price is not None else None,
    )
