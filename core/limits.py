"""The broker's rate limits, obeyed by us first (scenario E8)."""

from __future__ import annotations

from collections import deque

__all__ = ["RateLimiter"]

_MINUTE_S = 60.0


class RateLimiter:
    """At most so many calls in any second and in any minute, with some of them kept for exits.

    Both are sliding windows, not buckets that refill: a broker that counts by its own second or minute never sees
    more than the limit in one, wherever it starts. Times are monotonic seconds, handed in. Zero means no limit.
    """

    def __init__(self, *, per_second: int, per_minute: int, reserve: int = 0) -> None:
        """`reserve`: calls of each window that only exits, cancels and logins may use.

        Raises:
            ValueError: the reserve leaves nothing for anything else.
        """
        for key, limit in (("broker_calls_per_s", per_second), ("broker_calls_per_min", per_minute)):
            if limit and reserve >= limit:
                raise ValueError(f"[limits] reserve_calls_for_exits ({reserve}) must be below {key} ({limit})")
        self.per_second = per_second
        """Calls allowed in any second; 0: no limit."""
        self.per_minute = per_minute
        """Calls allowed in any minute; 0: no limit."""
        self._reserve = reserve
        self._calls: deque[float] = deque()
        self._closed_until = 0.0

    def wait_s(self, now: float, *, essential: bool, calls: int = 1) -> float:
        """Seconds until `calls` may be made; zero when they may be made now. Only essential ones use the reserve."""
        self._forget(now)
        return max(
            0.0,
            self._closed_until - now,
            self._until_free(now, calls, self._allowed(self.per_second, essential), 1.0),
            self._until_free(now, calls, self._allowed(self.per_minute, essential), _MINUTE_S),
        )

    def _allowed(self, limit: int, essential: bool) -> int:
        return limit - self._reserve if limit and not essential else limit

    def spend(self, now: float) -> None:
        """A call is made now."""
        self._calls.append(now)

    def close_for(self, now: float, seconds: float) -> None:
        """The broker said that a limit was exceeded: make no call for so long."""
        self._closed_until = max(self._closed_until, now + seconds)

    def used(self, now: float) -> tuple[int, int]:
        """Calls made in the last second and the last minute."""
        self._forget(now)
        return sum(1 for at in self._calls if at > now - 1.0), len(self._calls)

    def _until_free(self, now: float, calls: int, allowed: int, window_s: float) -> float:
        kept = allowed - calls
        if not allowed or len(self._calls) <= kept:
            return 0.0
        # The call that must leave the window before these may enter.
        return self._calls[-kept - 1] + window_s - now

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0] <= now - _MINUTE_S:
            self._calls.popleft()
