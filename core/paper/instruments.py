"""The contracts the exchange trades, and Shoonya's files that list them (protocol sections 11.1 to 11.3)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from core.paper.expiries import expiries, is_monthly

__all__ = ["CASH", "Instrument", "Master", "load_master", "parse_master", "shipped_closes", "shipped_master"]

CASH = frozenset({"NSE", "BSE"})
"""Segments where shares are delivered."""

INDEX_KINDS = frozenset({"INDEX", "UNDIND"})
"""Kinds that have a price and cannot be traded."""

FREEZE_LIMITS = {
    "NIFTY": 1800,
    "BANKNIFTY": 600,
    "FINNIFTY": 1200,
    "MIDCPNIFTY": 2800,
    "NIFTYNXT50": 600,
    "SENSEX": 1000,
    "BANKEX": 900,
}
"""The largest quantity of one order, by underlying (protocol section 11.3); the symbol files do not carry it."""

_OTHER_FREEZE_LIMIT = 500_000

INDEX_OF = {
    "NIFTY": ("NSE", "26000"),
    "BANKNIFTY": ("NSE", "26009"),
    "FINNIFTY": ("NSE", "26037"),
    "MIDCPNIFTY": ("NSE", "26074"),
    "NIFTYNXT50": ("NSE", "26013"),
    "SENSEX": ("BSE", "1"),
    "BANKEX": ("BSE", "12"),
}
"""The index behind the derivatives of a symbol, as (exch, token)."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SHIPPED = ("NSE", "BSE", "NFO", "BFO")
_NEXT_WEEK = 10_000


@dataclass(frozen=True, slots=True)
class Instrument:
    """One contract.

    Attributes:
        exch: Segment: NSE, BSE, NFO, BFO, CDS, MCX.
        token: Its number within the segment; the same number may mean another contract elsewhere.
        symbol: Symbol of the stock or of the underlying.
        tsym: Trading symbol, as orders name it.
        kind: EQ, BE, INDEX, UNDIND, FUTIDX, FUTSTK, OPTIDX, OPTSTK, …
        lot: Units in one lot; a quantity is a multiple of it.
        tick: Price step in rupees.
        expiry: Last trading day of a derivative.
        option: CE or PE for options, else empty.
        strike: Strike of an option, else 0.
        freeze: Quantity from which an order is refused: the limit plus one.
        precision: Decimal places of a price.
    """

    exch: str
    token: str
    symbol: str
    tsym: str
    kind: str
    lot: int = 1
    tick: Decimal = Decimal("0.05")
    expiry: date | None = None
    option: str = ""
    strike: Decimal = Decimal(0)
    freeze: int = _OTHER_FREEZE_LIMIT + 1
    precision: int = 2

    @property
    def key(self) -> tuple[str, str]:
        """(exch, token): what names it everywhere; the token alone does not."""
        return (self.exch, self.token)

    @property
    def is_cash(self) -> bool:
        """Whether it is a share."""
        return self.exch in CASH

    @property
    def is_tradable(self) -> bool:
        """Whether an order for it can be taken; an index has a price only."""
        return self.kind not in INDEX_KINDS

    @property
    def underlying(self) -> tuple[str, str] | None:
        """The index behind it, for index derivatives."""
        return INDEX_OF.get(self.symbol) if self.expiry else None

    @property
    def display_name(self) -> str:
        """As `dname` shows it: `NIFTY 10NOV26 25500 PE`."""
        if self.expiry is None:
            return self.tsym
        parts = [self.symbol, _compact(self.expiry), *([f"{self.strike:f}", self.option] if self.option else ["FUT"])]
        return " ".join(parts)


class Master:
    """The contracts of one exchange, found by token or by trading symbol.

    Args:
        instruments: All contracts; a later one replaces an earlier of the same exchange and token.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._by_key = {i.key: i for i in instruments}
        self._by_tsym = {(i.exch, i.tsym): i for i in self._by_key.values()}

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def by_token(self, exch: str, token: str) -> Instrument | None:
        """The contract with this number in this segment."""
        return self._by_key.get((exch, token))

    def by_tsym(self, exch: str, tsym: str) -> Instrument | None:
        """The contract with this trading symbol; envelopes must match in case."""
        return self._by_tsym.get((exch, tsym))

    def search(self, exch: str, text: str, limit: int = 50) -> list[Instrument]:
        """The contracts whose names hold every word of `text`, in the order of the master (protocol section 7.10)."""
        words = text.upper().split()
        found = []
        for i in self._by_key.values():
            name = f"{i.tsym} {i.symbol} {i.display_name}".upper()
            if i.exch == exch and all(word in name for word in words):
                found.append(i)
                if len(found) == limit:
                    break
        return found


def parse_master(text: str) -> list[Instrument]:
    """The contracts of one symbol file.

    Rows without a trading symbol are placeholders and skipped; trailing commas make an empty column. A file whose
    ticks are all whole numbers gives them in paise, as Shoonya's cash files do; the unit is decided per file, because
    a single row cannot tell a tick of one paisa from one of one rupee (protocol section 11.1).

    Args:
        text: The file's text with its header row.

    Raises:
        ValueError: A column is missing or a figure cannot be read; the row's number is in the text.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    columns = {(name or "").strip().lower() for name in reader.fieldnames or ()}
    missing = {"exchange", "token", "lotsize", "symbol", "tradingsymbol", "instrument", "ticksize"} - columns
    if missing:
        raise ValueError(f"symbol file: no column {', '.join(sorted(missing))}")
    found = []
    for number, raw in enumerate(reader, start=2):
        row = {k.strip().lower(): (v or "").strip() for k, v in raw.items() if isinstance(k, str)}
        if row["tradingsymbol"]:
            try:
                found.append(_instrument(row))
            except (ValueError, InvalidOperation) as error:
                raise ValueError(f"symbol file, row {number}: {error}") from error
    return _in_rupees(found)


