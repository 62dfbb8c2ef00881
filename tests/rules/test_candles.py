"""Candles: hand-worked tables, and what holds for any ticks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.instruments.hours import market_hours
from core.model.calendar import INDIA
from core.model.candle import Candle
from core.rules.candles import (
    INTERVALS,
    CandleBuilder,
    Grid,
    aggregated,
    history_minutes,
    interval,
    sessions,
)
from tests.factories import a_candle

MONDAY = date(2026, 11, 30)
MINUTE = timedelta(minutes=1)
FIVE = 5 * MINUTE


def at(clock: str, day: date = MONDAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), INDIA)


def session(day: date) -> tuple[datetime, datetime]:
    return at("09:15", day), at("15:30", day)


def builder(length: timedelta = FIVE, most: int = 1000) -> CandleBuilder:
    return CandleBuilder(Grid(length, session), most)


def candle(begin: str, prices: str, volume: int | None, length: timedelta = FIVE) -> Candle:
    return a_candle(at(begin), prices, volume, length)


def lines(candles: tuple[Candle, ...]) -> list[str]:
    """One line a candle: begin, open high low close, volume, `part` where not whole, gap."""
    return [
        f"{one.begin:%H:%M:%S} {one.open} {one.high} {one.low} {one.close} v={one.volume}"
        f"{'' if one.whole else ' part'}{f' gap={one.gap_before}' if one.gap_before else ''}"
        for one in candles
    ]


def fed(ticks: str, length: timedelta = FIVE) -> CandleBuilder:
    """A builder that took one tick a line: clock, price, the day's volume."""
    made = builder(length)
    for line in ticks.strip().splitlines():
        clock, price, volume = line.split()
        made.add(Decimal(price), None if volume == "-" else int(volume), at(clock))
    return made


def test_ticks_of_a_session_become_candles() -> None:
    made = fed(
        """
        09:08:00 99 500
        09:15:00 100 600
        09:17:30 104 650
        09:19:59 98 700
        09:20:00 101 710
        09:24:59 102 900
        """
    )
    # The auction at 9:08 is in no candle; what was traded since is in the first.
    assert lines(made.candles()) == ["09:15:00 100 104 98 98 v=200", "09:20:00 101 102 101 102 v=200"]


def test_what_began_in_the_middle_is_a_part_and_counts_only_what_it_saw() -> None:
    made = fed("09:17:00 100 5000\n09:18:00 101 5100\n09:21:00 102 5150")
    assert lines(made.candles()) == ["09:15:00 100 101 100 101 v=100 part", "09:20:00 102 102 102 102 v=50"]


def test_intervals_without_a_tick_have_no_candle_and_are_counted() -> None:
    made = fed("09:00:00 99 0\n09:26:00 100 10\n09:41:00 101 20")
    assert lines(made.candles()) == ["09:25:00 100 100 100 100 v=10 gap=2", "09:40:00 101 101 101 101 v=10 gap=2"]


def test_a_tick_without_a_trade_or_another_price_begins_no_candle() -> None:
    made = fed("09:14:00 99 0\n09:16:00 100 10\n09:21:00 100 10\n09:26:00 101 10\n09:31:00 101 11")
    assert lines(made.candles()) == [
        "09:15:00 100 100 100 100 v=10",
        "09:25:00 101 101 101 101 v=0 gap=1",
        "09:30:00 101 101 101 101 v=1",
    ]


def test_a_tick_that_is_older_than_the_candle_changes_nothing_and_is_counted() -> None:
    made = fed("09:14:00 99 0\n09:16:00 100 10\n09:21:00 101 20\n09:19:00 150 15\n09:22:00 102 25")
    assert lines(made.candles()) == ["09:15:00 100 100 100 100 v=10", "09:20:00 101 102 101 102 v=15"]
    assert made.late == 1


def test_ticks_out_of_order_within_the_candle_change_open_high_and_low_but_not_the_close() -> None:
    made = fed("09:14:00 99 0\n09:17:00 100 10\n09:16:00 97 5\n09:16:30 105 8\n09:18:00 101 20\n09:17:30 90 15")
    assert lines(made.candles()) == ["09:15:00 97 105 90 101 v=20"]


def test_the_volume_of_a_new_day_begins_at_zero() -> None:
    made = builder()
    made.add(Decimal(100), 9000, at("15:29:00"))
    made.add(Decimal(101), 30, at("09:15:10", date(2026, 12, 1)))
    made.add(Decimal(101), 9100, at("15:29:30"))
    made.add(Decimal(102), 50, at("09:16:00", date(2026, 12, 1)))
    assert [one.volume for one in made.candles()] == [0, 50]


