"""Wrong secrets, tokens and passwords: each address that sends them waits longer each time, and is logged in bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from loguru import logger

from core.process.repeats import Repeats
from core.rules.validation import shown
from core.runtime.clock import Clock
from core.web.origin import network_of

__all__ = ["Guesses"]

_FREE = 5
_FIRST_S = 0.1
_LONGEST_S = 5.0
_FORGOTTEN_S = 900.0
_MOST_ADDRESSES = 4096
_MOST_WAITING = 100
_WARN_EVERY_S = 600.0


class Guesses:
    """Counts wrong guesses by address, and delays the answers to them.

    What is right is never delayed: whoever shares an address with a guesser, behind a proxy or on this machine, keeps
    the kill switch. What keeps secrets from being guessed is their length; this makes guessing slow and seen.

    Args:
        clock: Time.
        sleep: Waits.
    """

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        # Wrong guesses of an address, and when the last was. The longest silent first.
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._repeats = Repeats(_WARN_EVERY_S)
        self._waiting = 0

    async def wrong(self, address: str, what: str) -> None:
        """Count one, and return when its answer may go out."""
        source = network_of(address)
        now = self._clock.monotonic()
        count, last = self._wrong.pop(source, (0, now))
        count = 1 if now - last > _FORGOTTEN_S else count + 1
        self._wrong[source] = (count, now)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        self.note(address, what)
        # Those who wait hold connections, which are bounded too: a flood is answered at once.
        if count > _FREE and self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                await self._sleep(min(_LONGEST_S, _FIRST_S * 2.0 ** min(count - _FREE - 1, 10)))
            finally:
                self._waiting -= 1

    def note(self, address: str, what: str) -> None:
        """Log one that is bounded otherwise."""
        line = self._repeats.line(f"a wrong {what} came from {shown(network_of(address))}", self._clock.monotonic())
        if line is not None:
            logger.warning("{}", line)
