"""Envelopes nobody took."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from enum import StrEnum
from threading import Lock
from typing import NamedTuple

from loguru import logger

from core.messages.envelope import Envelope

__all__ = ["DeadLetter", "DeadLetters", "Reason"]


class Reason(StrEnum):
    """Why nobody took an envelope."""

    UNKNOWN = "unknown"
    """No actor of this name was ever started."""
    FULL = "full"
    CLOSED = "closed"
    """The addressee is stopping, or has stopped as it was asked to."""
    DEAD = "dead"
    """The addressee's thread has died."""
    LEFT = "left"
    """It was still in the mailbox when the addressee ended."""
    FAILED = "failed"
    """Its handler raised."""
    IMPAIRED = "impaired"
    """The addressee could not rebuild its state after a failure."""


class DeadLetter(NamedTuple):
    """An envelope and why nobody took it."""

    envelope: Envelope
    reason: Reason


class DeadLetters:
    """The last dead letters, and how many there were.

    Args:
        capacity: how many are kept; counting goes on.
    """

    def __init__(self, capacity: int = 1_000) -> None:
        self._kept: deque[DeadLetter] = deque(maxlen=capacity)
        # Senders of many threads come here, and `+=` is not one step.
        self._lock = Lock()
        self._counts: Counter[tuple[str, Reason]] = Counter()

    def add(self, envelope: Envelope, reason: Reason) -> None:
        """Keep a dead letter. Of each addressee and reason the 1st, 10th, 100th … are logged, not each of a flood.

        A failure is not: it has been logged with its traceback.
        """
        with self._lock:
            self._kept.append(DeadLetter(envelope, reason))
            self._counts[envelope.to, reason] += 1
            count = self._counts[envelope.to, reason]
        if reason is not Reason.FAILED and (count in (1, 10, 100) or count % 1_000 == 0):
            logger.warning(
                "dead letter {}: {} from {} to {}, command {}: {} ({} of this kind so far)",
                envelope.id,
                type(envelope.message).__name__,
                envelope.sender,
                envelope.to,
                envelope.correlation_id,
                reason.value,
                count,
            )

    def recent(self, limit: int) -> list[DeadLetter]:
        """The last of those kept, newest first."""
        return list(reversed(self._kept.copy()))[:limit]

    @property
    def count(self) -> int:
        """Dead letters since the start."""
        return sum(self._counts.copy().values())

    def counts(self) -> dict[tuple[str, Reason], int]:
        """Dead letters since the start by addressee and reason."""
        return dict(self._counts.copy())

    def take(self) -> list[DeadLetter]:
        """Remove and return those kept: a test that expects dead letters takes them."""
        taken = []
        while self._kept:
            taken.append(self._kept.popleft())
        return taken

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self._kept.copy())

    def __len__(self) -> int:
        return len(self._kept)
