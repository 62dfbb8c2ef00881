"""MARKET orders as limits (protocol 12.3)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.model.broker import Quote
from core.model.order import OrderType, Side
from core.rules.market_protection import CannotPrice, protected
from tests.factories import NOON, an_intent, an_order


def a_quote(last: str = "1500", **more: object) -> Quote:
    price = Decimal(last)
    given: dict[str, object] = {"bid": price, "ask": price, "tick_size": Decimal("0.05"), "instrument": "EQ", **more}
    return Quote(exchange="NSE", symbol="INFY-EQ", last_price=price, at=NOON, **given)  # type: ignore[arg-type]


def market(side: Side = Side.BUY) -> object:
    return an_order(an_intent(side=side, order_type=OrderType.MARKET, price=None))


@pytest.mark.parametrize(
    ("side", "last", "instrument", "limit"),
    [
        (Side.BUY, "1500", "EQ", "1507.50"),
        (Side.SELL, "1500", "EQ", "1492.50"),
        (Side.BUY, "99.95", "EQ", "101.95"),
        (Side.SELL, "99.95", "EQ", "97.95"),
        (Side.BUY, "250", "FUTIDX", "252.50"),
        (Side.BUY, "8.05", "OPTIDX", "8.50"),
        (Side.BUY, "50", "OPTIDX", "51.50"),
        (Side.BUY, "200", "OPTSTK", "204.00"),
        (Side.SELL, "600", "OPTIDX", "594.00"),
    ],
)
def test_a_market_order_is_a_limit_through_the_touch_rounded_to_the_tick_outwards(
    side: Side, last: str, instrument: str, limit: str
) -> None:
    order = protected(market(side), a_quote(last, instrument=instrument))  # type: ignore[arg-type]
    assert (order.intent.order_type, order.intent.price) == (OrderType.LIMIT, Decimal(limit))


def test_the_limit_stays_within_the_days_band() -> None:
    assert protected(market(), a_quote(upper_limit=Decimal("1503.00"))).intent.price == Decimal("1503.00")  # type: ignore[arg-type]
    low = protected(market(Side.SELL), a_quote(lower_limit=Decimal("1499.00")))  # type: ignore[arg-type]
    assert low.intent.price == Decimal("1499.00")


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        (a_quote(bid=None), "no two-sided quote"),
        (a_quote(ask=None), "no two-sided quote"),
        (a_quote("26000", bid=Decimal("101"), ask=Decimal("102")), "makes no sense"),
        (a_quote(tick_size=None), "tick size"),
    ],
)
def test_a_quote_that_cannot_be_trusted_prices_nothing(quote: Quote, words: str) -> None:
    with pytest.raises(CannotPrice, match=words):
        protected(market(), quote)  # type: ignore[arg-type]


def test_a_stop_market_is_a_stop_limit_through_its_trigger() -> None:
    stop = an_order(an_intent(order_type=OrderType.SL_M, price=None, trigger_price=Decimal(1520)))
    sent = protected(stop, a_quote())
    assert (sent.intent.order_type, sent.intent.price) == (OrderType.SL, Decimal("1527.60"))
    assert sent.intent.trigger_price == Decimal(1520)


def test_a_limit_order_stays_as_it_is() -> None:
    order = an_order()
    assert protected(order, a_quote()) is order
