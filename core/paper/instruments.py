"""The contracts the exchange trades, and Shoonya's files that list them (protocol sections 11.1 to 11.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

__all__ = ["Instrument"]


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
    freeze: int = 500_001
    precision: int = 2
