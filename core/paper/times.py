"""Time stamps as the wire writes them, all of them Indian Standard Time without a zone (protocol section 7.1)."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from datetime import time as time_of_day
from functools import lru_cache

__all__ = [
    "IST",
    "at_time",
    "clock_then_date",
    "date_then_clock",
    "epoch",
    "nanoseconds",
    "order_number_date",
    "trading_day",
]

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""India keeps one offset all year, so no time zone database is needed."""


def clock_then_date(at: datetime) -> str:
    """`HH:MM:SS DD-MM-YYYY`, as request_time and norentm are written."""
    return _texts(int(at.timestamp()))[0]


def date_then_clock(at: datetime) -> str:
    """`DD-MM-YYYY HH:MM:SS`, as exch_tm and fltm are written."""
    return _texts(int(at.timestamp()))[1]


def epoch(at: datetime) -> str:
    """Whole seconds since 1970."""
    return str(int(at.timestamp()))


def nanoseconds(at: datetime) -> str:
    """Nanoseconds within the second."""
    return f"{at.microsecond}000"


def order_number_date(day: date) -> str:
    """`YYMMDD`, what an order number begins with."""
    return f"{day:%y%m%d}"


def at_time(day: date, clock: time_of_day) -> datetime:
    """The moment of `day` at which an Indian clock shows `clock`."""
    return datetime.combine(day, clock, IST)


def trading_day(now: datetime, roll: time_of_day) -> date:
    """The day that `now` belongs to, where days change at `roll`."""
    return (now - timedelta(hours=roll.hour, minutes=roll.minute, seconds=roll.second)).date()


# A burst of orders asks for the same second thousands of times.
@lru_cache(maxsize=1024)
def _texts(seconds: int) -> tuple[str, str]:
    at = datetime.fromtimestamp(seconds, IST)
    return f"{at:%H:%M:%S %d-%m-%Y}", f"{at:%d-%m-%Y %H:%M:%S}"
