"""Step 1's look at the instrument of an order: what is known of it comes from the index of the symbol files."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

from loguru import logger

from core.instruments.hours import market_hours
from core.instruments.index import FILE_NAME, InstrumentIndex, reader
from core.instruments.lookups import find, near
from core.model.calendar import INDIA
from core.model.order import OrderIntent, Problem
from core.rules.order_check import problems_of, unknown_symbol

__all__ = ["InstrumentCheck"]


class InstrumentCheck:
    """Finds what is wrong with an order for its instrument. Belongs to one thread.

    Args:
        directory: Where the index is.
        refuses: Whether an ENTRY or ADJUST with a problem is refused; else it is sent, and told of.
    """

    def __init__(self, directory: Path, *, refuses: bool) -> None:
        self.refuses = refuses
        self._directory = directory
        # It stays open, since opening it takes longer than looking up; a file made anew is opened anew.
        self._index: InstrumentIndex | None = None
        self._file = 0

    def problems(self, intent: OrderIntent, now: datetime) -> tuple[Problem, ...]:
        """Everything that is wrong; nothing where there is no symbol file of the exchange, or no readable index."""
        try:
            index = self._opened()
            return () if index is None else _problems(index, intent, now)
        except (sqlite3.Error, OSError) as error:
            logger.warning("orders are sent without a look at their instruments: {}", error)
            self.close()
            return ()

    def close(self) -> None:
        """Close the index; the next order opens it again."""
        if self._index is not None:
            self._index.close()
        self._index = None

    def _opened(self) -> InstrumentIndex | None:
        try:
            file = (self._directory / FILE_NAME).stat().st_ino
        except FileNotFoundError:
            file = 0
        if self._index is None or file != self._file:
            self.close()
            self._index, self._file = reader(self._directory), file
        return self._index


def _problems(index: InstrumentIndex, intent: OrderIntent, now: datetime) -> tuple[Problem, ...]:
    exchange, symbol, today = intent.exchange, intent.symbol, now.astimezone(INDIA).date()
    if all(file.exchange != exchange for file in index.files()):
        return ()
    named = index.by_symbol(symbol, exchange)
    # A number of an expired contract, and its name, may be given to another later: the living one counts.
    one = min(named, key=lambda one: (one.symbol != symbol, one.expired(today)), default=None)
    if one is None:
        meant = find(index, symbol, exchange, today)
        return (unknown_symbol(intent, (meant,) if meant is not None else near(index, symbol, exchange, today)),)
    return problems_of(intent, one, today, market_hours().day(exchange, today))
