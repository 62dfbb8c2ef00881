"""What strategies hold, and where the broker's positions differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.model.order import (
    Product,
)

__all__ = [
    "Baseline",
    "Correction",
    "Departure",
    "Difference",
    "ExternalClose",
    "ExternalFill",
    "GuardLine",
    "Holding",
    "OwnFill",
]


@dataclass(frozen=True, slots=True)
class OwnFill:
    """One order of ours as the order book lists it: `filled` there, None where the row does not say; `booked` here.

    `number` is the broker's. Of an order in slices it is the first one's, and the rest are sums; `unlisted` are the
    client_order_ids of those that may be at the broker and that the book does not show.
    """

    command_id: str
    exchange: str
    symbol: str
    product: Product
    sign: int
    filled: int | None
    booked: int
    number: str | None = None
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """What a strategy holds: signed quantity; `basket` is the basket it was entered with.

    `opened_at` is when the first fill of the holding happened, None where the database does not say. `changes` are its
    fills and corrections since then, signed, with their times.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    basket: str | None = None
    opened_at: datetime | None = field(default=None, compare=False)
    changes: tuple[tuple[datetime | None, int], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ExternalFill:
    """What one external order filled: signed quantity; `at` is the exchange's time of its last event.

    `settled` is how much of it (unsigned) was seen while no strategy held anything there: it closed nothing of ours,
    whatever the clocks say.
    """

    number: str
    quantity: int
    at: datetime | None
    price: Decimal | None
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Departure:
    """What one fill of an EXIT, or of an ADJUST that reduces, took off a holding (unsigned), and by which side.

    `at` is the exchange's time of the fill; `opened_at` is when the holding before it began, None where there was none;
    `changes` are how that holding came to be. `lost` is what others are known since to have taken off the holding,
    `overdrawn` how much of `quantity` at first went beyond what they had left; `quantity` is the rest.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    sign: int
    quantity: int
    at: datetime
    opened_at: datetime | None
    changes: tuple[tuple[datetime | None, int], ...] = ()
    lost: int = 0
    overdrawn: int = 0

    @property
    def account(self) -> tuple[str, str, Product]:
        return (self.exchange, self.symbol, self.product)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What of an account's position was nobody's when it was last reconciled.

    `quantity` is the broker's net quantity less the strategies' own fills; `fills` are the external orders of which it
    knows. Those that may have closed a holding are kept as long as there is one, also when their book is gone.
    """

    exchange: str
    symbol: str
    product: Product
    quantity: int
    fills: tuple[ExternalFill, ...] = ()

    @property
    def account(self) -> tuple[str, str, Product]:
        return (self.exchange, self.symbol, self.product)


class Correction(StrEnum):
    """Why what a strategy holds was corrected, beside its own fills."""

    EXTERNAL_ORDER = "EXTERNAL_ORDER"
    """An order that nobody here placed closed it."""
    ADOPTED = "ADOPTED"
    """A person gave a position of the account to the strategy."""
    WRITTEN_OFF = "WRITTEN_OFF"
    """A person wrote off what the broker does not have."""
    CONVERTED = "CONVERTED"
    """It was converted to another product at the broker."""
    EXIT_OPENED = "EXIT_OPENED"
    """An EXIT opened it: what it was to close had been converted before."""
    EXPIRED = "EXPIRED"
    """The contract ended, or the trading day of an intraday position did."""

    @property
    def shows_exit(self) -> bool:
        """Whether a position that begins with it is one that an EXIT opened."""
        return self in (Correction.EXTERNAL_ORDER, Correction.EXIT_OPENED)


@dataclass(frozen=True, slots=True)
class ExternalClose:
    """A correction of what a strategy holds: most often, somebody closed a part by the order `broker_order_id`.

    `quantity` is signed as what the close adds: minus for a long holding that was sold. `beyond`: an EXIT of ours
    filled although this order had closed the holding, so that the strategy now stands the other way.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    price: Decimal
    broker_order_id: str
    beyond: bool = False
    kind: Correction = Correction.EXTERNAL_ORDER
    note: str = ""


@dataclass(frozen=True, slots=True)
class GuardLine:
    """One symbol of one strategy: held from fills, reserved by orders in flight (both signed).

    `unintended`: an EXIT opened it, because somebody else had closed the holding before, or it filled beyond it.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    held: int
    reserved: int
    basket: str | None
    unintended: bool = False

    @property
    def stays(self) -> bool:
        """Whether a square-off leaves it alone: what was bought for delivery. Sold short it would go to auction."""
        return self.product is Product.CNC and self.held >= 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Broker's net quantity less what strategies hold: positions of the account that no strategy here made."""

    exchange: str
    symbol: str
    product: Product | None
    broker: int
    held: int

    @property
    def unattributed(self) -> int:
        return self.broker - self.held
