"""What is kept of the symbol files: a SQLite file of its own, which can be made anew from the files at any time.

One actor writes it; whoever looks something up opens it for himself, to read. A file of an exchange is replaced whole
or not at all: readers see the old one until then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.instruments.symbol_file import BadSymbolFile, Row
from core.model.instrument import Instrument, Kind, OptionType, SymbolFile

__all__ = ["EXCHANGES", "FILE_NAME", "InstrumentIndex", "open_for_reading", "reader"]

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")
FILE_NAME = "instruments.db"
_VERSION = 1
_COLUMNS = (
    *("exchange", "token", "symbol", "kind", "series", "underlying"),
    *("expiry", "strike", "option", "lot_size", "tick_size", "freeze_quantity", "name"),
)
_LIST = ", ".join(_COLUMNS)
_VALUES = f"({_LIST}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_ROW_VALUES = f"({', '.join(Row._fields)}) VALUES ({', '.join('?' * len(Row._fields))})"
# A table of its own for each exchange: with a new file it is made anew and its indexes are built in one go, which takes
# less time than to change them row by row.
_TABLE = """
CREATE TABLE {0} (
    exchange TEXT, token TEXT, symbol TEXT COLLATE NOCASE, kind TEXT, series TEXT, underlying TEXT, expiry TEXT,
    strike TEXT, option TEXT, lot_size INTEGER, tick_size TEXT, freeze_quantity INTEGER, name TEXT DEFAULT ''
)"""
_INDEXES = ("CREATE INDEX {0}_symbol ON {0} (symbol)", "CREATE INDEX {0}_underlying ON {0} (underlying, expiry)")
_ALL = " UNION ALL ".join(f"SELECT {_LIST} FROM {exchange}" for exchange in EXCHANGES)
_SCHEMA = (
    *(statement.format(exchange) for exchange in EXCHANGES for statement in (_TABLE, *_INDEXES)),
    f"CREATE VIEW instruments AS {_ALL}",
    "CREATE TABLE files (exchange TEXT PRIMARY KEY, source TEXT, read_at TEXT, rows INTEGER)",
    f"PRAGMA user_version = {_VERSION}",
)
# A file that is half as long as the one before it is more likely cut short than true.
_LEAST_SHARE = 0.5
_BUSY_S = 5.0


class InstrumentIndex:
    """The instruments of the last good files. Not thread-safe: each user opens its own.

    Args:
        connection: Of the file.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # It changes when another connection has written: it takes long to make.
        self._names: tuple[int, dict[str, tuple[str, ...]]] | None = None

    @classmethod
    def open(cls, directory: Path) -> InstrumentIndex:
        """Open it to write, made anew where there is none, or one that is damaged or of another version."""
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / FILE_NAME
        try:
            return cls(_prepared(file))
        except sqlite3.DatabaseError:
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
            return cls(_prepared(file))

    @classmethod
    def in_memory(cls) -> InstrumentIndex:
        """One that nobody else can read, where no file can be kept."""
        return cls(_prepared(":memory:"))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # Writing

    def replace(self, file: SymbolFile, rows: Iterable[Row], *, believe_short: bool = False) -> SymbolFile:
        """Put a file's instruments in the place of those of the last one of its exchange.

        Args:
            file: Which file, of one of `EXCHANGES`; its number of rows is found here.
            rows: As `read_symbol_file` gives them.
            believe_short: Take a file that is much shorter than the last one of the same source.

        Raises:
            BadSymbolFile: It cannot be used; the last one stays.
        """
        last = self.file(file.exchange)
        alike = last is not None and last.source == file.source and not believe_short
        least = last.rows * _LEAST_SHARE if last is not None and alike else 0
        with self._transaction() as connection:
            connection.execute(f"DROP TABLE {file.exchange}")
            connection.execute(_TABLE.format(file.exchange))
            connection.executemany(f"INSERT INTO {file.exchange} {_ROW_VALUES}", rows)
            for statement in _INDEXES:
                connection.execute(statement.format(file.exchange))
            (count,) = connection.execute(f"SELECT count(*) FROM {file.exchange}").fetchone()
            if last is not None and count < least:
                raise BadSymbolFile(
                    f"it has {count} instruments where the last one had {last.rows}; if that is right, "
                    "`run.py instruments refresh` takes it"
                )
            told = SymbolFile(file.exchange, file.source, file.read_at, count)
            connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (told.exchange, told.source, told.read_at.isoformat(), told.rows),
            )
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return told

    def forget(self, exchange: str) -> None:
        """Drop the instruments of an exchange: they are not those of the present source."""
        with self._transaction() as connection:
            connection.execute(f"DELETE FROM {exchange}")
            connection.execute("DELETE FROM files WHERE exchange = ?", (exchange,))

    def remember(self, instrument: Instrument) -> None:
        """Keep what the broker told of an instrument, until the next file of its exchange."""
        table = instrument.exchange
        if table in EXCHANGES:
            with self._transaction() as connection:
                same = (instrument.symbol, instrument.token)
                connection.execute(f"DELETE FROM {table} WHERE symbol = ? AND token = ?", same)
                connection.execute(f"INSERT INTO {table} {_VALUES}", _values(instrument))

    def freeze(self, instrument: Instrument) -> None:
        """Keep the freeze quantity of a derivative for all of its exchange and underlying: exchanges set it by them."""
        values = (instrument.freeze_quantity, instrument.underlying)
        with self._transaction() as connection:
            connection.execute(f"UPDATE {instrument.exchange} SET freeze_quantity = ? WHERE underlying = ?", values)

    # Looking up

    def without_freeze(self, since: date) -> tuple[Instrument, ...]:
        """One contract of each index with derivatives whose freeze quantity is not known."""
        return self._select(
            "exchange IN ('NFO', 'BFO') AND series IN ('FUTIDX', 'OPTIDX') AND expiry >= ? AND freeze_quantity IS NULL "
            "GROUP BY exchange, underlying",
            (since.isoformat(),),
        )

    def files(self) -> tuple[SymbolFile, ...]:
        """The files in use."""
        return tuple(file for file in self._files() if file.rows)

    def file(self, exchange: str) -> SymbolFile | None:
        """The file in use of an exchange; one without rows where the broker is known to list nothing of it."""
        return next((one for one in self._files() if one.exchange == exchange), None)

    def _files(self) -> Iterator[SymbolFile]:
        rows = self._connection.execute("SELECT exchange, source, read_at, rows FROM files ORDER BY exchange")
        return (SymbolFile(one[0], one[1], datetime.fromisoformat(one[2]), one[3]) for one in rows)

    def by_symbol(self, symbol: str, exchange: str = "") -> tuple[Instrument, ...]:
        """The instruments of this trading symbol, in any spelling of upper and lower case."""
        return self._select("symbol = ? AND (? = '' OR exchange = ?)", (symbol, exchange, exchange))

    def by_underlying(self, underlying: str, kinds: Sequence[Kind], exchange: str = "") -> tuple[Instrument, ...]:
        """Everything of these kinds that belongs to a share, index or commodity, by expiry."""
        return self._select(
            f"underlying = ? AND kind IN ({', '.join('?' * len(kinds))}) AND (? = '' OR exchange = ?) ORDER BY expiry",
            (underlying, *kinds, exchange, exchange),
        )

    def chain(self, underlying: str, expiry: date) -> tuple[Instrument, ...]:
        """The futures and options of an underlying that expire on a day."""
        return self._select("underlying = ? AND expiry = ?", (underlying, expiry.isoformat()))

    def expiries(self, underlying: str, kind: Kind, since: date) -> tuple[date, ...]:
        """On which days from `since` on contracts of an underlying expire."""
        rows = self._connection.execute(
            "SELECT DISTINCT expiry FROM instruments WHERE underlying = ? AND expiry >= ? AND kind = ? ORDER BY expiry",
            (underlying, since.isoformat(), kind),
        )
        return tuple(date.fromisoformat(one[0]) for one in rows)

    def search(self, text: str, exchange: str, since: date, limit: int) -> tuple[Instrument, ...]:
        """Instruments whose columns hold every word; what is named so first, shares and indices before contracts."""
        words = text.upper().split()
        if not words:
            return ()
        held = "(symbol LIKE ? OR underlying LIKE ? OR name LIKE ? OR expiry LIKE ? OR ? IN (strike, option, series))"
        values = [part for word in words for part in (*[f"%{word}%"] * 3, f"{word}%", word)]
        return self._select(
            f"{' AND '.join([held] * len(words))} AND (? = '' OR exchange = ?) AND (expiry IS NULL OR expiry >= ?) "
            "ORDER BY symbol <> ?, underlying <> ?, expiry IS NOT NULL, instr(underlying, ?) <> 1, "
            "expiry, underlying, exchange, series <> 'EQ', option, CAST(strike AS REAL), symbol LIMIT ?",
            (*values, exchange, exchange, since.isoformat(), " ".join(words), words[0], words[0], limit),
        )

    def names(self, exchange: str = "") -> tuple[str, ...]:
        """Every name an unknown one may have been meant for: shares, indices and underlyings."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if self._names is None or self._names[0] != version:
            self._names = version, {where: self._underlyings(where) for where in EXCHANGES}
        named = self._names[1]
        return tuple(dict.fromkeys(name for where in named if exchange in ("", where) for name in named[where]))

    def _underlyings(self, exchange: str) -> tuple[str, ...]:
        return tuple(row[0] for row in self._connection.execute(f"SELECT DISTINCT underlying FROM {exchange}"))

    def _select(self, where: str, values: Sequence[Any]) -> tuple[Instrument, ...]:
        rows = self._connection.execute(f"SELECT {_LIST} FROM instruments WHERE {where}", values)
        return tuple(map(_instrument, rows))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._names = None
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_for_reading(directory: Path) -> Iterator[InstrumentIndex | None]:
    """The index, to read from it on one thread; None while nothing is kept yet, or what is kept cannot be read."""
    index = reader(directory)
    if index is None:
        yield None
        return
    try:
        known = bool(index.files())
    except sqlite3.DatabaseError:
        known = False
    try:
        yield index if known else None
    finally:
        index.close()


def reader(directory: Path) -> InstrumentIndex | None:
    """The index, to be read on this thread and closed by the caller; None where there is no file."""
    try:
        return InstrumentIndex(
            sqlite3.connect(f"file:{directory / FILE_NAME}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None)
        )
    except sqlite3.OperationalError:
        return None


def _prepared(file: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # All of it can be read again: nothing is lost with it.
        connection.execute("PRAGMA synchronous = OFF")
        # 16 MB: room to sort an index in memory.
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"version {version}")
        connection.execute("SELECT count(*) FROM files").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _values(one: Instrument) -> tuple[Any, ...]:
    return (
        *(one.exchange, one.token, one.symbol, one.kind.value, one.series, one.underlying),
        *(one.expiry and one.expiry.isoformat(), _text(one.strike), one.option and one.option.value),
        *(one.lot_size, _text(one.tick_size), one.freeze_quantity, one.name),
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number.normalize():f}"


def _instrument(row: Sequence[Any]) -> Instrument:
    exchange, token, symbol, kind, series, underlying, expiry, strike, option, lot, tick, freeze, name = row
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        token=token,
        name=name,
        kind=Kind(kind),
        series=series,
        underlying=underlying,
        expiry=None if expiry is None else date.fromisoformat(expiry),
        strike=None if strike is None else Decimal(strike),
        option=None if option is None else OptionType(option),
        lot_size=lot,
        tick_size=None if tick is None else Decimal(tick),
        freeze_quantity=freeze,
    )
