"""MARKET orders as limits: what is sent where brokers take no market orders from programs (protocol 0.1-2, 12.3).

The limit stands a little through the best price on the other side: it fills like a market order in an ordinary book,
and in an empty or jumping one it is not filled at any price.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.model.broker import Quote
from core.model.order import Order, OrderType, Side

__all__ = ["CannotPrice", "protected"]

# Up to this price (rupees) the limit stands this share through the touch; the last row holds for all above
# (protocol 12.3, what integrators send).
_CASH_AND_FUTURES = ((Decimal(100), Decimal("0.02")), (Decimal(500), Decimal("0.01")), (None, Decimal("0.005")))
_OPTIONS = (
    (Decimal(10), Decimal("0.05")),
    (Decimal(100), Decimal("0.03")),
    (Decimal(500), Decimal("0.02")),
    (None, Decimal("0.01")),
)
# A quote whose last price lies this far outside its own bid and ask is of something else: an index level has been
# answered for an option (protocol 7.9).
_SANE = Decimal("0.5")


class CannotPrice(Exception):
    """No limit can be derived from the quote; the text says why."""


def protected(order: Order, quote: Quote) -> Order:
    """`order` as a limit order: MARKET as LIMIT by the quote, SL-M as SL by its own trigger. Others stay as they are.

    Raises:
        CannotPrice: the quote is one-sided, makes no sense, or has no tick size.
    """
    kind = order.intent.order_type
    if kind is OrderType.MARKET:
        price = _through(order.side, _touch(order.side, quote), quote)
        return replace(order, intent=replace(order.intent, order_type=OrderType.LIMIT, price=price))
    if kind is OrderType.SL_M and order.intent.trigger_price is not None:
        price = _through(order.side, order.intent.trigger_price, quote)
        return replace(order, intent=replace(order.intent, order_type=OrderType.SL, price=price))
    return order


def _touch(side: Side, quote: Quote) -> Decimal:
    if quote.bid is None or quote.ask is None:
        raise CannotPrice(f"no two-sided quote for {quote.symbol}: bid {quote.bid}, ask {quote.ask}")
    if not quote.bid * (1 - _SANE) <= quote.last_price <= quote.ask * (1 + _SANE):
        raise CannotPrice(
            f"the quote of {quote.symbol} makes no sense: last {quote.last_price}, bid {quote.bid}, ask {quote.ask}"
        )
    return quote.ask if side is Side.BUY else quote.bid


def _through(side: Side, price: Decimal, quote: Quote) -> Decimal:
    if quote.tick_size is None:
        raise CannotPrice(f"the broker gives no tick size for {quote.symbol}")
    table = _OPTIONS if (quote.instrument or "").startswith("OPT") else _CASH_AND_FUTURES
    share = next(share for limit, share in table if limit is None or price < limit)
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    limit = (price * (1 + side.sign * share) / quote.tick_size).to_integral_value(rounding) * quote.tick_size
    if quote.upper_limit is not None:
        limit = min(limit, quote.upper_limit)
    return max(limit, quote.lower_limit or quote.tick_size)
