"""MARKET orders as limits (protocol 12.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.messages import OrderNotSent, PlaceOrder
from core.model.broker import PriceSource, Quote
from core.model.order import ExecutionType, OrderType, Side, Tag
from core.rules.market_protection import CannotPrice, Priced, Pricing, protected
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
    ("side", "there", "limit"),
    [
        (Side.BUY, {"bid": None}, "1507.50"),
        (Side.SELL, {"ask": None}, "1492.50"),
        (Side.BUY, {"ask": None}, "1507.50"),
        (Side.SELL, {"bid": None}, "1492.50"),
        # Nobody bids, and others offer below the last price.
        (Side.SELL, {"bid": None, "ask": Decimal(1480)}, "1472.60"),
        (Side.SELL, {"bid": None, "lower_limit": Decimal(1495)}, "1495"),
        (Side.SELL, {"bid": None, "ask": None}, "1492.50"),
    ],
)
def test_g11_an_exit_goes_by_what_there_is(side: Side, there: dict[str, Any], limit: str) -> None:
    """A short could not be bought back while nobody bid, and a long not be sold at the lower circuit."""
    leaving = an_order(an_intent(ExecutionType.EXIT, side=side, order_type=OrderType.MARKET, price=None))
    entering = an_order(an_intent(side=side, order_type=OrderType.MARKET, price=None))
    quote = a_quote(**there)
    with pytest.raises(CannotPrice, match="no two-sided quote"):
        protected(entering, quote)
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


def placing(
    kind: ExecutionType = ExecutionType.ENTRY,
    believed: Quote | None = None,
    side: Side = Side.SELL,
    order_type: OrderType = OrderType.MARKET,
    trigger: str | None = None,
) -> PlaceOrder:
    """An order that passed by Prices at noon."""
    trigger_price = None if trigger is None else Decimal(trigger)
    intent = an_intent(kind, side=side, order_type=order_type, price=None, trigger_price=trigger_price)
    order = replace(an_order(intent), deadline=NOON + timedelta(seconds=9))
    return PlaceOrder(order, price=believed, priced_at=NOON if believed is not None else None)


def pricing(most: int = 0) -> Pricing:
    return Pricing(market_as_limit=True, max_order_value=Decimal(most))


@pytest.mark.parametrize(("leaves", "later_s", "shared"), [(True, 1.0, True), (True, 1.1, False), (False, 0.0, False)])
def test_exits_that_wait_at_the_same_moment_share_a_quote(*, leaves: bool, later_s: float, shared: bool) -> None:
    prices = pricing()
    message = placing(ExecutionType.EXIT if leaves else ExecutionType.ENTRY)
    quote = prices.keep(message.order, 10.0, a_quote())
    assert prices.known(message, 10.0 + later_s, NOON) is (quote if shared else None)


@pytest.mark.parametrize(
    ("kind", "believed", "waited_s", "asks"),
    [
        (ExecutionType.ENTRY, a_quote(age_s=0.4), 0.5, False),
        (ExecutionType.ENTRY, a_quote(age_s=0.4), 0.7, True),
        (ExecutionType.ENTRY, a_quote(bid=None), 0.0, True),
        (ExecutionType.EXIT, a_quote(ask=None), 0.0, False),
        (ExecutionType.EXIT, a_quote(bid=None), 0.0, True),
        (ExecutionType.EXIT, a_quote(tick_size=None), 0.0, True),
        (ExecutionType.EXIT, None, 0.0, True),
    ],
)
def test_t23_a_young_believed_price_costs_no_quote(
    kind: ExecutionType, believed: Quote | None, waited_s: float, *, asks: bool
) -> None:
    known = pricing().known(placing(kind, believed), 0.0, NOON + timedelta(seconds=waited_s))
    assert (known is None) is asks
    if known is not None and believed is not None:
        assert known.age_s == pytest.approx(believed.age_s + waited_s)


BAND: dict[str, Any] = {"lower_limit": Decimal(1350), "upper_limit": Decimal(1650)}


@pytest.mark.parametrize(
    ("quote", "believed", "sells_at", "buys_at", "why"),
    [
        # It lies in the middle of another's band, or none is known: the other source is what tells.
        (a_quote("1600"), a_quote(age_s=5), "1592", "1608", None),
        (a_quote("26000", **BAND), a_quote(age_s=5), "1492.50", "1507.50", "outside the day's band"),
        (a_quote("26000", **BAND), a_quote(age_s=60, **BAND), "1350", "1650", "outside the day's band"),
        (a_quote("26000", **BAND), None, "1350", "1650", "outside the day's band"),
        # A jump: of the two the price at which it surely trades.
        (a_quote("750"), a_quote(age_s=60), "746.25", "1507.50", "50 % off the last price 1500"),
        (a_quote("2250"), a_quote(age_s=60), "1492.50", "2261.25", "50 % off the last price 1500"),
        # The market may have been closed since.
        (a_quote("2250"), a_quote(age_s=301), "2238.75", "2261.25", None),
        (a_quote("1500", ask=Decimal(900), **BAND), None, "1350", "1650", "makes no sense"),
        (None, a_quote(age_s=5), "1492.50", "1507.50", "no answer"),
        (None, a_quote(age_s=60, **BAND), "1350", "1650", "no answer"),
        (None, a_quote(age_s=60), "1492.50", "1507.50", "no answer"),
        (None, None, None, None, "no answer"),
    ],
)
def test_g11_a_doubtful_quote_keeps_an_entry_and_no_exit(
    quote: Quote | None, believed: Quote | None, sells_at: str | None, buys_at: str | None, why: str | None
) -> None:
    problem = "no answer" if quote is None else ""
    for side, at in ((Side.SELL, sells_at), (Side.BUY, buys_at)):
        entry = pricing().priced(placing(believed=believed, side=side), quote, NOON, problem)
        leaving = pricing().priced(placing(ExecutionType.EXIT, believed, side), quote, NOON, problem)
        if why is None:
            assert isinstance(entry, Priced)
        else:
            assert isinstance(entry, OrderNotSent)
            assert (entry.tag, why in entry.reason) == (Tag.BROKER_NOT_SENT, True)
        if at is None:
            assert isinstance(leaving, OrderNotSent)
        else:
            assert isinstance(leaving, Priced)
            assert (leaving.order.intent.order_type, leaving.order.intent.price) == (OrderType.LIMIT, Decimal(at))
            assert (why or "") in leaving.doubt


def test_g11_a_stop_is_priced_by_its_trigger_whatever_the_quote_says() -> None:
    wrong = a_quote("26000", upper_limit=Decimal(30000), lower_limit=Decimal(25000))
    stop = placing(ExecutionType.EXIT, a_quote(age_s=60), order_type=OrderType.SL_M, trigger="1480")
    found = pricing().priced(stop, wrong, NOON)
    assert isinstance(found, Priced)
    assert (found.order.intent.order_type, found.order.intent.price) == (OrderType.SL, Decimal("1472.60"))


@pytest.mark.parametrize(
    ("quote", "believed", "told"),
    [
        (a_quote(), None, "(broker's quote, 0.0 s old, second source: none)"),
        (a_quote(**BAND), None, "second source: band"),
        (a_quote(**BAND), a_quote(age_s=5, source=PriceSource.FEED), "second source: feed"),
        (a_quote(**BAND), a_quote(age_s=60, source=PriceSource.FEED), "second source: last"),
        (a_quote(source=PriceSource.FEED, age_s=0.44), None, "(push feed, 0.4 s old"),
    ],
)
def test_the_price_is_told_with_its_age_and_sources(quote: Quote, believed: Quote | None, told: str) -> None:
    found = pricing().priced(placing(believed=believed), quote, NOON)
    assert isinstance(found, Priced)
    assert found.by.startswith("bid 1500, ask 1500, last 1500 (")
    assert told in found.by


@pytest.mark.parametrize(
    ("kind", "late_s", "bid", "tag"),
    [
        (ExecutionType.ENTRY, 0, "1500", Tag.RISK_LIMITS_EXCEEDED),
        (ExecutionType.EXIT, 0, "1500", None),
        (ExecutionType.EXIT, 10, "1500", Tag.DEADLINE_PASSED),
        (ExecutionType.EXIT, 0, None, None),
        (ExecutionType.ENTRY, 0, None, Tag.BROKER_NOT_SENT),
    ],
)
def test_an_order_is_sent_at_its_price_or_not_at_all(
    kind: ExecutionType, late_s: int, bid: str | None, tag: Tag | None
) -> None:
    quote = a_quote(bid=bid and Decimal(bid))
    found = pricing(50 * 1500).priced(placing(kind, side=Side.BUY), quote, NOON + timedelta(seconds=late_s))
    assert (found.tag if isinstance(found, OrderNotSent) else None) is tag
    if isinstance(found, Priced):
        assert found.order.intent.price == Decimal("1507.50")
