"""What EXITs filled and opened, from the rows of fills and corrections, so that a restart knows it too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.model.order import ExecutionType, Product
from core.model.positions import Departure, ExternalClose, ExternalFill
from core.rules.lines import Line

__all__ = ["Change", "ExitFill", "Key", "departures", "filled_between", "note_lost", "opened_by_exits"]

# (strategy, exchange, symbol, product)
Key = tuple[str, str, str, Product]


@dataclass(frozen=True, slots=True)
class Change:
    """A fill of an order of this kind, or a correction (no kind): signed quantity; `at` is the exchange's time of it.

    `external`: the correction says what an external order closed, or what an EXIT opened.
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
    changes: tuple[tuple[datetime | None, int], ...] = ()  # how the holding before it came to be, positive for more
    lost: int = 0  # what is known by now of what others took off that holding
    overdrawn: int = 0  # how much of it is booked as gone beyond the holding

    def left_to(self, fill: ExternalFill, beside: Iterable[ExitFill]) -> int:
        """How much an external order can have closed of what EXITs then closed once more.

        That is no more than was held when it filled, less what others are known to have taken off that holding. In
        its second what came counts as there already, and what an EXIT took off as there still.
        """
        held = 0
        for at, change in self.changes:
            second = at and at.replace(microsecond=0)
            if fill.at is None or second is None or second < fill.at or (change > 0 and second == fill.at):
                held += change
        same = (self.account, self.strategy, self.opened_at)
        told = sum(one.overdrawn for one in beside if (one.account, one.strategy, one.opened_at) == same)
        return held - self.lost - told


def filled_between(
    exits: Iterable[ExitFill], account: tuple[str, str, Product], first: int, end: int
) -> dict[str, int]:
    """What EXITs filled in a position (signed), by strategy, booked from the read `first` to before the read `end`."""
    filled: dict[str, int] = {}
    for one in exits:
        if one.account == account and first <= one.reads < end:
            filled[one.strategy] = filled.get(one.strategy, 0) + one.sign * one.quantity
    return filled


def note_lost(exits: Iterable[ExitFill], close: ExternalClose) -> None:
    """A correction was recorded: so much of the holding was gone when these EXITs closed the rest."""
    place = (close.strategy, (close.exchange, close.symbol, close.product))
    for one in exits:
        if (one.strategy, one.account) == place and one.sign * close.quantity > 0 and not close.beyond:
            one.lost += abs(close.quantity)


def opened_by_exits(changes: Sequence[Change], held: Mapping[Key, int]) -> tuple[frozenset[Key], frozenset[Key]]:
    """The holdings that EXITs opened: their strategy stands the other way than it meant, for as long as they stand.

    Args:
        changes: The last changes, in the order they were recorded.
        held: What strategies hold after them.

    Returns:
        These, and the holdings that began before all of the changes, of which these do not tell.
    """
    after = {key: quantity for key, quantity in held.items() if quantity}
    opened: set[Key] = set()
    for change in reversed(changes):
        if (quantity := after.get(change.key)) is None:
            continue
        before = quantity - change.quantity
        if before * quantity > 0:
            after[change.key] = before
            continue
        # The holding began with this.
        del after[change.key]
        reduces = change.kind is ExecutionType.ADJUST and before * change.quantity < 0
        if change.external or change.kind is ExecutionType.EXIT or reduces:
            opened.add(change.key)
    return frozenset(opened), frozenset(after)


def departures(changes: Iterable[Change], held: Mapping[Key, int], day_began: datetime) -> tuple[Departure, ...]:
    """What EXITs, and ADJUSTs that reduce, filled on a day, less what external orders are known to have overtaken.

    Args:
        changes: All changes of the day, in the order they were recorded.
        held: What strategies hold after them.
        day_began: A time before everything of the day: what was held then was opened before every order of the day.
    """
    listed = list(changes)
    lines: dict[Key, Line] = {}
    for change in reversed(listed):
        line = lines.setdefault(change.key, Line(held=held.get(change.key, 0), opened_at=day_began))
        line.held -= change.quantity
    for line in lines.values():
        line.changes = [(None, line.held)]
    found: list[Departure] = []
    for change in listed:
        line, before = lines[change.key], lines[change.key].held
        against = before * change.quantity < 0
        closes = change.kind is ExecutionType.EXIT or (change.kind is ExecutionType.ADJUST and against)
        if closes:
            opened_at = line.opened_at if before else None
            sign = 1 if change.quantity > 0 else -1
            came = tuple((at, -sign * quantity) for at, quantity in line.changes) if before else ()
            found.append(Departure(*change.key, sign, abs(change.quantity), change.at, opened_at, came))
        elif change.external and not against:
            _overtaken(found, change)
        elif change.kind is None and against:
            _lost(found, change)
        # A correction is recorded later than what it corrects.
        line.change(change.quantity, None if change.kind is None and against else change.at)
        if before * line.held <= 0:
            line.opened_at = change.at
    return tuple(found)


def _overtaken(found: list[Departure], change: Change) -> None:
    """A correction says that EXITs opened so much: it is not to be told again."""
    left = abs(change.quantity)
    for number, one in enumerate(found):
        key = (one.strategy, one.exchange, one.symbol, one.product)
        if key == change.key and one.sign * change.quantity > 0:
            took = min(left, one.quantity)
            left -= took
            found[number] = replace(one, quantity=one.quantity - took, overdrawn=one.overdrawn + took)


def _lost(found: list[Departure], change: Change) -> None:
    """A correction says what a holding had lost of which EXITs closed the rest."""
    for number, one in enumerate(found):
        key = (one.strategy, one.exchange, one.symbol, one.product)
        if key == change.key and one.sign * change.quantity > 0:
            found[number] = replace(one, lost=one.lost + abs(change.quantity))
