"""What Prices keeps of each instrument that is followed, and of each who follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.model.broker import Quote
from core.model.instrument import Instrument

__all__ = ["Follower", "Watch"]


@dataclass(slots=True)
class Watch:
    """One instrument that is followed, in monotonic seconds. `instrument` is None until its number is known."""

    exchange: str
    symbol: str
    since: float
    names: set[str] = field(default_factory=set)
    keep_until: float = 0.0
    instrument: Instrument | None = None
    depth: bool = False
    searched_at: float | None = None
    odd: int = 0
    looks: int = 0
    looked_at: float = float("-inf")
    band_at: float = float("-inf")
    band: tuple[Decimal | None, Decimal | None] = (None, None)

    @property
    def place(self) -> str:
        return f"{self.exchange}:{self.symbol}"


@dataclass(slots=True)
class Follower:
    """Who follows prices: what waits for it by instrument, and whether it has taken the last."""

    waiting: dict[str, Quote] = field(default_factory=dict)
    ready: bool = True
