"""What happens in the world at which moment: faults, senders, people, replies on their way."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

__all__ = ["Schedule"]


class Schedule:
    """Things to be done at moments of virtual time; it outlives the processes that come and go.

    Times are monotonic seconds of the simulation. Of two things due at one moment, the one noted first comes first.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Let `do` happen at `moment`, or as soon as can be if that is past."""
        heapq.heappush(self._entries, (moment, next(self._numbers), do))

    def next_due(self) -> float | None:
        """When the next thing is due; None if nothing is noted."""
        return self._entries[0][0] if self._entries else None

    def do_next(self) -> None:
        """Do what is due first."""
        _, _, do = heapq.heappop(self._entries)
        do()
