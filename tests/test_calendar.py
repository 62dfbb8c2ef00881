"""The trading day begins at `day_starts_at`, not at midnight (scenario G7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.model.calendar import INDIA, MARKETS_OPEN, TradingCalendar, trading_day
from core.settings import SettingsError, load_settings

DAY = date(2026, 11, 23)

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
instants = some.integers(0, 15 * 365 * 86_400_000).map(
    lambda milliseconds: FIRST + timedelta(milliseconds=milliseconds)
)
starts = some.times(max_value=time(8, 59))
calendars = some.builds(TradingCalendar, some.just(INDIA), starts)


@pytest.mark.parametrize(
    ("clock", "starts_at", "days_back"),
    [
        ("23:59:59", "06:00", 0),
        ("00:00:00", "06:00", 1),
        ("05:59:59", "06:00", 1),
        ("06:00:00", "06:00", 0),
        ("06:01:00", "06:00", 0),
        ("00:00:00", "00:00", 0),
        ("23:59:59", "00:00", 0),
        ("07:29:59", "07:30", 1),
        ("07:30:00", "07:30", 0),
    ],
)
def test_g7_a_day_begins_at_its_time_and_not_before(clock: str, starts_at: str, days_back: int) -> None:
    at = datetime.combine(DAY, time.fromisoformat(clock), INDIA)
    assert trading_day(at, INDIA, time.fromisoformat(starts_at)) == DAY - timedelta(days=days_back)


@given(calendars, instants)
def test_g7_a_day_holds_the_24_hours_from_its_start(calendar: TradingCalendar, at: datetime) -> None:
    day = calendar.day(at)
    begins = datetime.combine(day, calendar.starts_at, calendar.zone)
    assert begins <= at < begins + timedelta(days=1)


@given(calendars, instants, some.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)))
def test_g7_days_never_go_back_while_time_goes_on(calendar: TradingCalendar, at: datetime, on: timedelta) -> None:
    assert calendar.day(at) <= calendar.day(at + on)
    assert calendar.day(at + timedelta(days=1)) == calendar.day(at) + timedelta(days=1)


@given(calendars, instants)
def test_g7_the_zone_of_an_instant_makes_no_difference(calendar: TradingCalendar, at: datetime) -> None:
    assert calendar.day(at) == calendar.day(at.astimezone(ZoneInfo("America/New_York")))


@given(calendars, instants)
def test_g7_the_hours_around_the_start_are_told_apart(calendar: TradingCalendar, at: datetime) -> None:
    local = at.astimezone(calendar.zone)
    assert calendar.after_midnight(at) == (local.time() < calendar.starts_at)
    assert calendar.before_markets(at) == (calendar.starts_at <= local.time() < MARKETS_OPEN)
    assert not (calendar.after_midnight(at) and calendar.before_markets(at))


def test_g7_an_instant_without_a_zone_is_no_instant() -> None:
    without = datetime(2026, 11, 23, 12, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        trading_day(without)


def test_g7_the_day_is_a_setting_that_cannot_lie_in_trading_hours() -> None:
    assert load_settings(None, {}).calendar == TradingCalendar(INDIA, time(6))
    assert load_settings(None, {"SIXSTEP_SERVICE__DAY_STARTS_AT": "07:30"}).calendar.starts_at == time(7, 30)
    with pytest.raises(SettingsError, match=r"DAY_STARTS_AT: must be a time before 09:00"):
        load_settings(None, {"SIXSTEP_SERVICE__DAY_STARTS_AT": "09:00"})


@pytest.mark.parametrize(("sent", "now", "cleared"), [("23:00", "23:50", False), ("23:00", "23:56", True)])
def test_g7_a_brokers_clock_that_is_ahead_may_have_passed_midnight(sent: str, now: str, cleared: bool) -> None:
    at = [datetime(2026, 11, 27, *map(int, text.split(":")), tzinfo=INDIA) for text in (sent, now)]
    assert TradingCalendar().may_be_cleared(*at) is cleared
