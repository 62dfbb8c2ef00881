"""MARKET orders as limits: what is sent where brokers take no market orders from programs (protocol 0.1-2, 12.3).

The limit stands a little through the best price on the other side: it fills like a market order in an ordinary book,
and in an empty or jumping one it is not filled at any price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.messages import OrderNotSent, PlaceOrder
from core.model.broker import Quote, SecondSource
from core.model.order import ExecutionType, Order, OrderType, Side, Tag
from core.rules.prices import FORGET_S, SECOND_S, doubt_of, words_of

__all__ = ["CannotPrice", "Priced", "Pricing", "protected"]

QUOTE_S = 1.0
"""How old a price may be that an order is sent by: else the broker is asked. Exits that wait at the same moment share
one quote."""

_BAND_S = 8 * 3600.0
"""How old a price may be that tells the day's band: no exchange closes and opens within it."""

_SLACK_S = 0.25
"""What is young enough when calls are counted is so when they are made."""

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


@dataclass(frozen=True, slots=True)
class Priced:
    """An order as it is sent.

    Attributes:
        order: With a limit.
        by: By which price, of what source and age, in words.
        doubt: Why that is not the quote that was read for it; only of an EXIT, which goes all the same.
    """

    order: Order
    by: str
    doubt: str = ""


def protected(order: Order, quote: Quote) -> Order:
    """`order` as a limit order: MARKET as LIMIT by the quote, SL-M as SL by its own trigger. Others stay as they are.

    Raises:
        CannotPrice: the quote is one-sided, makes no sense, or has no tick size.
    """
    kind = order.intent.order_type
    if kind is OrderType.MARKET:
        return _limited(order, _through(order.side, _touch(order, quote), quote))
    if kind is OrderType.SL_M and order.intent.trigger_price is not None:
        return _limited(order, _through(order.side, order.intent.trigger_price, quote))
    return order


class Pricing:
    """Prices orders just before their call; owned by the BrokerProxy actor.

    Args:
        market_as_limit: Whether MARKET and SL-M orders are sent as limits.
        max_order_value: Rupees that an order which opens may be worth at its limit; 0 is no limit.
        max_jump: Share of the last believed price that a quote may lie off it; options five times that.
    """

    def __init__(self, market_as_limit: bool, max_order_value: Decimal, max_jump: Decimal = Decimal("0.1")) -> None:
        self._market_as_limit = market_as_limit
        self._max_order_value = max_order_value
        self._max_jump = max_jump
        # The quote by which an order of the symbol was priced last, and when it was asked for.
        self._quotes: dict[tuple[str, str], tuple[float, Quote]] = {}

    def needs_quote(self, order: Order) -> bool:
        """Whether this order is sent as a limit that is derived from a quote."""
        return self._market_as_limit and order.intent.order_type in (OrderType.MARKET, OrderType.SL_M)

    def known(self, message: PlaceOrder, now: float, steady: datetime, *, slack: bool = False) -> Quote | None:
        """A price that will do without asking the broker: the one that Prices believes, or another exit's quote.

        Args:
            message: The order with its price.
            now: Monotonic seconds.
            steady: The steady clock's time.
            slack: Whether it may be a little older.
        """
        order, most_s = message.order, QUOTE_S + slack * _SLACK_S
        believed = _believed(message, steady)
        if believed is not None and believed.age_s <= most_s and believed.tick_size and _has_touch(order, believed):
            return believed
        asked_at, quote = self._quotes.get((order.exchange, order.symbol), (-math.inf, None))
        return quote if order.execution_type is ExecutionType.EXIT and now - asked_at <= most_s else None

    def keep(self, order: Order, asked_at: float, quote: Quote) -> Quote:
        """Keep the quote that was asked for to price this order. `asked_at` is monotonic seconds."""
        self._quotes = {where: known for where, known in self._quotes.items() if asked_at - known[0] <= QUOTE_S}
        self._quotes[order.exchange, order.symbol] = asked_at, quote
        return quote

    def priced(
        self, message: PlaceOrder, quote: Quote | None, steady: datetime, problem: str = ""
    ) -> Priced | OrderNotSent:
        """The order as it is sent, or why it is not; without a `quote`, `problem` says why there is none.

        An EXIT goes although the quote is doubtful: by the believed price where that is young, by the more cautious of
        the two where the quote has jumped, else at the day's band.
        """
        order, believed = message.order, _believed(message, steady)
        if steady > order.deadline:
            return OrderNotSent(order, Tag.DEADLINE_PASSED, "its send deadline passed while its price was asked for")
        doubt = doubt_of(quote, _recent(believed, FORGET_S), self._max_jump) if quote is not None else None
        reason, usable = (doubt.reason, doubt.open) if doubt is not None else (problem, False)
        if quote is not None and not reason:
            try:
                return self._affordable(Priced(protected(order, quote), _words(quote, _recent(believed, FORGET_S))))
            except CannotPrice as error:
                reason = str(error)
        if order.execution_type is not ExecutionType.EXIT:
            return OrderNotSent(order, Tag.BROKER_NOT_SENT, reason)
        try:
            return Priced(*_all_the_same(order, quote, believed, usable=usable), doubt=reason)
        except CannotPrice:
            return OrderNotSent(order, Tag.BROKER_NOT_SENT, reason)

    def _affordable(self, priced: Priced) -> Priced | OrderNotSent:
        order = priced.order
        # Of one slice of a larger order, the whole of it.
        quantity = order.quantity if order.parts == 1 else order.intent.quantity
        value = (order.intent.price or Decimal(0)) * quantity
        if order.execution_type is not ExecutionType.EXIT and 0 < self._max_order_value < value:
            reason = f"order value {value:.2f}, limit {self._max_order_value:.2f}"
            return OrderNotSent(order, Tag.RISK_LIMITS_EXCEEDED, reason)
        return priced