def test_an_index_has_no_volume() -> None:
    assert [one.volume for one in fed("09:16:00 100 -\n09:17:00 101 -").candles()] == [None]


def test_ticks_outside_the_session_are_in_no_candle() -> None:
    assert fed("09:14:59 100 1\n15:30:00 101 2").candles() == ()


def test_a_candle_of_which_ticks_were_left_out_says_so() -> None:
    made = fed("09:14:00 99 0\n09:16:00 100 10")
    made.add(Decimal(101), 30, at("09:17:00"), all_seen=False)
    made.add(Decimal(102), 40, at("09:21:00"))
    assert [one.whole for one in made.candles()] == [False, True]


def test_the_broker_s_history_stands_before_the_ticks() -> None:
    made = fed("09:27:00 100 5000\n09:31:00 103 5200")
    made.seed(
        [candle("09:15", "90 95 89 94", 1000), candle("09:25", "96 110 95 99", 700), candle("09:30", "1 1 1 1", 1)],
        at("09:31:30"),
    )
    assert lines(made.candles()) == [
        "09:15:00 90 95 89 94 v=1000",
        "09:25:00 96 110 95 99 v=700 gap=1",
        "09:30:00 103 103 103 103 v=200",
    ]
    made.add(Decimal(104), 5300, at("09:32:00"))
    assert lines(made.candles())[-1] == "09:30:00 103 104 103 104 v=300"


def test_of_the_candle_that_runs_history_and_ticks_each_have_a_part() -> None:
    made = fed("09:27:00 100 5000\n09:28:00 101 5050")
    made.seed([candle("09:25", "96 110 95 99", 700)], at("09:27:30"))
    assert lines(made.candles()) == ["09:25:00 96 110 95 101 v=700"]
    late = fed("09:28:00 101 5050")
    late.seed([candle("09:25", "96 110 95 99", 700)], at("09:27:30"))
    assert lines(late.candles()) == ["09:25:00 96 110 95 101 v=700 part"]


def test_history_without_a_tick_goes_on_with_the_ticks() -> None:
    made = builder()
    made.seed([candle("09:20", "90 95 89 94", 10), candle("09:25", "94 96 94 96", 20)], at("09:26:00"))
    made.add(Decimal(97), 900, at("09:27:00"))
    assert lines(made.candles()) == ["09:20:00 90 95 89 94 v=10", "09:25:00 94 97 94 97 v=20 part"]


def test_only_the_newest_are_kept() -> None:
    made = builder(MINUTE, most=3)
    for minute in range(15, 40):
        made.add(Decimal(100), minute, at(f"09:{minute}:30"))
    assert [f"{one.begin:%H:%M}" for one in made.candles()] == ["09:36", "09:37", "09:38", "09:39"]


@pytest.mark.parametrize(
    ("length", "clock", "wanted"),
    [
        ("1h", "10:14:59", "09:15 10:15"),
        ("1h", "15:20:00", "15:15 15:30"),
        ("4h", "14:00:00", "13:15 15:30"),
        ("10m", "09:24:59", "09:15 09:25"),
        ("1d", "12:00:00", "09:15 15:30"),
    ],
)
def test_intervals_begin_with_the_session_and_end_with_it(length: str, clock: str, wanted: str) -> None:
    slot = Grid(interval(length), session).slot(at(clock))
    assert slot is not None
    assert " ".join(f"{one:%H:%M}" for one in slot) == wanted


@pytest.mark.parametrize(
    ("length", "clock", "wanted"),
    [
        ("15m", "08:50:00", "08:45 09:00"),
        ("1h", "08:50:00", "08:15 09:15"),
        ("15m", "22:01:00", "22:00 22:15"),
        ("15m", "12:01:00", "12:00 12:15"),
        ("1d", "22:00:00", ""),
    ],
)
def test_where_the_exchange_trades_at_all_hours_intervals_go_on(length: str, clock: str, wanted: str) -> None:
    slot = Grid(interval(length), session).slot(at(clock), at_all_hours=True)
    assert " ".join(f"{one:%H:%M}" for one in slot or ()) == wanted


