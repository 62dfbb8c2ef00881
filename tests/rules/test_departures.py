"""What EXITs filled and opened, told from the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.model.order import ExecutionType, Product
from core.model.positions import Departure
from core.rules.departures import Change, Key, departures, opened_by_exits
from tests.factories import NOON

ENTRY, EXIT, ADJUST = ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST
KEY = ("alpha", "NSE", "INFY-EQ", Product.MIS)
BEGAN = NOON - timedelta(hours=6)


def change(minute: int, quantity: int, kind: ExecutionType | None, *, external: bool = False) -> Change:
    return Change(KEY, quantity, NOON + timedelta(minutes=minute), kind, external)


def left(minute: int, quantity: int, opened: int | None, sign: int = -1) -> Departure:
    opened_at = BEGAN if opened is None else NOON + timedelta(minutes=opened)
    return Departure(*KEY, sign, quantity, NOON + timedelta(minutes=minute), opened_at)


def told(day: list[Change], held: dict[Key, int]) -> tuple[tuple[Departure, ...], frozenset[Key]]:
    """What EXITs filled and is not known to have gone too far, without how their holdings came to be; what they opened.

    No holding is older than these changes.
    """
    found = departures(day, held, BEGAN)
    left_over = tuple(replace(one, changes=(), lost=0, overdrawn=0) for one in found if one.quantity)
    return left_over, opened(day, held)


def opened(day: list[Change], held: dict[Key, int]) -> frozenset[Key]:
    by_exits, older = opened_by_exits(day, held)
    assert older == frozenset()
    return by_exits


def test_an_exit_departs_from_the_holding_that_stood_before_it() -> None:
    day = [
        change(0, 100, ENTRY),
        change(1, 20, ADJUST),
        change(2, -30, ADJUST),
        change(3, -90, EXIT),
        change(4, 50, ENTRY),
        change(5, -50, EXIT),
    ]
    assert told(day, {}) == ((left(2, 30, 0), left(3, 90, 0), left(5, 50, 4)), frozenset())


def test_what_was_held_overnight_was_opened_before_every_order_of_the_day() -> None:
    [one] = departures([change(3, -60, EXIT)], {KEY: 40}, BEGAN)
    assert replace(one, changes=()) == left(3, 60, None)


def test_what_an_external_order_is_known_to_have_overtaken_is_not_told_again() -> None:
    day = [change(0, 100, ENTRY), change(1, -100, EXIT), change(2, -70, None, external=True)]
    assert told(day, {KEY: -70}) == ((left(1, 30, 0),), frozenset({KEY}))


def test_what_an_external_order_closed_before_the_exit_takes_nothing_off_it() -> None:
    day = [change(0, 100, ENTRY), change(1, -70, None, external=True), change(2, -30, EXIT)]
    assert told(day, {}) == ((left(2, 30, 0),), frozenset())


def test_what_a_holding_had_lost_and_what_its_exit_opened_are_known_over_a_restart() -> None:
    day = [
        change(0, 100, ENTRY),
        change(1, -20, EXIT),
        change(2, -70, None, external=True),
        change(3, -10, EXIT),
        change(4, -5, None, external=True),
    ]
    first, second = departures(day, {KEY: -5}, BEGAN)
    assert (first.quantity, first.lost, first.overdrawn) == (15, 70, 5)
    entered = (NOON, 100), (NOON + timedelta(minutes=1), -20)
    assert (second.quantity, second.lost, second.changes) == (10, 0, (*entered, (None, -70)))


def test_an_exit_of_nothing_and_what_a_person_adopts_depart_from_nothing() -> None:
    """A late fill of an EXIT whose holding is gone: what it opened is its strategy's by the fill itself."""
    day = [change(0, -10, EXIT), change(1, 10, None)]
    [one] = departures(day, {}, BEGAN)
    assert (one.quantity, one.opened_at) == (10, None)
    assert opened(day, {}) == frozenset()


def test_what_an_exit_opened_is_unintended_until_it_is_closed_or_entered_anew() -> None:
    day = [change(0, 100, ENTRY), change(1, -150, EXIT)]
    assert opened(day, {KEY: -50}) == {KEY}, "filled beyond the holding"
    assert opened([*day, change(2, 20, EXIT)], {KEY: -30}) == {KEY}, "a part is closed"
    assert opened([*day, change(2, 50, EXIT)], {}) == frozenset()
    again = [*day, change(2, 50, EXIT), change(3, -50, ENTRY)]
    assert opened(again, {KEY: -50}) == frozenset()
    assert opened([change(0, -50, None)], {KEY: -50}) == frozenset(), "a person adopted it"


def test_of_a_holding_older_than_the_changes_they_do_not_tell() -> None:
    assert opened_by_exits([change(3, 20, EXIT)], {KEY: -30}) == (frozenset(), {KEY})
    assert opened_by_exits([], {KEY: -30}) == (frozenset(), {KEY})
