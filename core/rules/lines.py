"""What one strategy holds and has in flight in one symbol and product, with when it came and went."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.model.order import ExecutionType, Order
from core.model.positions import ExternalFill

__all__ = ["Line", "Reservation", "Stake", "later"]

# Changes of one holding that are kept apart. The oldest are joined, at the earlier time.
_KEPT = 500

_NEVER = datetime.min.replace(tzinfo=UTC)

Change = tuple[datetime | None, int]
"""When a holding changed, by the exchange's clock, and by how much; None is before everything."""


def later(order: ExternalFill, than: datetime | None) -> bool:
    """Whether an external order counts as later than an entry; an equal second does, an unknown time too."""
    return order.at is None or than is None or order.at >= than.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Stake:
    """What one strategy holds of a position (unsigned), and how much of it exits in flight may still close.

    `changes` says how it came to be held; without it all was there at `opened_at`.
    """

    strategy: str
    quantity: int
    leaving: int
    opened_at: datetime | None
    changes: tuple[Change, ...] = ()

    def had(self, order: ExternalFill) -> int:
        """How much was held when an external order filled: no more of it can have been closed by that order."""
        if order.at is None:
            return self.quantity
        if not self.changes:
            return self.quantity if later(order, self.opened_at) else 0
        return max(0, sum(quantity for at, quantity in self.changes if later(order, at)))


@dataclass(slots=True)
class Reservation:
    """What an order in flight may still fill."""

    order: Order
    remaining: int  # unsigned: ordered less filled
    at: datetime
    sent: bool = False  # its row is SENT_TO_BROKER, or about to be: the broker may have it
    closes: bool = False  # it was reserved to take something off the holding, not to add to it

    @property
    def signed(self) -> int:
        return self.order.side.sign * self.remaining


@dataclass(slots=True)
class Line:
    """One strategy in one symbol and product."""

    held: int = 0
    basket: str | None = None
    opened_at: datetime | None = None  # the exchange's time of the first fill of what is held
    changes: list[Change] = field(default_factory=list)  # signed; their sum is `held`
    unintended: bool = False  # an EXIT opened it
    reservations: dict[str, Reservation] = field(default_factory=dict)

    @property
    def is_flat(self) -> bool:
        return self.held == 0 and not self.reservations

    def change(self, quantity: int, at: datetime | None) -> None:
        """The holding changed by so much, at this time."""
        before, self.held = self.held, self.held + quantity
        if before * self.held <= 0:
            self.changes = [(at, self.held)]
            return
        self.changes.append((at, quantity))
        if len(self.changes) > _KEPT:
            (first, one), (_, other), *rest = self.changes
            self.changes = [(first, one + other), *rest]

    def change_by_other(self, quantity: int, at: datetime | None) -> None:
        """Somebody else changed the holding, at this time: what was added later may be all that is left of it."""
        self.change(quantity, at)
        sign, held = (1 if self.held > 0 else -1), 0
        # In one second what was added counts as there before what was taken off.
        for moment, one in sorted(self.changes, key=lambda c: (c[0] is not None, c[0] or _NEVER, -sign * c[1])):
            if held * sign <= 0:
                self.opened_at = moment
            held += one

    def stake(self, strategy: str, sign: int, without: frozenset[str]) -> Stake:
        """This holding as what an order of the other `sign` closes."""
        leaving = sum(
            r.remaining
            for command_id, r in self.reservations.items()
            if r.order.side.sign == sign and command_id not in without
        )
        changes = tuple((at, -sign * quantity) for at, quantity in self.changes)
        return Stake(strategy, abs(self.held), leaving, self.opened_at, changes)

    def reserved(self, sign: int) -> int:
        """Unsigned quantity that orders in flight may still buy (`sign` 1) or sell (-1)."""
        return sum(r.remaining for r in self.reservations.values() if r.order.side.sign == sign)

    def reducible(self, sign: int) -> int:
        """How much an order of this sign may still take off the holding without passing through zero."""
        if self.held * sign >= 0:
            return 0
        return max(0, abs(self.held) - self.reserved(sign))

    def directions(self) -> set[int]:
        """The signs this line stands for: its holding, and orders in flight that open rather than close."""
        signs = {1 if self.held > 0 else -1} if self.held else set()
        return signs | {
            r.order.side.sign
            for r in self.reservations.values()
            if r.order.execution_type is not ExecutionType.EXIT and r.remaining
        }
