"""Stops, targets and trails, worked out by hand: long and short, three units, price steps; and which price fires."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.model.broker import PriceSource, Quote, SecondSource
from core.model.order import OrderIntent, Product, RawIntent
from core.model.positions import GuardLine
from core.model.protect import Protect
from core.model.protection import Protection, ProtectionState
from core.rules.keys import sealed
from core.rules.naked import NakedTime
from core.rules.protection import Watch, follow, in_json, levels, reached, read_protect, unusable
from core.rules.validation import Refused, read_intent
from tests.factories import NOON, an_intent

D = Decimal


def rule(**given: object) -> Protect:
    read = read_protect(given)
    assert isinstance(read, Protect), read
    return read


def protection(sign: int, anchor: str, **given: object) -> Protection:
    """Of a position entered at `anchor`, the moment it was."""
    begun = Protection(
        id="one",
        strategy="alpha",
        exchange="NSE",
        symbol="INFY-EQ",
        product=Product.MIS,
        sign=sign,
        rule=rule(**given),
        state=ProtectionState.ACTIVE,
        created_at=NOON,
        updated_at=NOON,
        anchor=D(anchor),
    )
    return follow(begun, D(anchor))


POINTS, PERCENT, PRICE = "points", "percent", "price"
STEP = "0.05"

# sign, anchor, what is set, its unit and value, price step; where it stands; a price short of it; one at it
TABLE = [
    (1, "100", "stop", POINTS, "5", None, "95", "95.05", "95"),
    (1, "100", "stop", POINTS, "5", STEP, "95", "95.05", "94.90"),
    (1, "100.12", "stop", POINTS, "5", STEP, "95.10", "95.15", "95.10"),
    (1, "100.13", "stop", PERCENT, "2", STEP, "98.10", "98.15", "98.10"),
    (1, "100", "stop", PRICE, "97.03", STEP, "97", "97.05", "97"),
    (-1, "100", "stop", POINTS, "5", None, "105", "104.95", "105"),
    (-1, "100.12", "stop", POINTS, "5", STEP, "105.15", "105.10", "105.15"),
    (-1, "100.13", "stop", PERCENT, "2", STEP, "102.15", "102.10", "102.20"),
    (-1, "100", "stop", PRICE, "103.03", STEP, "103.05", "103", "103.05"),
    (1, "100", "target", POINTS, "7.5", STEP, "107.50", "107.45", "107.50"),
    (1, "100.13", "target", PERCENT, "2", STEP, "102.15", "102.10", "102.15"),
    (1, "100", "target", PRICE, "110", STEP, "110", "109.95", "111"),
    (-1, "100", "target", POINTS, "7.5", STEP, "92.50", "92.55", "92.50"),
    (-1, "100.13", "target", PERCENT, "2", STEP, "98.10", "98.15", "98.10"),
    (-1, "100", "target", PRICE, "90", STEP, "90", "90.05", "89"),
    (1, "0.50", "target", PERCENT, "50", STEP, "0.75", "0.70", "0.75"),
]


@pytest.mark.parametrize(("sign", "anchor", "name", "unit", "value", "tick", "level", "short_of", "at"), TABLE)
def test_a_level_stands_where_it_was_worked_out_and_is_reached_there(  # noqa: PLR0917 - one parameter a column
    sign: int, anchor: str, name: str, unit: str, value: str, tick: str | None, level: str, short_of: str, at: str
) -> None:
    step = None if tick is None else D(tick)
    one = protection(sign, anchor, **{name: {unit: value}})
    assert getattr(levels(one, step), name) == D(level)
    assert reached(one, D(short_of), step) is None
    assert reached(one, D(at), step) == (name, D(level))


# sign, distance, the prices that come, the trail after each
TRAILS = [
    (1, {POINTS: 3}, ["101", "104", "102", "104.05"], ["98", "101", "101", "101.05"]),
    (1, {PERCENT: 10}, ["110", "111.11", "109"], ["99", "99.95", "99.95"]),
    (-1, {POINTS: 3}, ["99", "96", "98", "95.95"], ["102", "99", "99", "98.95"]),
    (-1, {PERCENT: 10}, ["90", "88.88", "91"], ["99", "97.80", "97.80"]),
]


@pytest.mark.parametrize(("sign", "trail", "prices", "wanted"), TRAILS)
def test_a_trail_follows_the_best_price_and_never_loosens(
    sign: int, trail: dict[str, int], prices: list[str], wanted: list[str]
) -> None:
    one = protection(sign, "100", trail=trail)
    for price, level in zip(prices, wanted, strict=True):
        one = follow(one, D(price), D(STEP))
        assert one.trail == D(level)
    # An anchor that moves with a further fill, and a coarser price step, loosen nothing either.
    assert follow(replace(one, anchor=D(90)), D(prices[0]), D(10)).trail == one.trail
    assert reached(one, D(wanted[-1])) == ("trail", D(wanted[-1]))


def test_of_stop_and_trail_the_nearer_one_fires_and_one_exit_ends_all() -> None:
    one = protection(1, "100", stop={POINTS: 2}, target={POINTS: 10}, trail={POINTS: 5})
    assert reached(one, D(98)) == ("stop", D(98))
    one = follow(one, D(108))
    assert reached(one, D("102.5")) == ("trail", D(103))
    assert reached(one, D(110)) == ("target", D(110))
    assert reached(one, D("104")) is None


def test_what_is_reached_already_is_refused_with_the_figures() -> None:
    short = protection(-1, "100", stop={POINTS: 5}, target={PRICE: 90})
    assert unusable(short, D(101)) is None
    assert unusable(short, D(106)) == "the stop at 105 of this short position is reached already: the price is 106"
    assert unusable(short, D(89)) == "the target at 90 of this short position is reached already: the price is 89"
    assert "at or below 0" in str(unusable(protection(1, "4", stop={POINTS: 5}), D(4)))


WRONG = [
    ({}, "must be an object"),
    ("5", "must be an object"),
    ({"stop": None}, "must have a stop"),
    ({"stopp": {POINTS: 5}}, "knows stop, target and trail"),
    ({"stop": 5}, "stop must be one of points"),
    ({"stop": {POINTS: 5, PERCENT: 2}}, "stop must be one of points"),
    ({"stop": {POINTS: True}}, "stop must be one of points"),
    ({"stop": {POINTS: "-5"}}, "stop must be one of points"),
    ({"stop": {POINTS: "NaN"}}, "stop must be one of points"),
    ({"stop": {POINTS: 10**5000}}, "stop must be one of points"),
    ({"stop": {POINTS: "0.00001"}}, "stop must be one of points"),
    ({"stop": {PERCENT: 100}}, "stop must be below 100"),
    ({"trail": {PRICE: 95}}, "trail must be points or percent"),
]


@pytest.mark.parametrize(("given", "says"), WRONG)
def test_what_cannot_be_meant_is_refused_and_says_what_would_do(given: object, says: str) -> None:
    assert says in str(read_protect(given))


def test_a_rule_reads_back_as_it_was_written() -> None:
    wanted = rule(stop={POINTS: "5.05"}, target={PERCENT: 2}, trail={POINTS: 1e1})
    assert read_protect(in_json(wanted)) == read_protect(wanted) == wanted
    assert str(wanted) == "stop 5.05 points, target 2 %, trail 10.0 points"


def order(**more: object) -> OrderIntent | Refused:
    fields: dict[str, object] = {"strategy": "alpha", "execution_type": "ENTRY", "exchange": "NSE", "symbol": "INFY-EQ"}
    fields |= {"side": "BUY", "quantity": 1, "product": "MIS", "order_type": "LIMIT", "price": "100"}
    return read_intent(RawIntent(tuple({**fields, **more}.items())))


def test_an_order_brings_a_protection_that_goes_with_it_or_is_refused() -> None:
    taken = order(protect={"stop": {PRICE: 95}})
    assert isinstance(taken, OrderIntent)
    assert taken.protect == rule(stop={PRICE: 95})
    assert read_intent(taken) == taken, "a strategy's intent is judged by the same rules"
    for wrong in (
        order(execution_type="EXIT", protect={"stop": {POINTS: 5}}),
        order(protect={"stop": {PRICE: 105}}),
        order(protect={"target": {PRICE: 99}}),
        order(side="SELL", protect={"stop": {PRICE: 95}}),
        order(protect="stop"),
    ):
        assert isinstance(wrong, Refused)
        assert [problem.field for problem in wrong.problems] == ["protect"]


def test_a_basket_with_other_protections_is_another_basket() -> None:
    legs = [replace(an_intent(), basket="b")]
    bare, other = sealed(legs)[0].basket, sealed([replace(legs[0], protect=rule(stop={POINTS: 5}))])[0].basket
    assert bare != other


# Which price fires


def quote(price: str, second: SecondSource = SecondSource.LAST, source: PriceSource = PriceSource.FEED) -> Quote:
    return Quote(
        exchange="NSE", symbol="INFY-EQ", last_price=D(price), bid=None, ask=None, at=NOON, second=second, source=source
    )


def test_a_price_that_something_speaks_for_fires_at_once_and_so_does_a_first_one_within_the_bound() -> None:
    watch = Watch(D("0.1"))
    assert watch.believes(quote("50"), D(100), 0.0)
    assert watch.believes(quote("91", SecondSource.NONE), D(100), 1.0)
    assert watch.believes(quote("50", SecondSource.NONE), None, 2.0), "there is nothing to hold it against"


@pytest.mark.parametrize("unspoken", [SecondSource.NONE, SecondSource.BAND])
def test_a_first_price_beyond_the_bound_waits_for_another_source_or_a_second_apart(unspoken: SecondSource) -> None:
    far = quote("70", unspoken)
    for second, at, believed in (
        (quote("70"), 0.5, False),
        (quote("70"), 1.0, True),
        (quote("71", SecondSource.NONE, PriceSource.QUOTE), 0.1, True),
        (quote("98"), 0.1, True),
        (quote("50", SecondSource.NONE), 1.5, False),
        (quote("70", SecondSource.NONE), 31.0, False),
    ):
        watch = Watch(D("0.1"))
        assert not watch.believes(far, D(100), 0.0)
        assert watch.believes(second, D(100), at) is believed
        assert watch.waits is not believed


def test_naked_time_counts_what_is_held_without_stop_and_alarms_each_stretch_once() -> None:
    key = ("alpha", "NSE", "INFY-EQ", Product.MIS)
    line = GuardLine(*key, 50, 0, None)
    naked = NakedTime(10.0)
    naked.note({key: line}, set(), 0.0)
    assert naked.alarms
    assert list(naked.alarmed(9.0)) == []
    [text] = naked.alarmed(10.0)
    assert text == "alpha has held +50 INFY-EQ MIS for 10 s without a stop or trail; protect it, or exit it"
    assert list(naked.alarmed(11.0)) == []
    naked.note({key: line}, {key}, 12.0)
    assert not bool(naked.alarms)
    [one] = naked.told(20.0, NOON)
    assert (one.seconds, one.since, one.held) == (12.0, None, 50)
    naked.note({key: line}, set(), 20.0)
    [one] = naked.told(25.0, NOON)
    assert (one.seconds, one.since) == (17.0, NOON - timedelta(seconds=5))
    assert len(list(naked.alarmed(31.0))) == 1
    naked.note({key: replace(line, held=0)}, set(), 40.0)
    assert naked.told(41.0, NOON) == ()
    assert not NakedTime().alarms
