"""The trading day: which day of the broker's an instant belongs to.

Brokers clear their books some time between midnight and the opening of the markets. Until then they show the day
before, so a trading day does not begin at midnight but at `[service] day_starts_at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["DAY_STARTS_AT", "INDIA", "MARKETS_OPEN", "TradingCalendar", "trading_day"]

INDIA = ZoneInfo("Asia/Kolkata")

DAY_STARTS_AT = time(6, 0)
"""When a trading day begins unless the settings say otherwise: the common time of the brokers' roll."""

MARKETS_OPEN = time(9, 0)
"""The earliest time at which an Indian exchange trades. Every broker has cleared its books by then."""

# So far ahead of this machine's clock a broker's may be.
_CLOCKS_DIFFER = timedelta(minutes=5)


def trading_day(at: datetime, zone: ZoneInfo = INDIA, starts_at: time = DAY_STARTS_AT) -> date:
    """The date of the trading day that `at` belongs to. Limits and breaches roll over with it (scenarios D9, G7)."""
    if at.tzinfo is None:
        raise ValueError("trading_day: the time needs a time zone")
    local = at.astimezone(zone)
    return local.date() if local.time() >= starts_at else local.date() - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """The trading days of a service: its zone, and when a day begins there."""

    zone: ZoneInfo = INDIA
    starts_at: time = DAY_STARTS_AT

    def day(self, at: datetime) -> date:
        """The trading day that `at` belongs to."""
        return trading_day(at, self.zone, self.starts_at)

    def before_markets(self, at: datetime) -> bool:
        """Whether the day of `at` has begun and no exchange has opened yet: nothing can have been traded on it."""
        local = at.astimezone(self.zone).time()
        return self.starts_at <= local < MARKETS_OPEN

    def last(self, clock: time, until: datetime) -> datetime:
        """The last moment up to `until` at which clocks in the zone showed this time of day."""
        local = until.astimezone(self.zone)
        at = datetime.combine(local.date(), clock, self.zone)
        return at if at <= local else datetime.combine(local.date() - timedelta(days=1), clock, self.zone)

    def may_be_cleared(self, since: datetime, until: datetime) -> bool:
        """Whether a broker may have cleared its books between the two: it does between midnight and MARKETS_OPEN.

        By its own clock, which may be ahead of ours.
        """
        first, last = since.astimezone(self.zone), (until + _CLOCKS_DIFFER).astimezone(self.zone)
        return first.time() < MARKETS_OPEN or first.date() != last.date()

    def after_midnight(self, at: datetime) -> bool:
        """Whether the calendar's date is ahead of the trading day: some brokers clear their books in these hours."""
        return at.astimezone(self.zone).date() > self.day(at)
