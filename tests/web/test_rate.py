"""The bucket of each address (F3)."""

from __future__ import annotations

import pytest

from core.runtime.clock import VirtualClock
from core.web.rate import Flood, RateLimit
from tests.web.harness import NOON


def refused(rate: RateLimit, address: str) -> bool:
    try:
        rate.take(address)
    except Flood:
        return True
    return False


def test_f3_a_minutes_worth_at_once_and_then_as_fast_as_it_refills() -> None:
    clock = VirtualClock(NOON)
    rate = RateLimit(clock, 6)
    assert [refused(rate, "a") for _ in range(7)] == [False] * 6 + [True]
    clock.advance(9.9)
    assert refused(rate, "a")
    clock.advance(0.2)
    assert not refused(rate, "a")
    assert refused(rate, "a")


def test_f3_an_idle_address_saves_up_no_more_than_a_minutes_worth() -> None:
    clock = VirtualClock(NOON)
    rate = RateLimit(clock, 3)
    rate.take("a")
    clock.advance(3600)
    assert [refused(rate, "a") for _ in range(4)] == [False, False, False, True]


def test_f3_addresses_do_not_share_a_bucket() -> None:
    rate = RateLimit(VirtualClock(NOON), 1)
    assert [refused(rate, name) for name in "abab"] == [False, False, True, True]


def test_f3_it_says_when_to_come_back() -> None:
    rate = RateLimit(VirtualClock(NOON), 6)
    for _ in range(6):
        rate.take("a")
    with pytest.raises(Flood) as flood:
        rate.take("a")
    assert flood.value.retry_s == pytest.approx(10)


def test_f3_a_flood_of_addresses_does_not_grow_without_bound() -> None:
    rate = RateLimit(VirtualClock(NOON), 1)
    for number in range(5000):
        rate.take(str(number))
    assert refused(rate, "4999")
    assert not refused(rate, "0")