def test_what_an_outage_took_from_candles_comes_from_the_broker() -> None:
    made = fed("09:15:00 100 10\n09:16:00 101 20\n09:20:00 102 30\n09:21:00 103 40")
    made.interrupted()
    made.add(Decimal(108), 90, at("09:31:00"))
    made.add(Decimal(109), 95, at("09:35:00"))
    assert lines(made.candles()) == [
        "09:15:00 100 101 100 101 v=10 part",
        "09:20:00 102 103 102 103 v=20 part",
        "09:30:00 108 108 108 108 v=50 part gap=1",
        "09:35:00 109 109 109 109 v=5",
    ]
    told = [candle("09:20", "102 105 99 104", 40), candle("09:25", "104 106 104 106", 15)]
    made.seed([*told, candle("09:30", "106 108 105 108", 10)], at("09:36:00"))
    assert lines(made.candles())[1:] == [
        "09:20:00 102 105 99 104 v=40",
        "09:25:00 104 106 104 106 v=15",
        "09:30:00 106 108 105 108 v=10",
        "09:35:00 109 109 109 109 v=5",
    ]


def test_longer_candles_are_made_of_shorter_ones() -> None:
    minutes = [
        candle("09:26", "8 9 8 9", 40, MINUTE),
        candle("09:14", "1 1 1 1", 1, MINUTE),
        candle("09:15", "5 7 4 6", 10, MINUTE),
        candle("09:19", "6 8 6 7", 20, MINUTE),
    ]
    assert lines(aggregated(minutes, Grid(FIVE, session))) == ["09:15:00 5 8 4 7 v=30", "09:25:00 8 9 8 9 v=40 gap=1"]


def test_the_exchanges_sessions_align_candles_and_a_day_without_one_begins_at_midnight() -> None:
    of = sessions(market_hours(), "MCX")
    assert [f"{one:%H:%M}" for one in of(MONDAY)] == ["09:00", "23:55"]
    sunday = sessions(market_hours(), "NSE")(date(2026, 11, 29))
    assert sunday == (at("00:00", date(2026, 11, 29)), at("00:00"))


def test_a_length_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"interval is '7m'; it is one of 1s, 5s, .*1m, .*1d"):
        interval("7m")
    assert interval(" 5M ") == FIVE


@pytest.mark.parametrize(("name", "minutes"), [("1m", 1), ("2m", 1), ("3m", 3), ("10m", 5), ("30m", 15), ("4h", 15)])
def test_history_is_read_in_candles_that_every_broker_aligns_alike(name: str, minutes: int) -> None:
    assert history_minutes(interval(name)) == minutes


def test_of_seconds_there_is_no_history() -> None:
    assert history_minutes(interval("1d")) is None
    with pytest.raises(ValueError, match="no candles of less than 1m"):
        history_minutes(interval("30s"))


Ticks = list[tuple[int, int, int]]
TICKS = st.lists(st.tuples(st.integers(-900, 24_000), st.integers(1, 200), st.integers(0, 50)), min_size=1, max_size=60)


@settings(deadline=None)
@given(TICKS, st.sampled_from(sorted(INTERVALS)))
def test_candles_of_any_ticks_are_in_order_aligned_and_hold_their_prices(ticks: Ticks, name: str) -> None:
    made = builder(interval(name))
    for seconds, price, volume in ticks:
        made.add(Decimal(price), volume, at("09:15") + timedelta(seconds=seconds))
    candles = made.candles()
    prices = {Decimal(price) for _, price, _ in ticks}
    for one in candles:
        assert one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
        assert {one.open, one.high, one.low, one.close} <= prices
        assert made.grid.slot(one.begin) == (one.begin, one.end)
    for one, after in pairwise(candles):
        assert after.begin == one.end + after.gap_before * interval(name)


@settings(deadline=None)
@given(TICKS)
def test_no_unit_is_lost_or_counted_twice(ticks: Ticks) -> None:
    made = builder(MINUTE)
    volumes: list[int] = []
    for seconds, price in sorted((abs(seconds) % 22_500, price) for seconds, price, _ in ticks):
        volumes.append((volumes[-1] if volumes else 0) + price)
        made.add(Decimal(price), volumes[-1], at("09:15") + timedelta(seconds=seconds))
    assert sum(one.volume or 0 for one in made.candles()) == volumes[-1] - volumes[0]


@settings(deadline=None)
@given(TICKS, st.sampled_from(["2m", "5m", "15m", "1h"]))
def test_minutes_put_together_are_the_longer_candles(ticks: Ticks, name: str) -> None:
    short, long = builder(MINUTE), builder(interval(name))
    for number, (seconds, price, _) in enumerate(sorted(ticks)):
        for made in (short, long):
            made.add(Decimal(price), number, at("09:15") + timedelta(seconds=seconds))
    wanted = [(one.begin, one.open, one.high, one.low, one.close, one.volume) for one in long.candles()]
    found = aggregated(short.candles(), Grid(interval(name), session))
    assert [(one.begin, one.open, one.high, one.low, one.close, one.volume) for one in found] == wanted
