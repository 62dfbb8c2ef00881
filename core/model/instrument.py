"""An instrument: what can be traded, or has a price, at an exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

__all__ = ["Instrument", "Kind", "OptionType", "SymbolFile"]


class Kind(StrEnum):
    """What an instrument is, as the broker's column Instrument says; UNKNOWN for a word that is not known here."""

    SHARE = "SHARE"
    INDEX = "INDEX"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    UNKNOWN = "UNKNOWN"


class OptionType(StrEnum):
    """Call (CE) or put (PE)."""

    CE = "CE"
    PE = "PE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument as the broker's symbol file, or its search, shows it (protocol 7.10, 11.1).

    Nothing is read off the end of a name. What the broker does not say is None, and empty for texts.

    Attributes:
        exchange: NSE, BSE, NFO, BFO, CDS or MCX.
        symbol: The trading symbol, as orders name it; upper and lower case count.
        token: The broker's number of it within the exchange.
        name: Longer words for it, where the broker has some.
        kind: What it is.
        series: The broker's own word for that: EQ, BE, OPTIDX, FUTSTK, A, …
        underlying: The share, index or commodity behind it; of a share or index its own short name.
        expiry: Last trading day of a future or option.
        strike: Of an option, in rupees.
        option: Call or put.
        lot_size: Units in one lot; a quantity is a multiple of it.
        tick_size: Price step in rupees.
        freeze_quantity: An order of this quantity or more is refused. Symbol files do not carry it.
    """

    exchange: str
    symbol: str
    token: str = ""
    name: str = ""
    kind: Kind = Kind.UNKNOWN
    series: str = ""
    underlying: str = ""
    expiry: date | None = None
    strike: Decimal | None = None
    option: OptionType | None = None
    lot_size: int | None = None
    tick_size: Decimal | None = None
    freeze_quantity: int | None = None

    @property
    def place(self) -> str:
        """`NSE:RELIANCE-EQ`."""
        return f"{self.exchange}:{self.symbol}"

    @property
    def is_derivative(self) -> bool:
        """Whether it is a future or an option."""
        return self.kind in (Kind.FUTURE, Kind.OPTION)

    def expired(self, day: date) -> bool:
        """Whether its last trading day was before `day`."""
        return self.expiry is not None and self.expiry < day


@dataclass(frozen=True, slots=True)
class SymbolFile:
    """A broker's symbol file that was read: of which exchange, from where, when, and how many instruments it has."""

    exchange: str
    source: str
    read_at: datetime
    rows: int
