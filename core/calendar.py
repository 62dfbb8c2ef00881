"""The trading day: which date an instant belongs to at the exchange."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

__all__ = ["INDIA", "trading_day"]

INDIA = ZoneInfo("Asia/Kolkata")


def trading_day(at: datetime, zone: ZoneInfo = INDIA) -> date:
    """The calendar date of `at` in the exchange's zone. Limits and breaches roll over with it (scenario D9)."""
    if at.tzinfo is None:
        raise ValueError("trading_day: the time needs a time zone")
    return at.astimezone(zone).date()
