"""The broker's rate limits, obeyed by us first (scenario E8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits import RateLimiter


def test_e8_calls_beyond_the_second_wait_until_one_has_left_it() -> None:
    limiter = RateLimiter(per_second=2, per_minute=0)
    limiter.spend(10.0)
    limiter.spend(10.4)
    assert limiter.wait_s(10.5, essential=True) == pytest.approx(0.5)
    assert limiter.wait_s(11.0, essential=True) == 0.0


def test_e8_reads_and_entries_leave_the_reserve_to_exits() -> None:
    limiter = RateLimiter(per_second=0, per_minute=3, reserve=1)
    limiter.spend(0.0)
    limiter.spend(1.0)
    assert limiter.wait_s(2.0, essential=False) == pytest.approx(58.0)
    assert limiter.wait_s(2.0, essential=True) == 0.0


def test_a_call_of_two_requests_waits_for_room_for_both() -> None:
    limiter = RateLimiter(per_second=2, per_minute=0)
    limiter.spend(0.0)
    assert limiter.wait_s(0.5, essential=True, calls=1) == 0.0
    assert limiter.wait_s(0.5, essential=True, calls=2) == pytest.approx(0.5)


def test_the_brokers_own_refusal_closes_the_door_for_its_window() -> None:
    limiter = RateLimiter(per_second=0, per_minute=0)
    limiter.close_for(5.0, 60.0)
    assert limiter.wait_s(10.0, essential=True) == pytest.approx(55.0)
    assert limiter.wait_s(65.0, essential=True) == 0.0


def test_a_reserve_that_leaves_nothing_else_is_refused() -> None:
    with pytest.raises(ValueError, match="reserve"):
        RateLimiter(per_second=0, per_minute=5, reserve=5)


@given(
    st.lists(st.tuples(st.floats(0, 0.4), st.booleans(), st.integers(1, 2)), max_size=200),
    st.integers(4, 5),
    st.integers(6, 12),
)
def test_law_9_no_window_ever_holds_more_than_its_limit(
    wishes: list[tuple[float, bool, int]], per_second: int, per_minute: int
) -> None:
    limiter = RateLimiter(per_second=per_second, per_minute=per_minute, reserve=2)
    now, made = 0.0, []
    for pause, essential, calls in wishes:
        now += pause
        now += limiter.wait_s(now, essential=essential, calls=calls)
        assert limiter.wait_s(now, essential=essential, calls=calls) == pytest.approx(0.0, abs=1e-6)
        for _ in range(calls):
            limiter.spend(now)
            made.append(now)
    for start in made:
        assert sum(1 for at in made if start <= at < start + 0.999_999) <= per_second
        assert sum(1 for at in made if start <= at < start + 59.999_99) <= per_minute
