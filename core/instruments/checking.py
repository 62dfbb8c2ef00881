"""Step 1's look at the instrument of an order: what is known of it comes from the index of the symbol files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

from loguru import logger

from core.instruments.hours import market_hours
from core.instruments.index import FILE_NAME, InstrumentIndex, reader
from core.instruments.lookups import contracts_of, find, near
from core.model.broker import PriceBand
from core.model.calendar import INDIA, TradingCalendar
from core.model.instrument import Instrument, Kind, SymbolFile
from core.model.order import OrderIntent, Problem
from core.rules.order_check import (
    CASH,
    BrokerTerms,
    Verdict,
    band_problem,
    closed_problem,
    problems_of,
    type_problems,
    unknown_symbol,
)
from core.rules.slices import most_at_once

__all__ = ["CheckRules", "InstrumentCheck"]

# Bands of the instruments that were quoted last; more are not ordered in a day.
_BANDS = 2000
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """What is looked at, and what becomes of what is wrong.

    Attributes:
        refuses: Whether an ENTRY or ADJUST is refused for its instrument, price or type, or warned of; None: nobody
            looks.
        refuses_closed: The same where the exchange is closed.
        terms: What the broker takes.
        refresh_at: When the symbol files are read each day: one that was read before is old, and refuses nothing.
        calendar: The exchange's time zone.
    """

    refuses: bool | None
    refuses_closed: bool | None
    terms: BrokerTerms
    refresh_at: time
    calendar: TradingCalendar


class InstrumentCheck:
    """Finds what is wrong with an order for its instrument. Belongs to one thread.

    Args:
        directory: Where the index is.
        rules: What is looked at.
    """

    def __init__(self, directory: Path, rules: CheckRules) -> None:
        self._directory = directory
        self._rules = rules
        # It stays open, since opening it takes longer than looking up; a file made anew is opened anew.
        self._index: InstrumentIndex | None = None
        self._file = 0
        self._bands: dict[tuple[str, str], PriceBand] = {}

    def verdict(self, intent: OrderIntent, now: datetime) -> Verdict:
        """What becomes of an order.

        Nothing is said of its instrument where there is no symbol file of the exchange, or no readable index.
        """
        found: list[tuple[Problem, bool]] = []
        if self._rules.refuses_closed is not None:
            closed = closed_problem(intent, market_hours().day(intent.exchange, now.astimezone(INDIA).date()), now)
            if closed is not None:
                found.append((closed[0], closed[1] and self._rules.refuses_closed))
        if self._rules.refuses is not None:
            refuses = self._rules.refuses
            found += [(problem, certain and refuses) for problem, certain in self._found(intent, now)]
        return Verdict.of(intent, found)

    def keep_band(self, exchange: str, symbol: str, band: PriceBand) -> None:
        """What the broker told of the day's band of an instrument."""
        self._bands.pop((exchange, symbol), None)
        self._bands[exchange, symbol] = band
        if len(self._bands) > _BANDS:
            del self._bands[next(iter(self._bands))]

    def lacks(self, intent: OrderIntent) -> bool:
        """Whether the broker is worth asking of an instrument: the files do not have it, or not all of it."""
        try:
            index = self._opened()
            file = index.file(intent.exchange) if index is not None else None
            if index is None or file is None or not file.rows:
                return False
            named = index.by_symbol(intent.symbol, intent.exchange)
        except (sqlite3.Error, OSError):
            return False
        return all(one.tick_size is None or (one.freeze_quantity is None and one.is_derivative) for one in named)

    def most_at_once(self, intent: OrderIntent, now: datetime) -> int:
        """The largest order of an instrument that the exchange takes at once; zero where it is not known."""
        try:
            index = self._opened()
            one = None if index is None else _named(index, intent, now.astimezone(INDIA).date())
        except (sqlite3.Error, OSError):
            return 0
        return most_at_once(one.freeze_quantity, one.lot_size) if one is not None else 0

    def close(self) -> None:
        """Close the index; the next order opens it again."""
        if self._index is not None:
            self._index.close()
        self._index = None

    def _found(self, intent: OrderIntent, now: datetime) -> Iterator[tuple[Problem, bool]]:
        yield from ((problem, True) for problem in type_problems(intent, self._rules.terms))
        try:
            index = self._opened()
            if index is not None:
                yield from self._of_instrument(index, intent, now)
        except (sqlite3.Error, OSError) as error:
            logger.warning("orders are sent without a look at their instruments: {}", error)
            self.close()
        band = band_problem(intent, self._bands.get((intent.exchange, intent.symbol)), now)
        if band is not None:
            yield band

    def _opened(self) -> InstrumentIndex | None:
        try:
            file = (self._directory / FILE_NAME).stat().st_ino
        except FileNotFoundError:
            file = 0
        if self._index is None or file != self._file:
            self.close()
            self._index, self._file = reader(self._directory), file
        return self._index

    def _of_instrument(
        self, index: InstrumentIndex, intent: OrderIntent, now: datetime
    ) -> Iterator[tuple[Problem, bool]]:
        today = now.astimezone(INDIA).date()
        file = index.file(intent.exchange)
        if file is None:
            return
        if not file.rows:
            listed = ", ".join(one.exchange for one in index.files())
            text = f"nothing of {intent.exchange} is listed, only of {listed}: send one of those, or have the paper"
            yield Problem("exchange", f"{text} exchange trade it by the file of a broker in [paper] symbol_files"), True
            return
        old = self._words_if_old(file, now)
        one = _named(index, intent, today)
        if one is None:
            problems = iter((_unknown(index, intent, today),))
        else:
            contracts = contracts_of(index, one.underlying, today) if one.kind is Kind.INDEX else ()
            problems = problems_of(intent, one, today, contracts)
        for problem in problems:
            yield (problem, True) if old is None else (Problem(problem.field, f"{problem.message}{old}"), False)

    def _words_if_old(self, file: SymbolFile, now: datetime) -> str | None:
        calendar = self._rules.calendar
        if file.read_at >= calendar.last(self._rules.refresh_at, now):
            return None
        return f" (by the symbol file of {file.read_at.astimezone(calendar.zone):%Y-%m-%d}, which is not today's)"


def _named(index: InstrumentIndex, intent: OrderIntent, today: date) -> Instrument | None:
    """The instrument of an order: a number of an expired contract, and its name, may be given to another later."""
    named = index.by_symbol(intent.symbol, intent.exchange)
    return min(named, key=lambda one: (one.symbol != intent.symbol, one.expired(today)), default=None)


def _unknown(index: InstrumentIndex, intent: OrderIntent, today: date) -> Problem:
    exchange, symbol = intent.exchange, intent.symbol
    # NIFTY or RELIANCE at NFO is found elsewhere.
    meant = find(index, symbol, exchange, today) or find(index, symbol, "", today)
    others = (meant,) if meant is not None else near(index, symbol, exchange, today)
    return unknown_symbol(intent, meant, tuple(_tradable(index, others, exchange, today))[:_MOST_NAMES])


def _tradable(
    index: InstrumentIndex, named: tuple[Instrument, ...], exchange: str, today: date
) -> Iterator[Instrument]:
    """The same, and for an index, and a share where derivatives are traded, contracts of it."""
    for one in named:
        wanted = one.kind is Kind.INDEX or (exchange not in CASH and not one.is_derivative)
        contracts = contracts_of(index, one.underlying, today) if wanted else ()
        yield from contracts or (one,)
