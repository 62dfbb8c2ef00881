"""On which days contracts expire: the rule of NSE and BSE since September 2025, for any running date.

NSE's contracts expire on Tuesdays and BSE's on Thursdays, monthly ones on the last of the month; where that day is a
holiday, on the trading day before. Only NIFTY and SENSEX have weekly contracts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

__all__ = ["HOLIDAYS", "Expiries", "expiries", "is_monthly"]

HOLIDAYS = frozenset(
    date(2026, month, day)
    for month, day in (
        *((1, 15), (1, 26), (3, 3), (3, 26), (3, 31), (4, 3), (4, 14), (5, 1), (5, 28)),
        *((6, 26), (9, 14), (10, 2), (10, 20), (11, 10), (11, 24), (12, 25)),
    )
)
"""The weekdays of 2026 on which NSE and BSE are closed; of later years only those of a fixed date are known."""

_EVERY_YEAR = frozenset({(1, 26), (4, 14), (5, 1), (8, 15), (10, 2), (12, 25)})
_WEEKDAYS = {"NFO": 1, "BFO": 3}
_WEEK = timedelta(weeks=1)
_NEAREST = 2


class Expiries(NamedTuple):
    """The nearest expiries, rising: of weekly contracts, and of monthly ones."""

    weekly: tuple[date, ...]
    monthly: tuple[date, ...]


def is_monthly(day: date) -> bool:
    """Whether a Tuesday, or a Thursday, is the last of its month."""
    return (day + _WEEK).month != day.month


def expiries(exch: str, today: date) -> Expiries:
    """The two nearest weekly and monthly expiries that are not over.

    Args:
        exch: NFO or BFO.
        today: The trading day.
    """
    weekly: list[date] = []
    monthly: list[date] = []
    for day in _days(today, _WEEKDAYS[exch]):
        expiry = _traded(day)
        if expiry >= today:
            (monthly if is_monthly(day) else weekly).append(expiry)
        if len(monthly) >= _NEAREST:
            return Expiries(tuple(weekly[:_NEAREST]), tuple(monthly))
    raise AssertionError("months end")


def _days(today: date, weekday: int) -> Iterator[date]:
    day = today + timedelta(days=(weekday - today.weekday()) % 7)
    while True:
        yield day
        day += _WEEK


def _traded(day: date) -> date:
    while day in HOLIDAYS or (day.month, day.day) in _EVERY_YEAR or day.weekday() >= 5:
        day -= timedelta(days=1)
    return day
