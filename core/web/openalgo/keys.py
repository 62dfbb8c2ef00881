"""Who may call the OpenAlgo entry point, and what: the key of the settings, and those of `run.py keys`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from core.process.api_keys import ApiKey, KeyFile, KeysUnreadable, digest_of, read_keys
from core.runtime.clock import Clock
from core.settings import OpenAlgoSettings
from core.web.origin import Addresses
from core.web.rate import RateLimit

__all__ = ["Caller", "Keys"]

_HASHED = "sha256:"


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that was shown, and how much of it is used up."""

    key: ApiKey
    addresses: Addresses
    requests: RateLimit | None
    orders: RateLimit | None

    def is_from(self, source: str) -> bool:
        """Whether the key is taken from this address."""
        return not self.addresses or source in self.addresses

    def count(self, orders: int) -> None:
        """Count a request, and the orders in it.

        Raises:
            Flood: It is one too many.
        """
        if self.requests is not None:
            self.requests.take(self.key.name)
        for _ in range(orders if self.orders is not None else 0):
            assert self.orders is not None
            self.orders.take(self.key.name)


class Keys:
    """Knows keys.

    Args:
        settings: `[openalgo]`, which may have one key, with all rights.
        data_dir: Where the others are.
        clock: Time.
    """

    def __init__(self, settings: OpenAlgoSettings, data_dir: Path, clock: Clock) -> None:
        self._clock = clock
        self._file = KeyFile(data_dir)
        own = None if settings.api_key is None else settings.api_key.get_secret_value()
        self._own = None if own is None else ApiKey("[openalgo] api_key", _digest(own))
        self._callers: dict[str, Caller] = {}
        if self._own is None and not _any(data_dir):
            logger.warning("[openalgo] is open to nobody: it has no api_key, and `run.py keys new NAME` made none")

    def caller(self, key: object) -> Caller | None:
        """Who shows this key; None where it is none."""
        if not isinstance(key, str):
            return None
        # Only the hash of what was sent is compared, so that the time it takes tells nothing of a key.
        digest = digest_of(key)
        found = self._own if self._own is not None and digest == self._own.digest else self._file.find(digest)
        if found is None:
            return None
        known = self._callers.get(digest)
        if known is None or known.key != found:
            known = self._callers[digest] = self._of(found)
        return known

    def _of(self, key: ApiKey) -> Caller:
        limits = (None if most is None else RateLimit(self._clock, most) for most in (key.per_min, key.orders_per_min))
        return Caller(key, Addresses(key.allow_from), *limits)


def _any(data_dir: Path) -> bool:
    try:
        return bool(read_keys(data_dir))
    except KeysUnreadable:
        return False


def _digest(configured: str) -> str:
    if configured.startswith(_HASHED):
        return configured.removeprefix(_HASHED)
    return digest_of(configured)
