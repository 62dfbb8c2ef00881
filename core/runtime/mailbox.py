"""Where envelopes wait: lanes, a bound that refuses, merging, and a door that closes."""

from __future__ import annotations

import contextlib
from collections import deque
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Lock

from core.messages.base import Lane
from core.messages.envelope import Envelope

__all__ = ["Mailbox", "Verdict"]


class Verdict(Enum):
    """What became of an envelope at the door."""

    ACCEPTED = "accepted"
    """It waits for its addressee."""
    ANSWERED = "answered"
    """A reply box took it."""
    MERGED = "merged"
    """An equal one of the same sender is waiting already; this one is dropped."""
    FULL = "full"
    CLOSED = "closed"
    LATE = "late"
    """The asker has its answer, or has gone."""


# A name of this module, because looking an enum's member up by its class costs as much as a call.
_ACCEPTED = Verdict.ACCEPTED


class Mailbox:
    """A bounded, closable queue of envelopes for one consumer; putting never blocks.

    One lock makes `put` and `close` one moment each: an envelope is either accepted, and then taken or drained, or it
    is refused; it cannot fall between. The consumer takes no lock: there is a token in a `SimpleQueue` for each
    envelope and one for the closing, and whoever got a token takes from the best lane. Measured beside a condition and
    beside a second lock as a semaphore: a few per cent faster than either, and a sixth faster than the `queue.Queue`
    of Pykka.

    Args:
        capacity: envelopes that may wait; beyond it they are refused.
    """

    CONTROL_SPARE = 1_000
    """Envelopes of the CONTROL lane accepted beyond the capacity."""

    CARRIED = 20
    """How many times the capacity may wait here of what carries on work that was taken in already."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.capacity = capacity
        self._lock = Lock()
        self._closed = False
        self._returned: deque[Envelope] = deque()
        self._lanes: tuple[deque[Envelope], ...] = tuple(deque() for _ in Lane)
        self._aside: deque[Envelope] = deque()
        self._waiting_keys: set[tuple[str, str]] = set()
        # Written under the lock, and by the consumer, in this order.
        self._accepted = 0
        self._taken = 0
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._add_token = self._tokens.put
        self._get_token = self._tokens.get

    def put(self, envelope: Envelope) -> Verdict:
        """Accept, merge or refuse `envelope`, at once."""
        with self._lock:
            if self._closed:
                return Verdict.CLOSED
            if self._accepted - self._taken >= self.capacity and not self._may_exceed(envelope):
                return Verdict.FULL
            key = envelope.message.conflation_key
            if key is not None:
                mark = (envelope.sender, key)
                if mark in self._waiting_keys:
                    return Verdict.MERGED
                self._waiting_keys.add(mark)
            self._lanes[envelope.lane].append(envelope)
            self._accepted += 1
            self._add_token(None)
        return _ACCEPTED

    def get(self) -> Envelope | None:
        """The next envelope, waiting for one if need be; None once the mailbox is closed and empty."""
        while True:
            self._get_token()
            envelope = self._next()
            if envelope is not None:
                return envelope
            if self._closed:
                # Left for the next who asks: a mailbox that has ended stays so.
                self._add_token(None)
                return None

    def take(self) -> Envelope | None:
        """The next envelope that stands in the mailbox now, or None."""
        try:
            self._tokens.get_nowait()
        except Empty:
            return None
        envelope = self._next()
        if envelope is None:
            self._add_token(None)
        return envelope

    def set_aside(self, envelope: Envelope) -> None:
        """Keep an envelope that was taken until `restore`; it counts against the capacity meanwhile."""
        self._aside.append(envelope)
        self._taken -= 1

    def restore(self) -> int:
        """Put the envelopes set aside back in front of all others, in the order they had; how many they were."""
        count = len(self._aside)
        self._returned.extendleft(reversed(self._aside))
        self._aside.clear()
        for _ in range(count):
            self._add_token(None)
        return count

    def close(self) -> None:
        """Refuse every envelope from now on. What was accepted can still be taken."""
        with self._lock:
            self._closed = True
        self._add_token(None)

    def drain(self) -> list[Envelope]:
        """Take everything out at once, envelopes set aside included. For a mailbox that is closed."""
        with self._lock:
            envelopes = [envelope for waiting in self._queues() for envelope in waiting]
            for waiting in self._queues():
                waiting.clear()
            self._waiting_keys.clear()
            self._taken = self._accepted
            return envelopes

    @property
    def closed(self) -> bool:
        """Whether envelopes are refused for good."""
        return self._closed

    @property
    def depth(self) -> int:
        """Envelopes waiting, those set aside included."""
        return self._accepted - self._taken

    @property
    def accepted(self) -> int:
        """Envelopes accepted since the mailbox was made."""
        return self._accepted

    def oldest_sent_at(self) -> float | None:
        """When the oldest waiting envelope was sent, in monotonic seconds; None if none waits."""
        if not self.depth:
            return None
        times = []
        for waiting in self._queues():
            # The consumer may take the last one between a look at the length and a look at the envelope.
            with contextlib.suppress(IndexError):
                times.append(waiting[0].sent_at)
        return min(times, default=None)

    def _may_exceed(self, envelope: Envelope) -> bool:
        if envelope.message.carries_on:
            return self.depth < self.capacity * self.CARRIED
        return envelope.lane is Lane.CONTROL and self.depth < self.capacity + self.CONTROL_SPARE

    def _queues(self) -> tuple[deque[Envelope], ...]:
        return (self._aside, self._returned, *self._lanes)

    def _next(self) -> Envelope | None:
        control, urgent, normal, read = self._lanes
        waiting = self._returned or control or urgent or normal or read
        if not waiting:
            return None
        envelope = waiting.popleft()
        self._taken += 1
        key = envelope.message.conflation_key
        if key is not None:
            self._waiting_keys.discard((envelope.sender, key))
        return envelope
