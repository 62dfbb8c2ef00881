"""What EXITs of a day filled, from the rows of its fills and corrections, so that a restart knows it too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.model.order import ExecutionType, Product
from core.model.positions import Departure
from core.rules.lines import Line

__all__ = ["Change", "ExitFill", "Key", "departures"]

# (strategy, exchange, symbol, product)
Key = tuple[str, str, str, Product]


@dataclass(frozen=True, slots=True)
class Change:
    """A fill of an order of this kind, or a correction (no kind): signed quantity; `at` is the exchange's time of it.

    `external`: the correction was made by an external order.
    """

    key: Key
    quantity: int
    at: datetime
    kind: ExecutionType | None = None
    external: bool = False


@dataclass(slots=True)
class ExitFill:
    """What an EXIT of ours filled: an external order of before it shows that it went beyond the holding."""

    account: tuple[str, str, Product]
    strategy: str
    sign: int
    opened_at: datetime | None
    at: datetime
    quantity: int
    reads: int  # how many reads there had been when it was booked


def departures(
    changes: Iterable[Change], held: Mapping[Key, int], day_began: datetime
) -> tuple[tuple[Departure, ...], frozenset[Key]]:
    """What EXITs, and ADJUSTs that reduce, filled on a day, less what external orders are known to have overtaken.

    Args:
        changes: All changes of the day, in the order they were recorded.
        held: What strategies hold after them.
        day_began: A time before everything of the day: what was held then was opened before every order of the day.

    Returns:
        These, and the holdings that they opened: their strategy stands the other way than it meant.
    """
    listed = list(changes)
    lines: dict[Key, Line] = {}
    for change in reversed(listed):
        line = lines.setdefault(change.key, Line(held=held.get(change.key, 0), opened_at=day_began))
        line.held -= change.quantity
    found: list[Departure] = []
    unintended: set[Key] = set()
    for change in listed:
        line, before = lines[change.key], lines[change.key].held
        against = before * change.quantity < 0
        closes = change.kind is ExecutionType.EXIT or (change.kind is ExecutionType.ADJUST and against)
        if closes:
            opened_at = line.opened_at if before else None
            sign = 1 if change.quantity > 0 else -1
            found.append(Departure(*change.key, sign, abs(change.quantity), change.at, opened_at))
        elif change.external and not against:
            _overtaken(found, change)
        line.held += change.quantity
        if before * line.held <= 0:
            line.opened_at = change.at
            unintended.discard(change.key)
            if line.held and (closes or change.external):
                unintended.add(change.key)
    return tuple(one for one in found if one.quantity), frozenset(unintended)


def _overtaken(found: list[Departure], change: Change) -> None:
    """A correction says that EXITs opened so much: it is not to be told again."""
    left = abs(change.quantity)
    for number, one in enumerate(found):
        key = (one.strategy, one.exchange, one.symbol, one.product)
        if key == change.key and one.sign * change.quantity > 0:
            took = min(left, one.quantity)
            left -= took
            found[number] = replace(one, quantity=one.quantity - took)
