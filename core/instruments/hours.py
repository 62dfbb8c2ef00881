"""The tables of sessions and holidays that come with this version."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, time
from functools import lru_cache
from importlib.resources import files

from core.rules.market_hours import Holiday, MarketHours, Session

__all__ = ["market_hours"]

_LISTED_UNTIL = date(2026, 12, 31)
"""The last day of the last year whose holidays the exchanges had published. The tables go on with guesses."""


@lru_cache(maxsize=1)
def market_hours() -> MarketHours:
    """When the exchanges trade, as far as this version knows."""
    sessions = (
        Session(
            row["exchange"],
            date.fromisoformat(row["from"]),
            time.fromisoformat(row["opens"]),
            time.fromisoformat(row["closes"]),
            row["certain"] == "yes",
            _time(row["orders_from"]),
        )
        for row in _rows("sessions.csv")
    )
    holidays = (
        Holiday(
            date.fromisoformat(row["date"]),
            frozenset(row["exchanges"].split()),
            _time(row["opens"]),
            _time(row["closes"]),
            row["certain"] == "yes",
            row["name"],
        )
        for row in _rows("holidays.csv")
    )
    return MarketHours(sessions, holidays, _LISTED_UNTIL)


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("core.instruments").joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())


def _time(text: str) -> time | None:
    return time.fromisoformat(text) if text else None
