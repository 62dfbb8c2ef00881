"""A candle: what an instrument cost within one interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["Candle"]


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices in rupees from `begin` up to, not including, `end`.

    Attributes:
        volume: Units traded in it; None where nobody tells, as of an index.
        whole: Whether every price of it was seen: not where ticks began in its middle, or some were left out.
        gap_before: How many intervals of the same session directly before it have no candle: nothing was traded, or
            nothing was heard.
    """

    begin: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    whole: bool = True
    gap_before: int = 0
