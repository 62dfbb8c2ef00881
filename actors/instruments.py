"""Keeps the brokers' symbol files fresh: reads them once a day before the open, and keeps the last good one of each.

Owns the index of instruments, of which it is the only writer; step 1 and the web read it themselves, strategies ask.
What the files lack it asks the broker for, after everything else: once a day the freeze quantity of each index with
derivatives, and instruments that orders name. Takes `RefreshInstruments`, `GetInstrumentFiles`, `RememberInstrument`,
`CompleteInstrument`, `GetInstrument` and `GetChain`. Blocks while it fetches and reads a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from loguru import logger

from actors.addresses import Addresses
from core.instruments import BadSymbolFile, InstrumentIndex, SymbolFileSource
from core.instruments.hours import market_hours
from core.instruments.lookups import find, near, options_of
from core.instruments.symbol_file import file_name, read_symbol_file
from core.messages import (
    Alert,
    ChainFound,
    CompleteInstrument,
    FindInstruments,
    GetChain,
    GetInstrument,
    GetInstrumentFiles,
    InstrumentFiles,
    InstrumentsFound,
    InstrumentTold,
    Message,
    ReadInstrument,
    RefreshInstruments,
    RememberInstrument,
    Severity,
    Tick,
)
from core.model.alerts import AlertKind
from core.model.calendar import TradingCalendar
from core.model.instrument import Instrument, SymbolFile
from core.rules.option_chain import around
from core.runtime import Actor, Runtime

__all__ = ["Instruments"]

_LOOK = "look"
_NOT_KEPT = "instruments cannot be kept in [service] data_dir"
_LOOK_EVERY_S = 60.0
# How long after a failed try the next one is made.
_RETRY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _ReadNext(Message):
    """To itself: read the next file of the list, after what came in meanwhile."""


class Instruments(Actor):
    """Reads one file at a time.

    Args:
        open_index: Opens the index to write.
        source: Gives the files.
        exchanges: Whose files are read.
        refresh_at: Time of day at which they are read anew.
        calendar: The exchange's time zone.
        may_lack: An exchange without a file is in order: the paper exchange does not trade everywhere.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        open_index: Callable[[], InstrumentIndex],
        source: SymbolFileSource,
        exchanges: tuple[str, ...],
        refresh_at: time,
        calendar: TradingCalendar,
        may_lack: bool,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._open_index = open_index
        self._source = source
        self._exchanges = exchanges
        self._refresh_at = refresh_at
        self._calendar = calendar
        self._may_lack = may_lack
        self._to_read: list[str] = []
        self._tried: dict[str, datetime] = {}
        self._problems: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._asked: list[str] = []
        """Who waits for the files to have been read."""
        self._sought: dict[str, date] = {}
        """What the broker was asked for, and on which day."""
        self._open: dict[str, FindInstruments | ReadInstrument] = {}
        """Those of today that it has not answered."""
        self._again = False

    def started(self) -> None:
        try:
            self._index = self._open_index()
        except (sqlite3.Error, OSError) as error:
            # The service trades without it; the next start tries again.
            self._alert(Severity.WARNING, f"{_NOT_KEPT}: {error}; symbols are looked up at the broker, one by one")
            self._index = InstrumentIndex.in_memory()
        for file in self._index.files():
            # Of another broker, or of a paper exchange of another day.
            if file.source != self._source.place(file.exchange) or file.exchange not in self._exchanges:
                self._index.forget(file.exchange)
        if warning := market_hours().runs_out(self._calendar.day(self.clock.now())):
            logger.warning("{}", warning)
        self._ask_for_freeze()
        # By a timer, so that the rest of the actors is started while the files are fetched.
        self.after(_LOOK, 0.0)

    def stopping(self) -> None:
        self._index.close()

    def rebuild(self) -> None:
        """What could not be read is tried again at the next look."""
        self._to_read.clear()
        self._answer()
        self.every(_LOOK, _LOOK_EVERY_S)

    def on_tick(self, _: Tick) -> None:
        # By looking at the clock each minute, and not by one long timer: a machine may have slept meanwhile.
        self.every(_LOOK, _LOOK_EVERY_S)
        if not self._to_read:
            self._begin([exchange for exchange in self._exchanges if self._is_due(exchange)])
        if not self._to_read:
            self._ask_again()

    def on_refresh_instruments(self, message: RefreshInstruments) -> None:
        self._asked.append(message.reply_to)
        self._begin(list(self._exchanges))

    def on_get_instrument_files(self, _: GetInstrumentFiles) -> None:
        self.reply(self._files())

    def on_remember_instrument(self, message: RememberInstrument) -> None:
        self._remember(message.instrument)

    def on_read_next(self, _: _ReadNext) -> None:
        if self._to_read:
            self._read(self._to_read.pop(0))
        if self._to_read:
            self.tell_name(self.name, _ReadNext())
        else:
            in_use = ", ".join(f"{file.exchange} {file.rows}" for file in self._index.files())
            logger.info("instruments: {}", in_use or "none; no symbol file could be read")
            self._tell_problems()
            self._answer()
            # New files have forgotten what the broker told.
            self._sought.clear()
            self._open.clear()
            self._ask_for_freeze()

    # What the files lack

    def on_complete_instrument(self, message: CompleteInstrument) -> None:
        named = [one for one in self._index.by_symbol(message.symbol, message.exchange) if one.token]
        if named:
            self._ask(named[0].place, ReadInstrument(named[0], self.name))
        else:
            search = FindInstruments(message.exchange, message.symbol, self.name)
            self._ask(_search(message.exchange, message.symbol), search)

    def _ask_for_freeze(self) -> None:
        """Exchanges set it by underlying: one contract tells it for all of an index."""
        try:
            lacking = self._index.without_freeze(self._calendar.day(self.clock.now()))
        except sqlite3.Error as error:
            logger.warning("{}: {}", _NOT_KEPT, error)
            return
        for one in lacking:
            self._ask(f"freeze of {one.exchange}:{one.underlying}", ReadInstrument(one, self.name))

    def on_instruments_found(self, message: InstrumentsFound) -> None:
        """The broker's answer. A search finds longer names too; what was not answered is asked for at the next look."""
        if message.problem is not None:
            self._again = True
        for one in message.instruments:
            wanted = {what for what, ask in self._open.items() if _answers(one, ask)}
            if wanted:
                self._remember(one)
                self._open = {what: ask for what, ask in self._open.items() if what not in wanted}
            if _search(one.exchange, one.symbol) in wanted and one.token and one.freeze_quantity is None:
                self._ask(one.place, ReadInstrument(one, self.name))

    def _ask(self, what: str, message: FindInstruments | ReadInstrument) -> None:
        """Once a day, and once more each time after the broker could not answer."""
        day = self._calendar.day(self.clock.now())
        if self._sought.get(what) != day:
            self._sought = {other: on for other, on in self._sought.items() if on == day} | {what: day}
            self._open = {other: ask for other, ask in self._open.items() if other in self._sought} | {what: message}
            self.tell(self._addresses.broker_proxy, message)

    def _ask_again(self) -> None:
        if self._again:
            self._again = False
            for message in self._open.values():
                self.tell(self._addresses.broker_proxy, message)

    def _remember(self, one: Instrument) -> None:
        try:
            self._index.remember(one)
            if one.is_derivative and one.freeze_quantity is not None and one.underlying:
                self._index.freeze(one)
        except sqlite3.Error as error:
            logger.warning("{}: {}", _NOT_KEPT, error)

    # What strategies ask

    def on_get_instrument(self, message: GetInstrument) -> None:
        day, (name, exchange) = self._calendar.day(self.clock.now()), (message.name, message.exchange)
        found = find(self._index, name, exchange, day)
        others = () if found is not None else near(self._index, name, exchange, day)
        self.tell_name(message.reply_to, InstrumentTold(name, exchange, found, others))

    def on_get_chain(self, message: GetChain) -> None:
        day = self._calendar.day(self.clock.now())
        expiries, expiry, options = options_of(self._index, message.underlying, message.expiry, day)
        if message.around is not None:
            options = around(options, message.around, message.strikes)
        self.tell_name(message.reply_to, ChainFound(message.underlying, expiry, expiries, options))

    # Reading files

    def _begin(self, exchanges: list[str]) -> None:
        if exchanges and not self._to_read:
            self.tell_name(self.name, _ReadNext())
        self._to_read = exchanges or self._to_read

    def _is_due(self, exchange: str) -> bool:
        now = self.clock.now()
        since = self._calendar.last(self._refresh_at, now)
        tried = self._tried.get(exchange)
        if any(file.exchange == exchange and file.read_at >= since for file in self._index.files()):
            return False
        return tried is None or now - tried >= _RETRY or tried < since

    def _read(self, exchange: str) -> None:
        now, place = self.clock.now(), self._source.place(exchange)
        self._tried[exchange] = now
        try:
            data = self._source.fetch(exchange)
            if data is None and not self._may_lack:
                raise BadSymbolFile("there is no such file")
            # Without a file the exchange lists nothing, which is kept too.
            rows = read_symbol_file(data, exchange) if data is not None else ()
            self._index.replace(SymbolFile(exchange, place, now, 0), rows, believe_short=bool(self._asked))
            self._problems.pop(exchange, None)
        except BadSymbolFile as error:
            self._problems[exchange] = str(error)
        except sqlite3.Error as error:
            self._problems[exchange] = f"{_NOT_KEPT}: {error}"

    def _tell_problems(self) -> None:
        """Each trouble once, and that it is over."""
        for exchange, problem in self._problems.items():
            if self._told.get(exchange) != problem:
                self._alert(Severity.WARNING, self._words(exchange, problem))
        for exchange in self._told.keys() - self._problems.keys():
            self._alert(Severity.INFO, f"{file_name(exchange)} is read again")
        self._told = dict(self._problems)

    def _words(self, exchange: str, problem: str) -> str:
        last = next((file for file in self._index.files() if file.exchange == exchange), None)
        stays = "there is no earlier one: symbols of this exchange are looked up at the broker, one by one"
        if last is not None:
            read_at = last.read_at.astimezone(self._calendar.zone)
            stays = f"the one of {read_at:%Y-%m-%d %H:%M} stays in use, with {last.rows} instruments"
        fix = (
            "correct [instruments] url, or put the file into a folder that [instruments] directory names, "
            "then `run.py instruments refresh`"
        )
        return f"{self._source.place(exchange)}: {problem}; {stays}. It is tried again; if that does not help, {fix}"

    def _files(self) -> InstrumentFiles:
        problems = tuple(self._words(exchange, problem) for exchange, problem in sorted(self._problems.items()))
        return InstrumentFiles(self._index.files(), problems)

    def _answer(self) -> None:
        asked, self._asked = self._asked, []
        for name in asked:
            self.tell_name(name, self._files())

    def _alert(self, severity: Severity, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(severity, AlertKind.INSTRUMENTS, text))


def _search(exchange: str, symbol: str) -> str:
    return f"search for {exchange}:{symbol}"


def _answers(one: Instrument, ask: FindInstruments | ReadInstrument) -> bool:
    if isinstance(ask, ReadInstrument):
        return one.place == ask.instrument.place
    return (one.exchange, one.symbol) == (ask.exchange, ask.text)
