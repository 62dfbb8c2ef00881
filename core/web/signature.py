"""Signed requests: HMAC-SHA256 over time and body, each signature good once (scenario F3)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict

from pydantic import SecretStr

from core.runtime.clock import Clock

__all__ = ["TOLERANCE_S", "Replayed", "Signatures", "Unsigned", "signature_of"]

TOLERANCE_S = 300
"""How far a sender's clock may be off, and how long a signature is good."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MOST_REMEMBERED = 200_000


class Unsigned(Exception):
    """The signature does not hold (401); the text never says how far off it was."""


class Replayed(Exception):
    """A good signature, seen before (409)."""


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Signature` must be: hex HMAC-SHA256 of `<timestamp>.<body>`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Signatures:
    """Checks signatures and remembers those that were used.

    The memory ends with the process. A request replayed after a restart is still no second order: `check` returns a key
    that serves as its idempotency key, and that one is in the database.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Signature and the time after which its timestamp is too old anyway, oldest use first.
        self._used: OrderedDict[str, float] = OrderedDict()

    def check(self, secret: SecretStr, timestamp: str | None, signature: str, body: bytes) -> str:
        """Take a signed request.

        Returns:
            A key for this one request.

        Raises:
            Unsigned: The signature is wrong, or made too long ago or ahead.
            Replayed: It was used before.
        """
        now = self._clock.now().timestamp()
        if timestamp is None or _TIMESTAMP.fullmatch(timestamp) is None or abs(now - int(timestamp)) > TOLERANCE_S:
            raise Unsigned(f"X-Timestamp must be the epoch time in seconds, at most {TOLERANCE_S} s from now")
        given = signature.strip().lower() if _HEX.fullmatch(signature.strip()) else ""
        if not hmac.compare_digest(given, signature_of(secret.get_secret_value(), timestamp, body)):
            raise Unsigned("X-Signature is not the hex HMAC-SHA256 of <X-Timestamp>.<body> with the webhook secret")
        self._forget(now)
        if given in self._used:
            raise Replayed("this signature was used before; sign again with a new timestamp")
        self._used[given] = int(timestamp) + TOLERANCE_S
        return f"sig-{hashlib.sha256(given.encode()).hexdigest()[:40]}"

    def _forget(self, now: float) -> None:
        # Uses are in the order of arrival, not of expiry: one that is early may hold back some behind it, no harm done.
        while self._used:
            oldest, expires = next(iter(self._used.items()))
            if expires >= now and len(self._used) < _MOST_REMEMBERED:
                return
            del self._used[oldest]
