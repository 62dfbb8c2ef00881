"""What readers want of the broker's minute, and what each gets (scenarios G18, G19)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.call_budget import FLOOR_S
from core.rules.call_plan import MINUTE_S, Use, Wants, in_words, is_short, read_gaps, shares

_BOOKS = {Use.ORDER_BOOK: 1.0, Use.POSITIONS: 5.0}


def test_g18_quotes_get_what_the_books_leave_and_the_books_thin_out_by_one_factor() -> None:
    assert read_gaps(96, _BOOKS, {Use.QUOTE: 60}, FLOOR_S) == pytest.approx({Use.QUOTE: 2.5})
    assert read_gaps(48, _BOOKS, {Use.QUOTE: 60}, FLOOR_S) == pytest.approx(
        {Use.ORDER_BOOK: 1.5, Use.POSITIONS: 7.5, Use.QUOTE: 20.0}
    )


def test_g18_trades_that_explain_a_fill_wait_no_longer_than_the_book_that_showed_it() -> None:
    gaps = read_gaps(48, _BOOKS, {Use.TRADE_BOOK: 2}, FLOOR_S)
    assert gaps[Use.TRADE_BOOK] == gaps[Use.ORDER_BOOK] == pytest.approx(74 / 48)


def test_g19_all_that_is_read_besides_the_books_shares_one_gap() -> None:
    assert read_gaps(90, _BOOKS, {Use.QUOTE: 60, Use.SEARCH: 5}, FLOOR_S) == pytest.approx(
        {Use.QUOTE: 60 / 18, Use.SEARCH: 60 / 18}
    )


@pytest.mark.parametrize("allowance", [1, 0, -50])
def test_g18_no_read_thins_out_beyond_its_floor(allowance: float) -> None:
    gaps = read_gaps(allowance, _BOOKS, {Use.QUOTE: 60, Use.TRADE_BOOK: 5}, FLOOR_S)
    assert gaps == {use: FLOOR_S[use] for use in (Use.ORDER_BOOK, Use.TRADE_BOOK, Use.POSITIONS, Use.QUOTE)}


def test_g19_what_each_reader_gets_is_said_in_words() -> None:
    told = shares(90, _BOOKS, [(Use.QUOTE, 10.0)] * 30, FLOOR_S)
    assert [(one.what, one.count, one.wanted_s, one.given_s) for one in told] == [
        ("order book", 1, 1.0, 1.0),
        ("positions", 1, 5.0, 5.0),
        ("quotes", 30, 10.0, 100.0),
    ]
    assert in_words(one for one in told if is_short(one)) == "30 quotes each every 100 s instead of 10 s"
    told = shares(60, _BOOKS, (), FLOOR_S)
    assert in_words(told) == "order book every 1.2 s instead of 1 s, positions every 6 s instead of 5 s"


def test_g19_who_wants_little_gets_it_and_the_others_share_the_rest() -> None:
    told = shares(90, _BOOKS, [(Use.QUOTE, 60.0)] * 6 + [(Use.QUOTE, 1.0)] * 2, FLOOR_S)
    assert [(one.count, one.wanted_s, one.given_s) for one in told[2:]] == [(2, 1.0, 10.0), (6, 60.0, 60.0)]


@given(
    st.floats(73, 500),
    st.lists(st.tuples(st.sampled_from([Use.QUOTE, Use.SEARCH]), st.floats(0.1, 600)), min_size=1, max_size=40),
)
def test_g19_what_is_promised_is_what_there_is(allowance: float, besides: list[tuple[Use, float]]) -> None:
    told = shares(allowance, _BOOKS, besides, FLOOR_S)
    promised = sum(one.count * MINUTE_S / one.given_s for one in told)
    assert promised <= max(allowance, 72 + 3) * (1 + 1e-9)
    assert all(one.given_s >= one.wanted_s for one in told)
    if promised < allowance * (1 - 1e-9):
        assert not [one for one in told if is_short(one)], "nobody goes short while something is left"


def test_g19_a_want_stands_until_its_reader_has_not_asked_three_times() -> None:
    wants = Wants()
    wants.state(Use.QUOTE, "strategy a: INFY", 20.0)
    wants.state(Use.QUOTE, "strategy b: INFY", 20.0)
    wants.forget(1e6)
    assert wants.intervals() == [(Use.QUOTE, 20.0)] * 2, "both wait for their turn, however long"
    wants.served(0.0, "strategy a: INFY")
    wants.served(20.0, "strategy b: INFY")
    wants.forget(59.9)
    assert wants.intervals() == [(Use.QUOTE, 20.0)] * 2
    wants.forget(60.0)
    assert wants.intervals() == [(Use.QUOTE, 20.0)]
    wants.withdrawn("strategy b: INFY")
    assert not wants.has(Use.QUOTE)


def test_g18_who_asks_without_saying_how_often_is_counted_for_a_minute() -> None:
    wants = Wants()
    for second in range(5):
        wants.once(float(second), Use.QUOTE)
    assert wants.intervals() == [(Use.QUOTE, 12.0)]
    wants.forget(64.5)
    assert not wants.has(Use.QUOTE)
