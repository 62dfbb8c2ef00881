"""Step 1's look at the instrument of an order: what is known of it comes from the index of the symbol files."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loguru import logger

from core.instruments.hours import market_hours
from core.instruments.index import InstrumentIndex, open_for_reading
from core.instruments.lookups import find, near
from core.model.calendar import INDIA
from core.model.order import OrderIntent, Problem
from core.rules.order_check import problems_of, unknown_symbol

__all__ = ["InstrumentCheck"]


@dataclass(frozen=True, slots=True)
class InstrumentCheck:
    """Finds what is wrong with an order for its instrument.

    Attributes:
        directory: Where the index is.
        refuses: Whether an ENTRY or ADJUST with a problem is refused; else it is sent, and told of.
    """

    directory: Path
    refuses: bool

    def problems(self, intent: OrderIntent, now: datetime) -> tuple[Problem, ...]:
        """Everything that is wrong; nothing where there is no symbol file of the exchange, or no readable index."""
        try:
            with open_for_reading(self.directory) as index:
                return () if index is None else _problems(index, intent, now)
        except sqlite3.Error as error:
            logger.warning("orders are sent without a look at their instruments: {}", error)
            return ()


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
