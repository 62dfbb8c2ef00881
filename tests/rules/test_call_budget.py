"""The broker's rate limits, obeyed by us first, and what is left of them for whom (scenarios E8, G18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.call_budget import FLOOR_S, RateLimiter
from core.rules.call_plan import Use

_BOOKS = {Use.ORDER_BOOK: 1.0, Use.POSITIONS: 5.0}


def _made(limiter: RateLimiter, at: float, use: Use = Use.ENTRY, calls: int = 1) -> None:
    limiter.spend(at, use, calls)
    limiter.ended(at)


def test_e8_calls_beyond_the_second_wait_until_one_has_left_it() -> None:
    limiter = RateLimiter(per_second=2, per_minute=0)
    _made(limiter, 10.0)
    _made(limiter, 10.4)
    assert limiter.wait_s(10.5, Use.EXIT) == pytest.approx(0.5)
    assert limiter.wait_s(11.0, Use.EXIT) == 0.0


def test_e8_a_call_counts_from_its_end_since_the_broker_may_have_taken_it_only_then() -> None:
    limiter = RateLimiter(per_second=1, per_minute=0)
    limiter.spend(10.0, Use.ENTRY)
    limiter.ended(10.7)
    assert limiter.wait_s(11.0, Use.EXIT) == pytest.approx(0.7)


def test_e8_reads_and_entries_leave_the_reserve_of_the_second_to_exits() -> None:
    limiter = RateLimiter(per_second=3, per_minute=0, reserve=1)
    _made(limiter, 0.0)
    _made(limiter, 0.1)
    assert limiter.wait_s(0.2, Use.ENTRY) == pytest.approx(0.8)
    assert limiter.wait_s(0.2, Use.EXIT) == 0.0


def test_g18_entries_and_reads_leave_the_reserve_of_the_minute_to_exits() -> None:
    limiter = RateLimiter(per_second=0, per_minute=120, reserve_per_minute=24)
    _made(limiter, 0.0, Use.ENTRY, 96)
    limiter.read(0.0, Use.QUOTE)
    assert limiter.wait_s(2.0, Use.ENTRY) == pytest.approx(58.0)
    assert limiter.wait_s(2.0, Use.QUOTE) == pytest.approx(58.0)
    assert limiter.wait_s(20.0, Use.QUOTE) == 0.0, "kept back for 20 s, it goes"
    assert limiter.wait_s(2.0, Use.EXIT, 24) == 0.0
    _made(limiter, 2.0, Use.EXIT, 24)
    assert limiter.wait_s(2.0, Use.EXIT) == pytest.approx(58.0)


def test_g18_exits_leave_the_calls_that_keep_the_books_from_going_blind() -> None:
    limiter = RateLimiter(per_second=0, per_minute=120, reserve_per_minute=24, intervals=_BOOKS)
    now = 0.0
    while limiter.wait_s(now, Use.EXIT) == 0.0:
        _made(limiter, now, Use.EXIT)
    made = limiter.used(now)[1]
    assert 100 <= made <= 105, "15 reads of the books are kept"
    for step in range(10):
        now = step * FLOOR_S[Use.ORDER_BOOK]
        assert limiter.wait_s(now, Use.ORDER_BOOK) == 0.0
        _made(limiter, now, Use.ORDER_BOOK)
        limiter.read(now, Use.ORDER_BOOK)


def test_a_call_of_two_requests_waits_for_room_for_both() -> None:
    limiter = RateLimiter(per_second=2, per_minute=0)
    _made(limiter, 0.0)
    assert limiter.wait_s(0.5, Use.EXIT, 1) == 0.0
    assert limiter.wait_s(0.5, Use.EXIT, 2) == pytest.approx(0.5)


def test_the_brokers_own_refusal_closes_the_door_for_its_window() -> None:
    limiter = RateLimiter(per_second=0, per_minute=0)
    limiter.close_for(5.0, 60.0)
    assert limiter.wait_s(10.0, Use.EXIT) == pytest.approx(55.0)
    assert limiter.wait_s(65.0, Use.EXIT) == 0.0


@pytest.mark.parametrize(("second", "minute"), [(5, 0), (0, 5)])
def test_a_reserve_that_leaves_nothing_else_is_refused(second: int, minute: int) -> None:
    with pytest.raises(ValueError, match="reserve"):
        RateLimiter(per_second=5, per_minute=5, reserve=second, reserve_per_minute=minute)


def test_g18_calls_of_an_earlier_process_count() -> None:
    limiter = RateLimiter(per_second=0, per_minute=5)
    limiter.remember([-50.0, -10.0, -10.0, -10.0, -10.0])
    assert limiter.wait_s(0.0, Use.EXIT) == pytest.approx(10.0)


def test_g18_reads_that_the_minute_bears_are_not_kept_apart() -> None:
    limiter = RateLimiter(per_second=10, per_minute=120, reserve_per_minute=24, intervals=_BOOKS)
    for second in range(60):
        _made(limiter, float(second), Use.ORDER_BOOK)
        limiter.read(float(second), Use.ORDER_BOOK)
    assert limiter.gaps(60.0) == {}
    assert limiter.wait_s(60.0, Use.ORDER_BOOK) == 0.0


def test_g19_what_is_read_besides_leaves_the_books_the_calls_of_their_intervals() -> None:
    """Eighteen of ninety calls are left to quotes and searches, also in a minute in which no book was read yet."""
    limiter = RateLimiter(per_second=0, per_minute=120, reserve_per_minute=30, intervals=_BOOKS)
    for _ in range(18):
        assert limiter.wait_s(0.0, Use.QUOTE) == 0.0
        _made(limiter, 0.0, Use.QUOTE)
        limiter.read(-30.0, Use.QUOTE)
        limiter.read(0.0, Use.ORDER_BOOK)
        limiter.read(0.0, Use.POSITIONS)
    limiter.read(0.0, Use.QUOTE)
    limiter.read(0.0, Use.SEARCH)
    assert limiter.wait_s(1.0, Use.QUOTE) == pytest.approx(59.0)
    assert limiter.wait_s(1.0, Use.SEARCH) == pytest.approx(59.0)
    assert limiter.wait_s(1.0, Use.ORDER_BOOK) == 0.0
    assert limiter.wait_s(1.0, Use.ENTRY) == 0.0


def test_g19_a_burst_of_quotes_leaves_half_of_each_second_to_others() -> None:
    limiter = RateLimiter(per_second=10, per_minute=0, reserve=2)
    _made(limiter, 10.0, Use.QUOTE)
    limiter.read(9.0, Use.SEARCH)
    limiter.read(10.0, Use.QUOTE)
    assert limiter.wait_s(10.0, Use.QUOTE) == pytest.approx(0.25)
    assert limiter.wait_s(10.0, Use.SEARCH) == pytest.approx(0.25)
    assert limiter.wait_s(10.0, Use.ENTRY) == 0.0


def test_g18_calls_of_the_process_before_count_until_they_have_left_the_minute() -> None:
    limiter = RateLimiter(per_second=10, per_minute=120)
    limiter.remember([-50.0, -20.0])
    assert limiter.inherited(0.0) == (2, 40.0)
    assert limiter.inherited(30.0) == (1, 10.0)
    assert limiter.inherited(40.0) == (0, 0.0)


def test_g18_calls_that_were_even_before_a_restart_slow_no_book_after_it() -> None:
    limiter = RateLimiter(per_second=10, per_minute=120, reserve_per_minute=30, intervals=_BOOKS)
    limiter.remember([-60.0 + call / 1.5 for call in range(90)])
    assert [share.given_s for share in limiter.plan(0.0)] == [1.0, 5.0]


@given(
    st.lists(st.tuples(st.floats(0, 0.6), st.sampled_from(Use), st.integers(1, 3), st.floats(0, 0.4)), max_size=250),
    st.integers(5, 10),
    st.integers(30, 60),
    st.booleans(),
)
def test_law_9_no_window_ever_holds_more_than_its_limit(
    wishes: list[tuple[float, Use, int, float]], per_second: int, per_minute: int, books: bool
) -> None:
    """A broker that takes each call at any moment between its beginning and its end never counts too many."""
    limiter = RateLimiter(
        per_second=per_second,
        per_minute=per_minute,
        reserve=2,
        reserve_per_minute=6,
        intervals=_BOOKS if books else None,
    )
    now, made = 0.0, []
    for pause, use, calls, takes in wishes:
        now += pause
        limiter.asked(now, use)
        waited = 0
        while (wait := limiter.wait_s(now, use, calls)) > 0:
            now += max(wait, 1e-6)
            waited += 1
            assert waited < 200
        limiter.spend(now, use, calls)
        limiter.read(now, use)
        began, now = now, now + takes
        limiter.ended(now)
        made += [(began, now)] * calls
    for _, start in made:
        # The calls that began before are counted at their ends, those that came after at their beginnings.
        assert (
            sum(1 for began, ended in made if ended >= start and began < start + 0.999_999)
            - sum(1 for began, ended in made if ended > start and began < start)
            <= per_second
        )
        assert (
            sum(1 for began, ended in made if ended >= start and began < start + 59.999_99)
            - sum(1 for began, ended in made if ended > start and began < start)
            <= per_minute
        )


def test_law_9_calls_that_somebody_else_makes_count_in_every_second_until_they_are_over() -> None:
    limiter = RateLimiter(per_second=3, per_minute=5)
    limiter.lend(2)
    _made(limiter, 10.0)
    assert limiter.wait_s(10.5, Use.EXIT) == pytest.approx(0.5), "two under way and one made"
    _made(limiter, 15.0)
    assert limiter.used(15.0) == (3, 4)
    limiter.give_back(15.5, 2)
    assert limiter.wait_s(15.6, Use.EXIT) == pytest.approx(0.4), "the last one and the two that ended"
    assert limiter.wait_s(16.6, Use.EXIT) == 0.0
    _made(limiter, 16.6)
    assert limiter.wait_s(18.0, Use.EXIT) == pytest.approx(52.0), "the minute is full until that of 10.0 leaves it"
    limiter.give_back(20.0, 1)
    assert limiter.used(20.0) == (0, 5), "nothing is lent"
