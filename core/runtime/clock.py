"""Time and chance, handed in.

Nothing in Sixstep reads the wall clock or draws a random number by itself: it asks the clock it was given. A real
service gets a `SystemClock`; tests and the simulator get a `VirtualClock`, whose time moves only when told to and whose
chance comes from a seed.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Crockford's base 32 in lower case: no i, l, o, u, so a token read aloud or copied by hand is not mistaken.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Clock(Protocol):
    """What the service knows of time and chance."""

    @property
    def rng(self) -> random.Random:
        """The source of random numbers."""
        ...

    def now(self) -> datetime:
        """The date and time, timezone-aware, in UTC. May step when the machine's clock is set."""
        ...

    def steady(self) -> datetime:
        """What `now` would be had nobody set the clock since the process began, in UTC; never goes back.

        Ages and deadlines that are kept as a date and time are reckoned in it: a clock that is set makes nothing older
        or younger.
        """
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. Timers are reckoned in it."""
        ...


def _elapsed_s() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # noqa: TID251 - the one place that reads it
    return time.monotonic()  # noqa: TID251 - the one place that reads the monotonic clock


class SystemClock:
    """The machine's own clock and its cryptographic randomness.

    Steady time goes on while the machine sleeps where the system can tell (Linux): an order that waited through it is
    late. The monotonic clock of the timers stands still meanwhile.
    """

    def __init__(self) -> None:
        self._rng = random.SystemRandom()
        self._began = self.now()
        self._began_elapsed = _elapsed_s()

    @property
    def rng(self) -> random.Random:
        return self._rng

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the wall clock

    def steady(self) -> datetime:
        return self._began + timedelta(seconds=_elapsed_s() - self._began_elapsed)

    # The function itself, not a method around it: it is called three times for each envelope.
    monotonic = staticmethod(time.monotonic)  # noqa: TID251 - the one place that reads the monotonic clock


class VirtualClock:
    """Time that moves only by `advance` and `step`, and chance from a seed."""

    def __init__(self, start: datetime, seed: int = 0) -> None:
        if start.tzinfo is None:
            raise ValueError("VirtualClock: start needs a time zone")
        self._began = self._now = start.astimezone(UTC)
        self._monotonic = 0.0
        self._rng = random.Random(seed)

    @property
    def rng(self) -> random.Random:
        return self._rng

    def now(self) -> datetime:
        return self._now

    def steady(self) -> datetime:
        return self._began + timedelta(seconds=self._monotonic)

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if seconds < 0:
            raise ValueError("VirtualClock: time does not go back; use step() for a clock that is set")
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would; monotonic and steady time stay."""
        self._now += timedelta(seconds=seconds)


def token(clock: Clock, length: int) -> str:
    """A random text of `length` characters of Crockford's base 32 in lower case, drawn from the clock's chance."""
    return "".join(clock.rng.choice(_ALPHABET) for _ in range(length))
