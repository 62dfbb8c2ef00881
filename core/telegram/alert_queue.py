"""Which alerts wait to be told, in which order, and what becomes of one that is refused (scenario G27).

A critical alert never gives way to a lesser one and is never lost: where too many wait, those of one kind become one
with a count. Lesser ones are dropped, the least and oldest first, and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice

from core.messages import Alert, Severity
from core.telegram.client import TEXT_LIMIT, cut, units

__all__ = ["AlertQueue", "RecentList"]

_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_PLAIN_LIMIT = 1000
_WITHOUT_END = 10**9


@dataclass(frozen=True, slots=True)
class _Waiting:
    alert: Alert
    times: int = 1
    plain: bool = False
    overtaken: bool = False
    """A critical one of its kind came later and is told first: a resume must not read as the end of a later halt."""

    @property
    def line(self) -> str:
        text = f"{self.alert.severity}: {self.alert.text}"
        if self.plain:
            text = cut("".join(char if char.isascii() and char.isprintable() else "?" for char in text), _PLAIN_LIMIT)
        text = cut(text, TEXT_LIMIT - 50) + (f" ({self.times} times)" if self.times > 1 else "")
        return f"{text} (earlier)" if self.overtaken else text


class AlertQueue:
    """Alerts that wait for a channel that takes some at a time, and may refuse one.

    `text` is what to hand over next; then `delivered` or `refused` says what came of it.

    Args:
        limit: Critical alerts that may wait, and lesser ones.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[Severity, deque[_Waiting]] = {severity: deque() for severity in _ORDER}
        self._dropped = 0
        # How many may be told in one text: fewer while one is looked for that is refused.
        self._most = _WITHOUT_END
        self._told = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, alert: Alert) -> None:
        """Let an alert wait; one that waits already is counted instead."""
        waiting = self._waiting[alert.severity]
        for index, entry in enumerate(waiting):
            if (entry.alert.kind, entry.alert.text) == (alert.kind, alert.text):
                waiting[index] = replace(entry, times=entry.times + 1, overtaken=False)
                return
        waiting.append(_Waiting(alert))
        if alert.severity is Severity.CRITICAL:
            self._overtake(alert.kind)
            if len(waiting) > self._limit:
                self._merge(waiting)
        elif sum(len(self._waiting[severity]) for severity in _ORDER[1:]) > self._limit:
            least = next(self._waiting[severity] for severity in reversed(_ORDER) if self._waiting[severity])
            self._dropped += least.popleft().times

    def text(self) -> str:
        """The next text: critical alerts first, each severity in its order, as many as one text holds."""
        lines: list[str] = []
        last = [f"({self._dropped} older alerts dropped)"] if self._dropped else []
        self._told = 0
        size = sum(units(line) + 1 for line in last)
        for entry in islice(self._in_order(), self._most):
            size += units(entry.line) + 1
            if self._told and size > TEXT_LIMIT:
                break
            lines.append(entry.line)
            self._told += 1
        return "\n".join(lines + last)

    def delivered(self) -> None:
        """The last text was taken."""
        for _ in range(self._told):
            self._take_first()
        self._dropped = 0

    def refused(self) -> Alert | None:
        """The last text was refused for what it holds: a smaller one is next, then a plain and short one.

        Returns:
            An alert that is refused even so, and now given up.
        """
        if self._told > 1:
            self._most = self._told // 2
            return None
        waiting = next(self._waiting[severity] for severity in _ORDER if self._waiting[severity])
        if not waiting[0].plain:
            waiting[0] = replace(waiting[0], plain=True)
            self._most = 1
            return None
        self._most = _WITHOUT_END
        return waiting.popleft().alert

    def waiting(self) -> tuple[Alert, ...]:
        """All that wait, in the order they will be told."""
        return tuple(entry.alert for entry in self._in_order())

    def _in_order(self) -> Iterator[_Waiting]:
        return chain.from_iterable(self._waiting[severity] for severity in _ORDER)

    def _take_first(self) -> None:
        entry = next(self._waiting[severity] for severity in _ORDER if self._waiting[severity]).popleft()
        if entry.plain:
            self._most = _WITHOUT_END

    def _overtake(self, kind: str) -> None:
        for severity in _ORDER[1:]:
            for index, entry in enumerate(self._waiting[severity]):
                if entry.alert.kind == kind:
                    self._waiting[severity][index] = replace(entry, overtaken=True)

    @staticmethod
    def _merge(waiting: deque[_Waiting]) -> None:
        """Make one of the two oldest of a kind, with the newer one's text; there are far fewer kinds than places."""
        kinds = [entry.alert.kind for entry in waiting]
        first = next((index for index, kind in enumerate(kinds) if kind in kinds[index + 1 :]), None)
        if first is None:
            return
        second = kinds.index(kinds[first], first + 1)
        waiting[first] = replace(waiting[second], times=waiting[first].times + waiting[second].times)
        del waiting[second]


class RecentList:
    """The last alerts for the pages: critical ones are not pushed out by lesser ones."""

    def __init__(self, limit: int) -> None:
        self._number = 0
        self._critical: deque[tuple[int, datetime, Alert]] = deque(maxlen=limit)
        self._lesser: deque[tuple[int, datetime, Alert]] = deque(maxlen=limit)

    def add(self, at: datetime, alert: Alert) -> None:
        """Keep an alert."""
        self._number += 1
        kept = self._critical if alert.severity is Severity.CRITICAL else self._lesser
        kept.append((self._number, at, alert))

    def newest_first(self) -> tuple[tuple[datetime, Alert], ...]:
        """All that are kept."""
        both = sorted((*self._critical, *self._lesser), key=lambda entry: entry[0], reverse=True)
        return tuple((at, alert) for _, at, alert in both)
