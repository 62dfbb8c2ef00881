"""MARKET orders as limits: what is sent where brokers take no market orders from programs (protocol 0.1-2, 12.3).

The limit stands a little through the best price on the other side: it fills like a market order in an ordinary book,
and in an empty or jumping one it is not filled at any price.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.messages import OrderNotSent
from core.model.broker import Quote
from core.model.order import ExecutionType, Order, OrderType, Side, Tag

__all__ = ["CannotPrice", "Pricing", "protected"]

QUOTE_S = 1.0
"""How old a quote may be that prices a second exit of its symbol: exits that wait at the same moment share one."""

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
        price = _through(order.side, _touch(order, quote), quote)
        return replace(order, intent=replace(order.intent, order_type=OrderType.LIMIT, price=price))
    if kind is OrderType.SL_M and order.intent.trigger_price is not None:
        price = _through(order.side, order.intent.trigger_price, quote)
        return replace(order, intent=replace(order.intent, order_type=OrderType.SL, price=price))
    return order


class Pricing:
    """Prices orders just before their call; owned by the BrokerProxy actor.

    Args:
        market_as_limit: Whether MARKET and SL-M orders are sent as limits.
        max_order_value: Rupees that an order which opens may be worth at its limit; 0 is no limit.
    """

    def __init__(self, market_as_limit: bool, max_order_value: Decimal) -> None:
        self._market_as_limit = market_as_limit
        self._max_order_value = max_order_value
        # The quote by which an order of the symbol was priced last, and when it was asked for.
        self._quotes: dict[tuple[str, str], tuple[float, Quote]] = {}

    def needs_quote(self, order: Order) -> bool:
        """Whether this order is sent as a limit that is derived from a quote."""
        return self._market_as_limit and order.intent.order_type in (OrderType.MARKET, OrderType.SL_M)

    def kept(self, order: Order, now: float) -> Quote | None:
        """The quote of another exit that will do for this one. `now` is monotonic seconds."""
        asked_at, quote = self._quotes.get((order.exchange, order.symbol), (-math.inf, None))
        return quote if order.execution_type is ExecutionType.EXIT and now - asked_at <= QUOTE_S else None

    def keep(self, order: Order, asked_at: float, quote: Quote) -> Quote:
        """Keep the quote that was asked for to price this order. `asked_at` is monotonic seconds."""
        self._quotes = {where: known for where, known in self._quotes.items() if asked_at - known[0] <= QUOTE_S}
        self._quotes[order.exchange, order.symbol] = asked_at, quote
        return quote

    def priced(self, order: Order, quote: Quote, steady: datetime) -> Order | OrderNotSent:
        """The order as it is sent, or why it is not; `steady` is the time now."""
        try:
            priced = protected(order, quote)
        except CannotPrice as error:
            return OrderNotSent(order, Tag.BROKER_NOT_SENT, str(error))
        if steady > order.deadline:
            return OrderNotSent(order, Tag.DEADLINE_PASSED, "its send deadline passed while its price was asked for")
        value = (priced.intent.price or Decimal(0)) * order.quantity
        if order.execution_type is not ExecutionType.EXIT and 0 < self._max_order_value < value:
            reason = f"order value {value:.2f}, limit {self._max_order_value:.2f}"
            return OrderNotSent(order, Tag.RISK_LIMITS_EXCEEDED, reason)
        return priced


def _touch(order: Order, quote: Quote) -> Decimal:
    """The best price on the side that the order takes from. An EXIT needs no other side (scenario G11)."""
    own = quote.ask if order.side is Side.BUY else quote.bid
    if own is None or (order.execution_type is not ExecutionType.EXIT and None in (quote.bid, quote.ask)):
        raise CannotPrice(f"no two-sided quote for {quote.symbol}: bid {quote.bid}, ask {quote.ask}")
    bid, ask = quote.bid, quote.ask
    too_low = bid is not None and quote.last_price < bid * (1 - _SANE)
    too_high = ask is not None and quote.last_price > ask * (1 + _SANE)
    if too_low or too_high:
        raise CannotPrice(
            f"the quote of {quote.symbol} makes no sense: last {quote.last_price}, bid {quote.bid}, ask {quote.ask}"
        )
    return own


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
