"""Price frames merged by instrument: the first carries all fields, the others what changed (protocol 8.1).

Between two looks many frames may come for one instrument. The newest state is what counts: it is handed over once,
with the number of those it replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Merged", "Touchlines"]


@dataclass(slots=True)
class Merged:
    """The fields of one instrument as they stand; `heard_at` is when the last frame of it came.

    `missed` counts the frames before the last that nobody looked at.
    """

    key: str
    fields: dict[str, Any]
    heard_at: datetime
    missed: int = 0


class Touchlines:
    """The state of every instrument subscribed on one connection."""

    def __init__(self) -> None:
        self._known: dict[str, Merged] = {}
        self._fresh: dict[str, Merged] = {}

    def snapshot(self, key: str, fields: Mapping[str, Any], at: datetime) -> None:
        """A frame that carries all fields; what it lacks is not there any more."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Merged(key, {}, at)
        known.fields.clear()
        self._merge(known, fields, at)

    def change(self, key: str, fields: Mapping[str, Any], at: datetime) -> bool:
        """A frame with what changed; False before the first whole one, when it says too little to be a price."""
        known = self._known.get(key)
        if known is not None:
            self._merge(known, fields, at)
        return known is not None

    def forget(self, key: str) -> None:
        """Its prices are not wanted any more."""
        self._known.pop(key, None)
        self._fresh.pop(key, None)

    def take(self, most: int) -> list[Merged]:
        """Those that changed since they were last taken, longest waiting first, at most so many."""
        keys = [key for key, _ in zip(self._fresh, range(most), strict=False)]
        taken = []
        for key in keys:
            merged = self._fresh.pop(key)
            taken.append(Merged(key, merged.fields, merged.heard_at, merged.missed))
            merged.missed = 0
        return taken

    @property
    def waiting(self) -> bool:
        """Whether any changed since it was last taken."""
        return bool(self._fresh)

    def _merge(self, known: Merged, fields: Mapping[str, Any], at: datetime) -> None:
        known.fields.update(fields)
        known.heard_at = at
        if known.key in self._fresh:
            known.missed += 1
        else:
            self._fresh[known.key] = known
