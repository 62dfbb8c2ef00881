"""How many orders one address may post (scenario F3: a flood)."""

from __future__ import annotations

from collections import OrderedDict

from core.runtime.clock import Clock
from core.web.origin import network_of

__all__ = ["Flood", "RateLimit"]

_MOST_ADDRESSES = 4096


class Flood(Exception):
    """An address posts too often; `retry_s` is when it may again."""

    def __init__(self, retry_s: float) -> None:
        super().__init__("too many requests from this address; nothing was taken")
        self.retry_s = retry_s


class RateLimit:
    """A bucket for each address, for IPv6 each /64: a minute's worth at once, refilled evenly.

    Args:
        clock: Time.
        per_min: Requests a minute.
    """

    def __init__(self, clock: Clock, per_min: int) -> None:
        self._clock = clock
        self._per_min = per_min
        # Address: requests still allowed, and when that was reckoned. The longest silent first.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> None:
        """Count one request.

        Raises:
            Flood: It is one too many; it is not counted.
        """
        address = network_of(address)
        now = self._clock.monotonic()
        allowed, since = self._buckets.pop(address, (float(self._per_min), now))
        allowed = min(self._per_min, allowed + (now - since) * self._per_min / 60)
        admitted = allowed >= 1
        self._buckets[address] = (allowed - 1 if admitted else allowed, now)
        if len(self._buckets) > _MOST_ADDRESSES:
            # Whoever was silent longest has the fullest bucket, and loses the least by being forgotten.
            self._buckets.popitem(last=False)
        if not admitted:
            raise Flood((1 - allowed) * 60 / self._per_min)
