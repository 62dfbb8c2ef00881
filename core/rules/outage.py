"""When to try again what cannot be reached, and when to tell a person of it. A pure class: the times are handed in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ended", "Outage"]


# A timer that was set for the moment of the next try may come this much earlier.
_TIMER_S = 0.001


@dataclass(frozen=True, slots=True)
class Ended:
    """An outage that is over: how many tries failed, and how many seconds it took."""

    failures: int
    seconds: float


class Outage:
    """Pauses that grow while something is away, and one telling of it with a count in place of one for each failure.

    Args:
        first_s: Seconds from the second failure to the next try; doubled with each further one. After the first
            failure it may be tried at once: most troubles are over with it.
        longest_s: The longest pause.
        tell_every_s: Seconds after which an outage that lasts is told once more.
    """

    def __init__(self, *, first_s: float = 0.05, longest_s: float = 2.0, tell_every_s: float = 60.0) -> None:
        self._longest_s = longest_s
        self._tell_every_s = tell_every_s
        self.first_s = first_s
        self.failures = 0
        """How often it failed in a row; 0 while it can be reached."""

        self.reason = ""
        """What the last failure said."""

        self._since = self._next_at = self._told_at = 0.0

    @property
    def lasts(self) -> bool:
        """Whether it failed again after the first pause: more than a moment's trouble."""
        return self.failures > 1

    def pause(self, now: float) -> float:
        """Seconds until the next try is due; 0 when it is."""
        left = self._next_at - now if self.failures else 0.0
        return left if left > _TIMER_S else 0.0

    def failed(self, now: float, reason: str) -> bool:
        """Note a failure. Whether a person is to be told."""
        if not self.failures:
            self._since = now
        self.reason = reason
        growth = 2 ** min(self.failures - 1, 30) if self.failures else 0
        self._next_at = now + min(self._longest_s, self.first_s * growth)
        self.failures += 1
        tell = self.failures == 1 or now - self._told_at >= self._tell_every_s
        if tell:
            self._told_at = now
        return tell

    def worked(self, now: float) -> Ended | None:
        """Note that it was reached; what the outage came to, if there was one."""
        if not self.failures:
            return None
        ended = Ended(self.failures, now - self._since)
        self.failures, self.reason = 0, ""
        return ended
