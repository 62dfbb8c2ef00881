"""Protections of positions: asked for, kept, acted on; and how PositionManager learns what strategies hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.messages.base import Lane, Message
from core.model.order import Order, Product
from core.model.positions import GuardLine
from core.model.protect import Protect
from core.model.protection import Naked, Protection

__all__ = [
    "CancelProtection",
    "EntryPriceTold",
    "FollowHoldings",
    "GetEntryPrice",
    "GetProtections",
    "HoldingChanged",
    "HoldingsTold",
    "LoadProtections",
    "ProtectPosition",
    "ProtectionAnswer",
    "ProtectionRegistered",
    "ProtectionsLoaded",
    "ProtectionsSaved",
    "ProtectionsSnapshot",
    "SaveProtections",
]


@dataclass(frozen=True, slots=True)
class FollowHoldings(Message):
    """From PositionManager to ExecutionGuard: tell what is held now (`HoldingsTold`), and each change of it."""


@dataclass(frozen=True, slots=True)
class HoldingsTold(Message):
    """From ExecutionGuard: all that strategies hold, as it starts or rebuilds itself."""

    lines: tuple[GuardLine, ...]


@dataclass(frozen=True, slots=True)
class HoldingChanged(Message):
    """From ExecutionGuard: what a strategy holds of a symbol now, in each product; no line where it holds nothing.

    `order` is the one that filled or ended; None where something else changed it.
    """

    carries_on = True

    strategy: str
    exchange: str
    symbol: str
    lines: tuple[GuardLine, ...]
    order: Order | None = None

    @property
    def command_id(self) -> str | None:
        """The command by which the envelope is traced."""
        return None if self.order is None else self.order.command_id


@dataclass(frozen=True, slots=True)
class LoadProtections(Message):
    """From PositionManager to OrderRepo; answered with `ProtectionsLoaded`."""


@dataclass(frozen=True, slots=True)
class ProtectionsLoaded(Message):
    """Protections that are not over. `progress`: what a pending one's order filled, its average, whether it is over."""

    protections: tuple[Protection, ...]
    progress: Mapping[str, tuple[int, Decimal | None, bool]]


@dataclass(frozen=True, slots=True)
class ProtectionRegistered(Message):
    """From OrderRepo: an order with a protection is registered; the protection is recorded with it."""

    carries_on = True

    protection: Protection

    @property
    def command_id(self) -> str:
        return self.protection.id


@dataclass(frozen=True, slots=True)
class SaveProtections(Message):
    """From PositionManager to OrderRepo: record these; answered with `ProtectionsSaved`."""

    carries_on = True

    protections: tuple[Protection, ...]


@dataclass(frozen=True, slots=True)
class ProtectionsSaved(Message):
    """From OrderRepo: these are recorded, committed."""

    carries_on = True

    protections: tuple[Protection, ...]


@dataclass(frozen=True, slots=True)
class GetEntryPrice(Message):
    """From PositionManager to OrderRepo: at what average a strategy holds; answered with `EntryPriceTold`."""

    strategy: str
    exchange: str
    symbol: str
    product: Product


@dataclass(frozen=True, slots=True)
class EntryPriceTold(Message):
    """The average entry price in rupees; None where the strategy holds nothing."""

    key: tuple[str, str, str, Product]
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class ProtectPosition(Message):
    """To PositionManager: protect what a strategy holds; answered with `ProtectionAnswer` to `reply_to`.

    It takes the place of the one that protects the position now. `product` may be left out where one is held.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product | None
    rule: Protect
    reply_to: str


@dataclass(frozen=True, slots=True)
class CancelProtection(Message):
    """To PositionManager: it shall not fire; answered with `ProtectionAnswer` to `reply_to`."""

    protection_id: str
    by: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class ProtectionAnswer(Message):
    """What was recorded; or None and `reason`. `found` is false where there is no such position or protection."""

    protection: Protection | None
    reason: str = ""
    found: bool = True


@dataclass(frozen=True, slots=True)
class GetProtections(Message):
    """Asked of PositionManager; answered with `ProtectionsSnapshot`."""

    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class ProtectionsSnapshot(Message):
    """Protections that are not over, with the price step where it is known, and how long positions stood naked."""

    protections: tuple[tuple[Protection, Decimal | None], ...]
    naked: tuple[Naked, ...]
