"""Rows of TPSeries and EODChartData into candles.

A row of TPSeries is an object, one of EODChartData the text of one. Both come newest first. A row of which no price is
above zero says that nothing was traded. One that cannot be read spoils the whole answer: what is missing would look
like a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.model.calendar import INDIA
from core.model.candle import Candle
from core.noren.parse import BadRow, Row, broker_time, number, text, whole
from core.rules.instrument_names import day_of

__all__ = ["history"]

_DAY = timedelta(days=1)
_PRICES = ("into", "inth", "intl", "intc")


def history(rows: Iterable[Any], minutes: int | None) -> tuple[Candle, ...]:
    """The candles of so many minutes, or of days, oldest first.

    Raises:
        BadRow: One cannot be read; the text names the field.
    """
    found: dict[datetime, Candle] = {}
    for position, said in enumerate(rows):
        try:
            candle = _candle(_row(said), minutes)
        except BadRow as error:
            raise BadRow(f"row {position}: {error}") from error
        if candle is not None:
            found[candle.begin] = candle
    return tuple(found[begin] for begin in sorted(found))


def _row(said: Any) -> Row:
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            raise BadRow("it is not JSON") from None
    if not isinstance(said, dict):
        raise BadRow("it is not an object")
    return said


def _candle(row: Row, minutes: int | None) -> Candle | None:
    opened, high, low, closed = (_price(row, name) for name in _PRICES)
    if not any((opened, high, low, closed)):
        return None
    if not 0 < low <= min(opened, closed) <= max(opened, closed) <= high:
        raise BadRow(f"prices contradict each other: {'/'.join(_PRICES)} {opened}/{high}/{low}/{closed}")
    volume = whole(row, "intv")
    if volume is not None and volume < 0:
        raise BadRow(f"intv is negative: {volume}")
    begin = _day(row) if minutes is None else _minute(row)
    length = _DAY if minutes is None else timedelta(minutes=minutes)
    return Candle(begin, begin + length, opened, high, low, closed, volume)


def _price(row: Row, name: str) -> Decimal:
    price = number(row, name)
    if price is None:
        raise BadRow(f"{name} is missing")
    return price


def _minute(row: Row) -> datetime:
    said = text(row, "time")
    at = broker_time(said) if said is not None else _epoch(row)
    if at is None:
        raise BadRow(f"time is none: {said!r}")
    return at.astimezone(INDIA)


def _day(row: Row) -> datetime:
    said = text(row, "time")
    if said is None:
        # Stamped with the midnight of UTC, which is of the same day in India.
        return datetime.combine(_epoch(row).astimezone(INDIA).date(), time(0), INDIA)
    day = day_of(said)
    if day is None:
        raise BadRow(f"time is no day: {said!r}")
    return datetime.combine(day, time(0), INDIA)


def _epoch(row: Row) -> datetime:
    seconds = whole(row, "ssboe")
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        pass
    raise BadRow(f"neither time nor ssboe tells when: {seconds}")
