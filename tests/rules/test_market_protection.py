"""MARKET orders as limits (protocol 12.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.messages import OrderNotSent
from core.model.broker import Quote
from core.model.order import ExecutionType, OrderType, Side, Tag
from core.rules.market_protection import CannotPrice, Pricing, protected
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


@pytest.mark.parametrize(
    ("side", "missing", "limit"),
    [(Side.BUY, "bid", "1507.50"), (Side.SELL, "ask", "1492.50"), (Side.BUY, "ask", None), (Side.SELL, "bid", None)],
)
def test_g11_an_exit_needs_its_own_side_of_the_quote_alone(side: Side, missing: str, limit: str | None) -> None:
    """A short could not be bought back while nobody bid."""
    leaving = an_order(an_intent(ExecutionType.EXIT, side=side, order_type=OrderType.MARKET, price=None))
    entering = an_order(an_intent(side=side, order_type=OrderType.MARKET, price=None))
    quote = a_quote(**{missing: None})
    with pytest.raises(CannotPrice, match="no two-sided quote"):
        protected(entering, quote)
    if limit is None:
        with pytest.raises(CannotPrice, match="no two-sided quote"):
            protected(leaving, quote)
    else:
        assert protected(leaving, quote).intent.price == Decimal(limit)


@pytest.mark.parametrize(("side", "touch"), [(Side.BUY, {"ask": Decimal(900)}), (Side.SELL, {"bid": Decimal(3100)})])
def test_g11_an_exit_s_own_side_is_held_against_the_last_price(side: Side, touch: dict[str, Decimal]) -> None:
    leaving = an_order(an_intent(ExecutionType.EXIT, side=side, order_type=OrderType.MARKET, price=None))
    with pytest.raises(CannotPrice, match="makes no sense"):
        protected(leaving, a_quote(**{"bid": None, "ask": None, **touch}))


def test_a_stop_market_is_a_stop_limit_through_its_trigger() -> None:
    stop = an_order(an_intent(order_type=OrderType.SL_M, price=None, trigger_price=Decimal(1520)))
    sent = protected(stop, a_quote())
    assert (sent.intent.order_type, sent.intent.price) == (OrderType.SL, Decimal("1527.60"))
    assert sent.intent.trigger_price == Decimal(1520)


def test_a_limit_order_stays_as_it_is() -> None:
    order = an_order()
    assert protected(order, a_quote()) is order


@pytest.mark.parametrize(("leaves", "later_s", "shared"), [(True, 1.0, True), (True, 1.1, False), (False, 0.0, False)])
def test_exits_that_wait_at_the_same_moment_share_a_quote(*, leaves: bool, later_s: float, shared: bool) -> None:
    pricing = Pricing(market_as_limit=True, max_order_value=Decimal(0))
    order = an_order(an_intent(ExecutionType.EXIT if leaves else ExecutionType.ENTRY))
    quote = pricing.keep(order, 10.0, a_quote())
    assert pricing.kept(order, 10.0 + later_s) is (quote if shared else None)


@pytest.mark.parametrize(
    ("kind", "late_s", "bid", "tag"),
    [
        (ExecutionType.ENTRY, 0, "1500", Tag.RISK_LIMITS_EXCEEDED),
        (ExecutionType.EXIT, 0, "1500", None),
        (ExecutionType.EXIT, 1, "1500", Tag.DEADLINE_PASSED),
        (ExecutionType.EXIT, 0, None, None),
        (ExecutionType.ENTRY, 0, None, Tag.BROKER_NOT_SENT),
    ],
)
def test_an_order_is_sent_at_its_price_or_not_at_all(
    kind: ExecutionType, late_s: int, bid: str | None, tag: Tag | None
) -> None:
    pricing = Pricing(market_as_limit=True, max_order_value=Decimal(50 * 1500))
    order = replace(an_order(an_intent(kind, order_type=OrderType.MARKET, price=None)), deadline=NOON)
    quote = a_quote(bid=bid and Decimal(bid))
    found = pricing.priced(order, quote, NOON + timedelta(seconds=late_s))
    assert (found.tag if isinstance(found, OrderNotSent) else None) is tag
    if not isinstance(found, OrderNotSent):
        assert found.intent.price == Decimal("1507.50")
