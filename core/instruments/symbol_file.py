"""Reading one symbol file: a zip of one CSV text with a header row (protocol 11.1)."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple, TypeVar

from core.model.instrument import Kind
from core.rules.instrument_names import day_of, family_of, kind_of, plain

__all__ = ["BadSymbolFile", "Row", "file_name", "read_symbol_file"]

_NEEDED = ("Exchange", "Token", "LotSize", "Symbol", "TradingSymbol", "Instrument")
_DERIVATIVE = ("Expiry", "OptionType", "StrikePrice")
_CASH = frozenset({"NSE", "BSE"})
# Commodities have price steps of whole rupees too.
_ANY_STEP = frozenset({"CDS", "MCX"})
_SAMPLE = 1000
_OPTIONS = frozenset({"CE", "PE"})
# A file may have this share of rows that nobody can read; one with more is not what it should be.
_UNREADABLE_SHARE = 0.01
_LARGEST_TEXT = 200_000_000

T = TypeVar("T")


class BadSymbolFile(Exception):
    """A symbol file cannot be used; the text says what is wrong with it."""


class Row(NamedTuple):
    """One instrument as it is kept: what the file does not say is None."""

    exchange: str
    token: str
    symbol: str
    kind: str
    series: str
    underlying: str
    expiry: str | None
    strike: str | None
    option: str | None
    lot_size: int | None
    tick_size: str | None


def file_name(exchange: str) -> str:
    """The name under which brokers have an exchange's file."""
    return f"{exchange}_symbols.txt.zip"


def read_symbol_file(data: bytes, exchange: str) -> Iterator[Row]:
    """The instruments of a file, zipped or plain.

    Rows without a trading symbol are placeholders, and passed over.

    Raises:
        BadSymbolFile: It is cut short or no symbol file, a column is missing, it has no instruments, or too many rows
            cannot be read. Raised when that is found, which may be at the end.
    """
    try:
        with _text(data) as stream:
            rows = _rows(stream, exchange)
            yield from _in_rupees(rows, None if exchange in _CASH else _SAMPLE) if exchange not in _ANY_STEP else rows
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadSymbolFile(f"the zip file is damaged or cut short ({error})") from error
    except (ValueError, OSError, csv.Error, NotImplementedError, RuntimeError) as error:
        raise BadSymbolFile(f"it is no symbol file ({error})") from error


def _text(data: bytes) -> io.TextIOWrapper:
    if not data.startswith(b"PK"):
        # A server's page in place of the file, or a file that was unzipped.
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    archive = zipfile.ZipFile(io.BytesIO(data))
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(files) != 1:
        raise BadSymbolFile(f"the zip file holds {len(files)} files, and should hold one")
    if files[0].file_size > _LARGEST_TEXT:
        raise BadSymbolFile(f"the zip file would unpack to {files[0].file_size} bytes")
    return io.TextIOWrapper(archive.open(files[0]), encoding="utf-8-sig", newline="")


def _rows(stream: io.TextIOWrapper, exchange: str) -> Iterator[Row]:
    reader = csv.reader(stream)
    columns = _columns(next(reader, []), exchange)
    read, unreadable, first = 0, 0, ""
    for line in reader:
        # What a column that the file lacks says.
        line.append("")
        try:
            row = _row(exchange, *columns(line))
        except (ValueError, IndexError, InvalidOperation) as error:
            unreadable += bool(line[0])
            first = first or f"row {reader.line_num}: {error}"
            continue
        if row is not None:
            read += 1
            yield row
    if unreadable > (read + unreadable) * _UNREADABLE_SHARE:
        raise BadSymbolFile(f"{unreadable} of {read + unreadable} rows cannot be read; {first}")
    if not read:
        raise BadSymbolFile("it has no instruments")


def _columns(header: list[str], exchange: str) -> Callable[[list[str]], tuple[str, ...]]:
    """Takes the columns of `_row` out of a line; spelling in upper or lower case does not count."""
    places = {name.strip().lower(): number for number, name in enumerate(header)}
    # Flattrade's word.
    places.setdefault("strikeprice", places.get("strike", -1))
    needed = _NEEDED if exchange in _CASH else _NEEDED + _DERIVATIVE
    missing = [name for name in needed if places.get(name.lower(), -1) < 0]
    if missing:
        begin = ",".join(header)[:60]
        raise BadSymbolFile(f"it has no column {', '.join(missing)}; its first line is {begin!r}")
    return itemgetter(*(places.get(name.lower(), -1) for name in (*_NEEDED, *_DERIVATIVE, "TickSize")))


def _row(  # noqa: PLR0917 - the columns of the file
    exchange: str,
    where: str,
    token: str,
    lot: str,
    under: str,
    symbol: str,
    series: str,
    expiry: str,
    option: str,
    strike: str,
    tick: str,
) -> Row | None:
    """One line; None for a placeholder."""
    symbol, token = symbol.strip(), token.strip()
    if not symbol:
        return None
    if not token or (where != exchange and where.strip() != exchange):
        raise ValueError(f"it is of exchange {where!r}, token {token!r}")
    series, kind = _series(exchange, series)
    return Row(
        exchange,
        token,
        symbol,
        kind,
        series,
        _family(under) if exchange not in _CASH else family_of(exchange, token, under.strip()),
        _day(expiry),
        _positive(strike) if kind == Kind.OPTION else None,
        option if option in _OPTIONS else _option(option),
        _whole(lot),
        _positive(tick),
    )


def _in_rupees(rows: Iterator[Row], sample: int | None) -> Iterator[Row]:
    """Cash files of Shoonya give ticks in paise: then all are whole numbers, and none is below one (11.1).

    Options have a price step of 0.05, so that a sample of the files of NFO and BFO tells the same, if any is so.
    """
    first = list(islice(rows, sample))
    ticks = [Decimal(row.tick_size) for row in first if row.tick_size is not None]
    if not ticks or min(ticks) < 1:
        return chain(first, rows)
    return (
        row if row.tick_size is None else row._replace(tick_size=plain(Decimal(row.tick_size) / 100))
        for row in chain(first, rows)
    )


def _remembering(read: Callable[[str], T]) -> Callable[[str], T]:
    # A file of 100,000 rows has a few dozen dates, a few hundred underlyings, a few thousand strikes. White space
    # around a value is taken off here, once, and not in each row.
    return lru_cache(maxsize=20_000)(read)


@lru_cache(maxsize=200)
def _series(exchange: str, said: str) -> tuple[str, str]:
    return said.strip(), kind_of(exchange, said.strip()).value


@_remembering
def _family(said: str) -> str:
    return family_of("", "", said.strip())


@_remembering
def _option(said: str) -> str | None:
    return said.strip() if said.strip() in _OPTIONS else None


@_remembering
def _day(said: str) -> str | None:
    day = day_of(said)
    if said.strip() and day is None:
        raise ValueError(f"Expiry {said!r} is no date")
    return None if day is None else day.isoformat()


@_remembering
def _positive(said: str) -> str | None:
    value = Decimal(said.strip() or 0)
    if not value.is_finite():
        raise ValueError(f"{said!r} is no number")
    return plain(value) if value > 0 else None


@_remembering
def _whole(said: str) -> int | None:
    value = Decimal(said.strip() or 0)
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"LotSize {said!r} is no whole number")
    return int(value) if value > 0 else None
