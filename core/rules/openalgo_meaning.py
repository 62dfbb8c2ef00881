"""What an order without an execution type means: it is told from what its strategy holds.

Programs written for OpenAlgo send BUY or SELL and a quantity, or the position they want. What makes that an ENTRY, an
EXIT or an ADJUST is decided here; whether it may be sent, the guard decides as for every order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.model.order import ExecutionType, Product, Side
from core.model.positions import GuardLine

__all__ = ["Held", "Part", "held_in", "parts_of", "towards"]


@dataclass(frozen=True, slots=True)
class Held:
    """What a strategy holds of one symbol and product, signed; `in_flight`: an order of its own is open there."""

    quantity: int = 0
    in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One order to submit."""

    execution_type: ExecutionType
    side: Side
    quantity: int


def held_in(lines: Iterable[GuardLine], strategy: str, exchange: str, symbol: str, product: Product) -> Held:
    """What a strategy holds there, by the guard."""
    place = (strategy, exchange, symbol, product)
    mine = [one for one in lines if (one.strategy, one.exchange, one.symbol, one.product) == place]
    # A line that holds nothing and reserves nothing is one whose orders in flight add up to nothing.
    return Held(sum(one.held for one in mine), any(one.reserved or not one.held for one in mine))


def parts_of(held: Held, side: Side, quantity: int, product: Product) -> tuple[Part, ...] | str:
    """The orders that a BUY or SELL is: one, or an EXIT and an ENTRY where it goes through zero.

    Args:
        held: What the strategy holds.
        side: BUY or SELL.
        quantity: Units.
        product: Shares for delivery are not sold short.

    Returns:
        The parts, of which each is sent only once the one before it has filled; or why there are none.
    """
    against = -held.quantity * side.sign
    if product is Product.CNC and side is Side.SELL and quantity > max(0, against):
        return (
            f"the strategy holds {max(0, held.quantity)} of it for delivery, and shares that are not held are not "
            "sold with CNC; what the account has beyond that is given to a strategy by `run.py adopt`"
        )
    if against <= 0:
        # With an order in flight it may come to reduce or turn a holding: only an ADJUST is held against that.
        flat = held.quantity == 0 and not held.in_flight
        return (Part(ExecutionType.ENTRY if flat else ExecutionType.ADJUST, side, quantity),)
    if quantity <= against:
        return (Part(ExecutionType.EXIT, side, quantity),)
    return (Part(ExecutionType.EXIT, side, against), Part(ExecutionType.ENTRY, side, quantity - against))


def towards(held: int, target: int, side: Side, quantity: int) -> tuple[Side, int] | None:
    """What takes a strategy from what it holds to the position it wants; None where it has it.

    From nothing to nothing, the order itself is what is wanted, as OpenAlgo has it.
    """
    if held == target == 0 and quantity:
        return side, quantity
    missing = target - held
    return None if missing == 0 else (Side.BUY if missing > 0 else Side.SELL, abs(missing))
