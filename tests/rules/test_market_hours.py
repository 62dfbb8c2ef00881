"""When exchanges trade, by the tables that come with this version."""

from datetime import date, datetime, time

import pytest

from core.cli.doctor.here import holidays
from core.instruments.hours import market_hours
from core.model.calendar import INDIA

HOURS = market_hours()


@pytest.mark.parametrize(
    ("exchange", "day", "opens", "closes"),
    [
        ("NSE", "2026-07-31", "09:15", "15:30"),
        ("NFO", "2026-07-31", "09:15", "15:30"),
        ("NFO", "2026-11-27", "09:15", "15:40"),
        ("MCX", "2026-07-31", "09:00", "23:30"),
        ("MCX", "2026-11-27", "09:00", "23:55"),
        ("MCX", "2026-11-24", "17:00", "23:55"),
        ("MCX", "2026-01-01", "09:00", "17:00"),
    ],
)
def test_the_hours_of_a_day(exchange: str, day: str, opens: str, closes: str) -> None:
    found = HOURS.day(exchange, date.fromisoformat(day))
    assert found is not None
    assert (found.opens, found.closes) == (time.fromisoformat(opens), time.fromisoformat(closes))
    assert found.certain


@pytest.mark.parametrize(
    ("exchange", "day", "reason"),
    [
        ("NFO", "2026-11-24", "Prakash Gurpurb Sri Guru Nanak Dev"),
        ("BFO", "2026-12-25", "Christmas"),
        ("MCX", "2026-12-25", "Christmas"),
        ("NSE", "2026-11-28", "weekend"),
    ],
)
def test_days_without_trading_say_why(exchange: str, day: str, reason: str) -> None:
    found = HOURS.day(exchange, date.fromisoformat(day))
    assert found is not None
    assert (found.opens, found.reason, found.certain) == (None, reason, True)


def test_what_no_list_confirms_is_not_certain() -> None:
    ordinary, holiday = HOURS.day("NFO", date(2027, 2, 3)), HOURS.day("NSE", date(2027, 3, 22))
    assert ordinary is not None
    assert holiday is not None
    assert (ordinary.certain, ordinary.opens) == (False, time(9, 15))
    assert (holiday.certain, holiday.opens, holiday.reason) == (False, None, "Holi")
    assert HOURS.day("NCX", date(2026, 11, 27)) is None


def test_a_session_begins_with_its_first_minute_and_ends_before_its_last() -> None:
    day = HOURS.day("NFO", date(2026, 11, 27))
    assert day is not None
    at = [datetime(2026, 11, 27, hour, minute, tzinfo=INDIA) for hour, minute in ((9, 14), (9, 15), (15, 39), (15, 40))]
    assert [day.is_open(moment) for moment in at] == [False, True, True, False]


def test_the_end_of_the_lists_is_told_in_time() -> None:
    assert holidays(date(2026, 11, 16)).verdict == "ok"
    assert holidays(date(2026, 11, 17)).verdict == "warn"
    assert HOURS.runs_out(date(2026, 12, 17)) is None
    assert "until 2026-12-31" in str(HOURS.runs_out(date(2026, 12, 18)))