def _believed(message: PlaceOrder, steady: datetime) -> Quote | None:
    """The price that came with the order, with its age now."""
    if message.price is None or message.priced_at is None:
        return None
    return replace(message.price, age_s=message.price.age_s + (steady - message.priced_at).total_seconds())


def _recent(quote: Quote | None, most_s: float) -> Quote | None:
    return quote if quote is not None and quote.age_s <= most_s else None


def _all_the_same(order: Order, quote: Quote | None, believed: Quote | None, *, usable: bool) -> tuple[Order, str]:
    """An EXIT whose quote is doubtful as a limit, and by what. `usable`: the quote is of this instrument, but far off.

    Raises:
        CannotPrice: Nothing at all is known of the instrument.
    """
    if order.intent.order_type is OrderType.SL_M:
        # Priced by its own trigger: the price step alone is another's.
        known = believed or quote
        if known is None:
            raise CannotPrice("nothing is known of its price step")
        return protected(order, replace(known, lower_limit=None, upper_limit=None)), "its own trigger"
    near = [one for one in (_recent(believed, FORGET_S if usable else SECOND_S), quote if usable else None) if one]
    for one in sorted(near, key=lambda one: one.last_price * order.side.sign, reverse=True):
        if one.tick_size is not None:
            return _limited(order, _through(order.side, _cautious(order.side, one), one)), _words(one, None)
    for banded in filter(None, (_recent(believed, _BAND_S), quote)):
        limit = banded.upper_limit if order.side is Side.BUY else banded.lower_limit
        if limit is not None:
            return _limited(order, limit), f"the day's band, as the {words_of(banded.source)} tells it"
    if believed is None:
        raise CannotPrice("nothing is known of its price")
    return _limited(order, _through(order.side, _cautious(order.side, believed), believed)), _words(believed, None)


def _limited(order: Order, price: Decimal) -> Order:
    kind = OrderType.SL if order.intent.order_type is OrderType.SL_M else OrderType.LIMIT
    return replace(order, intent=replace(order.intent, order_type=kind, price=price))


def _has_touch(order: Order, quote: Quote) -> bool:
    """Whether the sides of the quote that this order needs are there. An EXIT needs its own side alone (G11)."""
    if order.execution_type is ExecutionType.EXIT:
        return (quote.ask if order.side is Side.BUY else quote.bid) is not None
    return None not in (quote.bid, quote.ask)


def _touch(order: Order, quote: Quote) -> Decimal:
    """The price that the order goes through: the best on the side that it takes from.

    Where nobody stands there, an EXIT goes by what there is, its own side and the last price (scenario G11).
    """
    bid, ask = quote.bid, quote.ask
    if order.execution_type is not ExecutionType.EXIT and None in (bid, ask):
        raise CannotPrice(f"no two-sided quote for {quote.symbol}: bid {bid}, ask {ask}")
    too_low = bid is not None and quote.last_price < bid * (1 - _SANE)
    too_high = ask is not None and quote.last_price > ask * (1 + _SANE)
    if too_low or too_high:
        raise CannotPrice(f"the quote of {quote.symbol} makes no sense: last {quote.last_price}, bid {bid}, ask {ask}")
    return (ask if order.side is Side.BUY else bid) or _cautious(order.side, quote)


def _cautious(side: Side, quote: Quote) -> Decimal:
    """Of the prices of a quote the one at which the order is most likely to trade."""
    known = [price for price in (quote.last_price, quote.bid, quote.ask) if price is not None]
    return max(known) if side is Side.BUY else min(known)


def _words(quote: Quote, believed: Quote | None) -> str:
    """A price as an order's record tells it. `believed`: what a quote that was just read is held against."""
    second = quote.second
    if believed is not None and believed is not quote and second is SecondSource.NONE:
        second = SecondSource(believed.source) if believed.age_s <= SECOND_S else SecondSource.LAST
    if second is SecondSource.NONE and None not in (quote.lower_limit, quote.upper_limit):
        second = SecondSource.BAND
    sides = f"bid {quote.bid}, ask {quote.ask}, last {quote.last_price}"
    return f"{sides} ({words_of(quote.source)}, {quote.age_s:.1f} s old, second source: {second.value})"


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
