"""Halts, breaches and loss runs, as the database keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

__all__ = ["Breach", "Halt", "LossRun"]


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading is halted: no ENTRY and no ADJUST is sent, EXITs are."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LossRun:
    """A strategy's losing exits in a row, and until when it cools down."""

    strategy: str
    losses: int
    cooldown_until: datetime | None


@dataclass(frozen=True, slots=True)
class Breach:
    """The daily loss limit was reached on this trading day; ENTRY and ADJUST wait for the next."""

    trading_day: date
    pnl: Decimal
    limit: Decimal
