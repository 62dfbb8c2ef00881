"""What a position is to be protected by: a stop, a target, a trail."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

__all__ = ["Distance", "Protect", "Unit"]


class Unit(StrEnum):
    """How a distance is given: rupees from a price, per cent of a price, or the price itself."""

    POINTS = "points"
    PERCENT = "percent"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Distance:
    """Five points, two per cent, or a price of 95."""

    unit: Unit
    value: Decimal

    def __str__(self) -> str:
        match self.unit:
            case Unit.POINTS:
                return f"{self.value} points"
            case Unit.PERCENT:
                return f"{self.value} %"
            case Unit.PRICE:
                return f"at {self.value}"


@dataclass(frozen=True, slots=True)
class Protect:
    """What is wanted; at least one of the three. Whichever is reached first exits, and the others end with it."""

    stop: Distance | None = None
    target: Distance | None = None
    trail: Distance | None = None

    def given(self) -> tuple[tuple[str, Distance], ...]:
        """Those that are set, by name."""
        named = (("stop", self.stop), ("target", self.target), ("trail", self.trail))
        return tuple((name, distance) for name, distance in named if distance is not None)

    def __str__(self) -> str:
        return ", ".join(f"{name} {distance}" for name, distance in self.given())
