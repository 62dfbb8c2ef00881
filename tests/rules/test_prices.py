"""Which prices are believed (scenario G11), and how partial frames become a price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.model.broker import PriceSource, Quote, SecondSource
from core.rules.prices import APART_S, FORGET_S, SECOND_S, Doubt, PriceBook
from core.rules.touchlines import Touchlines
from tests.factories import NOON

FEED, QUOTE = PriceSource.FEED, PriceSource.QUOTE
INFY = Quote(exchange="NSE", symbol="INFY-EQ", last_price=Decimal(1500), bid=None, ask=None, at=NOON, received_at=NOON)


def price(rupees: str, source: PriceSource = FEED, **fields: Any) -> Quote:
    return replace(INFY, last_price=Decimal(rupees), source=source, **fields)


def book(last: str = "1500", at: float = 0.0, source: PriceSource = FEED) -> PriceBook:
    made = PriceBook(Decimal("0.1"))
    assert isinstance(made.take(price(last, source), at), Quote)
    return made


def doubted(told: Quote | Doubt) -> bool:
    return isinstance(told, Doubt)


def test_g11_a_jump_is_not_used_until_the_other_source_says_the_same() -> None:
    prices = book()
    told = prices.take(price("1700"), 1.0)
    text = "NSE:INFY-EQ 1700 (push feed) is not used: 13 % off the last price 1500"
    assert told == Doubt(text, open=True)
    assert prices.last("NSE:INFY-EQ") == price("1500", second=SecondSource.NONE)

    confirmed = prices.take(price("1701", QUOTE), 2.0)

    assert isinstance(confirmed, Quote)
    assert confirmed.second is SecondSource.FEED
    assert not doubted(prices.take(price("1702"), 3.0))


def test_g11_many_frames_of_one_feed_are_one_source() -> None:
    prices = book()
    assert all(doubted(prices.take(price("1700"), float(second))) for second in range(1, 20))


def test_g11_a_feed_that_differs_from_the_quote_stays_unused() -> None:
    prices = book()
    assert doubted(prices.take(price("1700"), 1.0))
    assert not doubted(prices.take(price("1500", QUOTE), 2.0))
    assert doubted(prices.take(price("1700"), 3.0))
    assert prices.last("NSE:INFY-EQ") == price("1500", QUOTE, second=SecondSource.FEED)


@pytest.mark.parametrize(("apart_s", "believed"), [(0.0, False), (APART_S, True), (SECOND_S + 1, False)])
def test_g11_two_answers_some_time_apart_are_two_readings(apart_s: float, believed: bool) -> None:
    prices = book()
    assert doubted(prices.take(price("1700", QUOTE), 1.0))
    assert doubted(prices.take(price("1700", QUOTE), 1.0 + apart_s)) is not believed


def test_g11_sources_that_both_jump_elsewhere_are_both_not_used() -> None:
    prices = book()
    for second, quote in enumerate([price("1700"), price("2400", QUOTE)] * 3):
        assert doubted(prices.take(quote, 1.0 + second))


@pytest.mark.parametrize(
    ("last", "then", "more", "believed"),
    [
        ("1500", "1650", {}, True),
        ("1500", "1650.05", {}, False),
        ("1500", "1350", {}, True),
        ("0.10", "1.10", {}, True),  # twenty price steps are no jump
        ("0.10", "1.15", {}, False),
        ("100", "150", {"instrument": "OPTIDX"}, True),
        ("100", "151", {"instrument": "OPTIDX"}, False),
        ("100", "112", {"tick_size": Decimal(1)}, True),
    ],
)
def test_the_bound_of_a_jump(last: str, then: str, more: dict[str, Any], believed: bool) -> None:
    assert doubted(book(last).take(price(then, **more), 1.0)) is not believed


def test_a_price_of_before_the_market_closed_bounds_nothing() -> None:
    assert not doubted(book(at=0.0).take(price("1900"), FORGET_S + 1))


def test_g11_a_price_outside_the_day_s_band_is_not_used_whoever_says_it() -> None:
    band: dict[str, Any] = {"lower_limit": Decimal(1350), "upper_limit": Decimal(1650)}
    prices = PriceBook(Decimal("0.1"))
    for source in PriceSource:
        told = prices.take(price("26000", source, **band), 1.0)
        assert isinstance(told, Doubt)
        assert not told.open
        assert "outside the day's band 1350 to 1650" in told.reason
    assert isinstance(prices.take(price("1650", **band), 2.0), Quote)


def test_each_price_says_what_else_speaks_for_it() -> None:
    band: dict[str, Any] = {"lower_limit": Decimal(1350), "upper_limit": Decimal(1650)}
    prices = PriceBook(Decimal("0.1"))
    told = [
        prices.take(price("1500", **band), 0.0),
        prices.take(price("1501", **band), 1.0),
        prices.take(price("1502", QUOTE), 2.0),
        prices.take(price("1503"), 3.0),
        prices.take(price("1504"), 3.0 + SECOND_S),
    ]
    assert [one.second.value for one in told if isinstance(one, Quote)] == ["band", "last", "feed", "quote", "last"]


def test_ages_are_by_source_and_what_is_forgotten_has_none() -> None:
    prices = book(at=1.0)
    prices.take(price("1500", QUOTE), 4.0)
    place = "NSE:INFY-EQ"
    assert [prices.age_s(place, 5.0, source) for source in (None, FEED, QUOTE)] == [1.0, 4.0, 1.0]
    told = prices.told_by(place, FEED)
    assert told is not None
    prices.forget(place)
    assert [prices.age_s(place, 5.0, source) for source in (None, FEED, QUOTE)] == [None] * 3
    assert prices.last(place) is None


def test_frames_are_merged_and_the_newest_is_taken_once() -> None:
    lines = Touchlines()
    assert not lines.change("NSE|1", {"lp": "1"}, NOON)
    lines.snapshot("NSE|1", {"lp": "1", "bp1": "0.9"}, NOON)
    lines.snapshot("NSE|2", {"lp": "2"}, NOON)
    assert lines.change("NSE|1", {"lp": "3"}, NOON)
    (first,) = lines.take(1)
    assert (first.key, first.fields, first.missed) == ("NSE|1", {"lp": "3", "bp1": "0.9"}, 1)
    lines.forget("NSE|2")
    assert (lines.waiting, lines.take(9)) == (False, [])
    lines.change("NSE|1", {"lp": "4"}, NOON)
    assert [one.missed for one in lines.take(9)] == [0]
