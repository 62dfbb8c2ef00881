"""Recorded prices from CSV, for `PriceSource.REPLAY`."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from decimal import Decimal, InvalidOperation

from pydantic import ValidationError

from core.paper.config import Tick
from core.paper.times import IST

__all__ = ["parse_ticks"]


def parse_ticks(text: str) -> tuple[Tick, ...]:
    """The ticks of a CSV text.

    Its header row names the columns `time,exch,token,price` and, if recorded, `bid,ask`. `time` is ISO 8601, Indian
    time where it names no zone, or epoch seconds. Prices are rupees.

    Raises:
        ValueError: A column is missing or a value cannot be read; the row's number is in the text.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    missing = {"time", "exch", "token", "price"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"ticks: no column {', '.join(sorted(missing))}")
    found = []
    for number, row in enumerate(reader, start=2):
        try:
            found.append(_tick(row))
        except (ValueError, InvalidOperation, ValidationError) as error:
            raise ValueError(f"ticks, row {number}: {error}") from error
    return tuple(found)


def _tick(row: dict[str, str]) -> Tick:
    return Tick(
        at=_moment(row["time"].strip()),
        exch=row["exch"].strip(),
        token=row["token"].strip(),
        price=Decimal(row["price"]),
        bid=Decimal(row["bid"]) if row.get("bid") else None,
        ask=Decimal(row["ask"]) if row.get("ask") else None,
    )


def _moment(text: str) -> datetime:
    if text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), IST)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=IST)
