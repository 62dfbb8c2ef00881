"""Protections of positions, and what has become of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.model.order import Product
from core.model.protect import Protect

__all__ = ["LIVE", "Naked", "Protection", "ProtectionState"]


class ProtectionState(StrEnum):
    """PENDING until its order has filled, ACTIVE while it watches, FIRING while it exits; DONE and ENDED are over."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    FIRING = "FIRING"
    DONE = "DONE"
    """It fired, and the position is gone."""
    ENDED = "ENDED"
    """It never fired; `reason` says why it is over."""


LIVE = frozenset({ProtectionState.ACTIVE, ProtectionState.FIRING})
"""States in which it protects; a position has one such protection at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A row of `protections`. Prices in rupees.

    Attributes:
        id: That of the order it came with, or one of its own.
        sign: 1 for a long position, -1 for a short one.
        anchor: The price from which stop and target are counted: the average entry price.
        best: The best price since it began: the highest of a long position, the lowest of a short one.
        trail: The level of the trail, which never loosens.
        count: How often its exit was begun: once, and once more for each restart in between.
        fired: What was reached: stop, target or trail; `fired_price` is the price that reached it.
        reason: Why it is over, or what fired it.
    """

    id: str
    strategy: str
    exchange: str
    symbol: str
    product: Product
    sign: int
    rule: Protect
    state: ProtectionState
    created_at: datetime
    updated_at: datetime
    anchor: Decimal | None = None
    best: Decimal | None = None
    trail: Decimal | None = None
    count: int = 0
    fired: str | None = None
    fired_price: Decimal | None = None
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str, Product]:
        """The position it protects."""
        return (self.strategy, self.exchange, self.symbol, self.product)

    @property
    def place(self) -> str:
        """`NSE:RELIANCE-EQ`."""
        return f"{self.exchange}:{self.symbol}"


@dataclass(frozen=True, slots=True)
class Naked:
    """How long a position has stood without stop or trail since the service started, and since when it does now."""

    strategy: str
    exchange: str
    symbol: str
    product: Product
    held: int
    seconds: float
    since: datetime | None
