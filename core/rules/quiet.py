"""How often the order book is read: less often while nothing moves and the push feed has told of everything."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Quiet"]

_AFTER_S = 10.0
"""So long nothing must have happened, and the feed been up."""

_LATE_S = 3.0
"""A push may come so much later than a read that shows the same."""

_UNTRUSTED_S = 300.0
"""So long the feed is not relied on after a read showed what it did not tell."""


class Quiet:
    """Owned by the OrderWatcher actor. Times are monotonic seconds.

    Args:
        interval_s: Seconds between two reads as a rule.
        quiet_interval_s: The same while nothing moves; never less.
    """

    def __init__(self, interval_s: float, quiet_interval_s: float) -> None:
        self._interval_s = interval_s
        self._quiet_s = max(interval_s, quiet_interval_s)
        self._up_since: float | None = None
        self._moved_at = float("-inf")
        self._untrusted_until = float("-inf")
        # Orders that a push told of lately; and those of which a read showed news that none has told of yet.
        self._pushed: dict[str, float] = {}
        self._unexplained: dict[str, float] = {}

    def feed(self, now: float, *, up: bool) -> None:
        """The push feed is connected, or is not; told again at each connection."""
        self._up_since = now if up else None
        self._unexplained.clear()

    def moved(self, now: float) -> None:
        """Something happened: an order of ours, a read that failed, an event that was lost."""
        self._moved_at = now

    def pushed(self, now: float, number: str) -> None:
        """The feed told of this order of the broker's."""
        self.moved(now)
        self._pushed[number] = now
        self._unexplained.pop(number, None)

    def read(self, now: float, changed: Iterable[str]) -> None:
        """The order book was read; these orders are not as in the read before."""
        self._pushed = {number: at for number, at in self._pushed.items() if at > now - _AFTER_S}
        since = self._up_since
        for number in changed:
            self.moved(now)
            # What happened before the feed was up it could not tell.
            if number not in self._pushed and since is not None and now > since + _LATE_S:
                self._unexplained.setdefault(number, now)
        if any(at <= now - _LATE_S for at in self._unexplained.values()):
            self._unexplained.clear()
            self._untrusted_until = now + _UNTRUSTED_S

    def interval_s(self, now: float, *, busy: bool) -> float:
        """Seconds to the next read. `busy`: an order is open, or its fills are not explained."""
        since = self._up_since
        if busy or since is None or self._unexplained or now < self._untrusted_until:
            return self._interval_s
        return self._quiet_s if now >= max(since, self._moved_at) + _AFTER_S else self._interval_s
