"""Which external orders closed which holdings: pure functions over what strategies hold and what others filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.model.positions import ExternalFill
from core.rules.guard import Stake

__all__ = ["Close", "closings", "determined", "later", "room"]

_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Close:
    """A part of an external order that closes a holding: which order, how much (unsigned)."""

    order: ExternalFill
    quantity: int


def later(order: ExternalFill, than: datetime | None) -> bool:
    """Whether an external order counts as later than an entry; an equal second does, an unknown time too."""
    return order.at is None or than is None or order.at >= than.replace(microsecond=0)


def closings(stakes: Iterable[Stake], fills: Iterable[ExternalFill], used: Mapping[str, int], sign: int) -> list[Close]:
    """The external fills of this sign that close what these strategies hold, oldest first.

    Args:
        stakes: Holdings of the other sign.
        fills: What external orders filled.
        used: How much of each has been booked as a close already.
        sign: 1 for what buys, -1 for what sells.
    """
    holders = tuple(stakes)
    found = [
        Close(fill, free)
        for fill in fills
        if fill.quantity * sign > 0
        and (free := abs(fill.quantity) - fill.settled - used.get(fill.number, 0)) > 0
        and any(later(fill, stake.opened_at) for stake in holders)
    ]
    return sorted(found, key=lambda close: (close.order.at is None, close.order.at or _ALWAYS, close.order.number))


def _by_age(stakes: Iterable[Stake]) -> list[Stake]:
    return sorted(stakes, key=lambda s: (s.opened_at is not None, s.opened_at or _ALWAYS, s.strategy))


def room(stakes: Iterable[Stake], closes: Iterable[Close], unexplained: int, strategy: str) -> int:
    """How much `strategy` may close, beside all exits in flight, so that no holding is closed twice.

    An order can have closed only what was entered before it. So of the oldest holdings, for each number of them, no
    more may be closed than they hold less what only they can have lost. What no order explains may be anybody's.
    """
    ordered, all_closes = _by_age(stakes), tuple(closes)
    held = leaving = closed = 0
    best: int | None = None
    counted: set[str] = set()
    mine = False
    for position, stake in enumerate(ordered):
        held += stake.quantity
        leaving += stake.leaving
        mine = mine or stake.strategy == strategy
        last = position == len(ordered) - 1
        for close in all_closes:
            theirs = last or not later(close.order, ordered[position + 1].opened_at)
            if theirs and close.order.number not in counted:
                counted.add(close.order.number)
                closed += close.quantity
        closed = min(held, closed + (unexplained if last else 0))
        if mine:
            left = held - closed - leaving
            best = left if best is None else min(best, left)
    return max(0, best or 0)


def determined(stakes: Iterable[Stake], closes: Iterable[Close]) -> list[tuple[str, Close]]:
    """The closes whose holder is certain, as (strategy, close).

    Certain is: one strategy alone can have lost it, or everybody who can have lost it lost all.
    """
    ordered, left = _by_age(stakes), list(closes)
    found: list[tuple[str, Close]] = []
    while ordered and left:
        whole = _wholly_closed(ordered, left)
        taken = ordered[: whole or 1]
        if not whole and len(ordered) > 1:
            # Only the oldest can have lost what happened before the second entered.
            sure = [close for close in left if not later(close.order, ordered[1].opened_at)]
        else:
            sure = left
        found += _shared_out(taken, sure)
        if not whole:
            return found
        ordered = ordered[whole:]
        spent: dict[str, int] = {}
        for _, close in found:
            spent[close.order.number] = spent.get(close.order.number, 0) + close.quantity
        left = [
            Close(close.order, rest)
            for close in closes
            if (rest := close.quantity - spent.get(close.order.number, 0)) > 0
            and any(later(close.order, stake.opened_at) for stake in ordered)
        ]
    return found


def _wholly_closed(ordered: list[Stake], closes: list[Close]) -> int:
    """How many of the oldest holdings are closed in full by what only they can have lost; all of them count at last."""
    whole = held = closed = 0
    counted: set[str] = set()
    for position, stake in enumerate(ordered):
        held += stake.quantity
        last = position == len(ordered) - 1
        for close in closes:
            theirs = last or not later(close.order, ordered[position + 1].opened_at)
            if theirs and close.order.number not in counted:
                counted.add(close.order.number)
                closed += close.quantity
        closed = min(held, closed)
        if closed == held:
            whole = position + 1
    return whole


def _shared_out(stakes: list[Stake], closes: list[Close]) -> Iterator[tuple[str, Close]]:
    free = {close.order.number: close.quantity for close in closes}
    for stake in stakes:
        missing = stake.quantity
        for close in closes:
            took = min(missing, free[close.order.number])
            if took > 0 and later(close.order, stake.opened_at):
                free[close.order.number] -= took
                missing -= took
                yield stake.strategy, Close(close.order, took)
