"""What a sequence of everybody's trades makes of an account in one place: what is the strategies' own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from core.paper.orders import Order

__all__ = ["MOMENT_S", "Move", "in_any_sequence", "net_with", "own_of", "shifted", "shifts"]

# A broker's books give times in whole seconds.
_SECOND_S = 1.0
MOMENT_S = 2e-6
"""The exchange's times are whole microseconds."""


@dataclass(slots=True, eq=False)
class Move:
    """A change of what the account holds in one place.

    Attributes:
        at: Seconds since the world began.
        signed: Units, positive for bought.
        order: Whose trade it is; None for a conversion.
        ours: Whether it is a trade of an order of the service.
        exits: Whether it is a trade of an EXIT of ours.
        sure: Whether the service reckons with it before it hears of it: a trade of an order of its own that works.
        late: Whether it is a trade of an order of ours that had ended.
        seen_at: When the first true reply or frame that tells of it came back; None as long as none did.
    """

    at: float
    signed: int
    order: Order | None
    ours: bool
    exits: bool
    sure: bool
    late: bool = False
    seen_at: float | None = None


def own_of(moves: Iterable[Move], counts: Callable[[Move], bool] = lambda _: True, *, clamped: bool = False) -> int:
    """What is the strategies' own after these moves: positive for long.

    Args:
        moves: In the exchange's sequence.
        counts: Whether a move that takes something off is to be reckoned with.
        clamped: What an EXIT takes beyond is nobody's, and not the strategies' own on the other side.
    """
    own = 0
    for move in moves:
        if own * move.signed < 0 and not counts(move):
            continue
        if move.ours and not (clamped and move.exits):
            own += move.signed
        elif own * move.signed < 0:
            own += move.signed if abs(move.signed) <= abs(own) else -own
    return own


def shifted(moves: list[Move], by_s: float) -> list[Move]:
    """The moves, with all external ones sooner or later by so much."""
    return sorted(moves, key=lambda move: move.at + (0.0 if move.ours else by_s)) if by_s else moves


def shifts(moves: list[Move]) -> list[float]:
    """By how much external moves may have come sooner or later: a second, or just past one of ours of that second."""
    ours = [move.at for move in moves if move.ours]
    past = {at - move.at for move in moves if not move.ours for at in ours if abs(at - move.at) < _SECOND_S}
    return [0.0, -_SECOND_S, _SECOND_S, *sorted(by + way for by in past for way in (-MOMENT_S, MOMENT_S))]


def in_any_sequence(histories: list[list[Move]]) -> list[int]:
    return [
        own_of(shifted(moves, by), clamped=clamped)
        for moves in histories
        for by in shifts(moves)
        for clamped in (False, True)
    ]


def net_with(moves: list[Move], then: int) -> int:
    """The account with this trade, beside what it was before the strategies had anything: a round trip is nothing."""
    own = net = begun_at = 0
    for move in moves:
        begun_at = net if move.ours and not own else begun_at
        net += move.signed
        own = own_of([replace(move, signed=own, ours=True), move])
    return net + then - begun_at