def load_master(path: Path) -> list[Instrument]:
    """The contracts of one symbol file on disk, plain or zipped."""
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(archive.namelist()[0])
    return parse_master(data.decode("utf-8-sig"))


@lru_cache(maxsize=8)
def shipped_master(today: date) -> tuple[Instrument, ...]:
    """The small master that comes with the package, its derivatives with the expiries that the day has.

    Args:
        today: The trading day.
    """
    found: list[Instrument] = []
    for exch in _SHIPPED:
        rows = parse_master(_data(f"{exch}_symbols.txt"))
        found.extend(rows if exch in CASH else _listed(exch, rows, today))
    return tuple(found)


@lru_cache(maxsize=1)
def shipped_closes() -> Mapping[tuple[str, str], Decimal]:
    """Previous closing prices in rupees of the shipped shares and indices, by (exch, token)."""
    rows = csv.DictReader(io.StringIO(_data("closes.csv")))
    return {(row["Exchange"], row["Token"]): Decimal(row["Close"]) for row in rows}


def _data(name: str) -> str:
    return files("core.paper.masters").joinpath(name).read_text(encoding="utf-8")


def _instrument(row: Mapping[str, str]) -> Instrument:
    option = row.get("optiontype", "").upper()
    option = option if option in ("CE", "PE") else ""
    limit = FREEZE_LIMITS.get(row["symbol"]) if row.get("expiry") else None
    return Instrument(
        exch=row["exchange"],
        token=row["token"],
        symbol=row["symbol"],
        tsym=row["tradingsymbol"],
        kind=row["instrument"],
        lot=max(1, int(row["lotsize"] or 1)),
        tick=Decimal(row["ticksize"]),
        expiry=_expiry(row.get("expiry", "")),
        option=option,
        strike=_plain(Decimal(row.get("strikeprice") or 0)) if option else Decimal(0),
        freeze=(limit or _OTHER_FREEZE_LIMIT) + 1,
        precision=int(row.get("precision") or 2),
    )


def _expiry(text: str) -> date | None:
    if not text:
        return None
    day, month, year = text.upper().split("-")
    return date(int(year), _MONTHS.index(month) + 1, int(day))


def _plain(number: Decimal) -> Decimal:
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _in_rupees(instruments: list[Instrument]) -> list[Instrument]:
    in_paise = all(i.is_cash and i.tick >= 1 for i in instruments)
    divisor = 100 if in_paise else 1
    return [replace(i, tick=i.tick / divisor if i.tick else Decimal("0.05")) for i in instruments]


def _compact(day: date) -> str:
    return f"{day.day:02}{_MONTHS[day.month - 1]}{day.year % 100:02}"


def _listed(exch: str, rows: Iterable[Instrument], today: date) -> Iterator[Instrument]:
    """The file's contracts at the expiries of today: its weekly ones at both, the nth of its months at the nth."""
    contracts = [(i, i.expiry) for i in rows if i.expiry is not None]
    now = expiries(exch, today)
    months = sorted({expiry for _, expiry in contracts if is_monthly(expiry)})
    for instrument, expiry in contracts:
        if is_monthly(expiry):
            yield _at(instrument, now.monthly[months.index(expiry)], monthly=True)
        else:
            for nth, day in enumerate(now.weekly):
                # A number of its own for the contract that the file does not have.
                one = replace(instrument, token=str(int(instrument.token) + nth * _NEXT_WEEK))
                yield _at(one, day, monthly=False)


def _at(instrument: Instrument, expiry: date, *, monthly: bool) -> Instrument:
    strike = f"{instrument.strike:f}"
    if instrument.exch == "BFO":
        # Contracts of BSE: the month's in letters; weekly ones by year, month as 1-9, O, N, D, and day (section 11.2).
        month = "123456789OND"[expiry.month - 1]
        when = _MONTHS[expiry.month - 1] if monthly else f"{month}{expiry.day:02}"
        name = f"{expiry.year % 100:02}{when}{strike}{instrument.option}"
    elif instrument.option:
        name = f"{_compact(expiry)}{instrument.option[0]}{strike}"
    else:
        name = f"{_compact(expiry)}F"
    return replace(instrument, expiry=expiry, tsym=f"{instrument.symbol}{name}")
