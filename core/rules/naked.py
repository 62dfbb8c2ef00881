"""How long positions stand without a stop or trail. Times are monotonic seconds, counted from the service's start."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.model.order import Product
from core.model.positions import GuardLine
from core.model.protection import Naked

__all__ = ["Key", "NakedTime"]

Key = tuple[str, str, str, Product]


@dataclass(slots=True)
class _Stand:
    held: int
    before_s: float = 0.0
    since: float | None = None
    alarmed: bool = False

    def seconds(self, now: float) -> float:
        return self.before_s + (0.0 if self.since is None else now - self.since)


class NakedTime:
    """Counts for each position that is held; one that is gone is forgotten.

    Args:
        alarm_after_s: After so many seconds in one stretch a person is told, once; 0: never.
    """

    def __init__(self, alarm_after_s: float = 0.0) -> None:
        self._alarm_after_s = alarm_after_s
        self._stands: dict[Key, _Stand] = {}

    @property
    def alarms(self) -> bool:
        """Whether there is something to be told in time."""
        waiting = any(one.since is not None and not one.alarmed for one in self._stands.values())
        return bool(self._alarm_after_s) and waiting

    def note(self, lines: Mapping[Key, GuardLine], covered: Collection[Key], now: float) -> None:
        """What is held now, and which of it has a stop or trail."""
        self._stands = {
            key: self._stands.get(key) or _Stand(line.held, since=None) for key, line in lines.items() if line.held
        }
        for key, one in self._stands.items():
            one.held = lines[key].held
            if key in covered and one.since is not None:
                one.before_s, one.since, one.alarmed = one.seconds(now), None, False
            elif key not in covered and one.since is None:
                one.since = now

    def told(self, now: float, at: datetime) -> tuple[Naked, ...]:
        """Each position that is held; `at` is the time of `now`."""
        return tuple(
            Naked(
                *key, one.held, one.seconds(now), None if one.since is None else at - timedelta(seconds=now - one.since)
            )
            for key, one in sorted(self._stands.items())
        )

    def alarmed(self, now: float) -> Iterator[str]:
        """What a person is to be told, each stretch once."""
        for key, one in sorted(self._stands.items()):
            due = one.since is not None and now - one.since >= self._alarm_after_s > 0
            if due and not one.alarmed and one.since is not None:
                one.alarmed = True
                strategy, _, symbol, product = key
                text = f"{strategy} has held {one.held:+d} {symbol} {product} for {now - one.since:.0f} s"
                yield f"{text} without a stop or trail; protect it, or exit it"
