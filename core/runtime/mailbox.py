"""Where letters wait: lanes, a bound that refuses, merging, and a door that closes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from threading import Lock

from core.runtime.letter import Letter
from core.runtime.message import Lane

__all__ = ["Mailbox", "Verdict"]


class Verdict(Enum):
    """What became of a letter at the door."""

    ACCEPTED = "accepted"
    MERGED = "merged"
    """An equal one of the same sender is waiting already; this one is dropped."""
    FULL = "full"
    CLOSED = "closed"
    LATE = "late"
    """The asker has its answer, or has gone."""


class Mailbox:
    """A bounded, closable queue of letters for one consumer; putting never blocks.

    One lock makes `put` and `close` one moment each: a letter is either accepted, and then taken or drained, or it is
    refused; it cannot fall between. The consumer sleeps on a second lock used as a binary semaphore, which a producer
    touches only if the consumer sleeps: measured against `queue.SimpleQueue` as a wake-up signal and against
    `threading.Condition` (see benchmarks/hops.py), it is the fastest of the three.
    """

    CONTROL_SPARE = 1_000
    """Letters of the CONTROL lane accepted beyond the capacity."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.capacity = capacity
        self._lock = Lock()
        self._wake = Lock()
        self._wake.acquire()
        self._sleeping = False
        self._closed = False
        self._returned: deque[Letter] = deque()
        self._lanes: tuple[deque[Letter], ...] = tuple(deque() for _ in Lane)
        self._aside: deque[Letter] = deque()
        self._waiting_keys: set[tuple[str, str]] = set()
        self._depth = 0
        self._accepted = 0

    def put(self, letter: Letter) -> Verdict:
        """Accept, merge or refuse `letter`, at once."""
        with self._lock:
            if self._closed:
                return Verdict.CLOSED
            if self._depth >= self.capacity and (
                letter.lane is not Lane.CONTROL or self._depth >= self.capacity + self.CONTROL_SPARE
            ):
                return Verdict.FULL
            key = letter.message.conflation_key
            if key is not None:
                mark = (letter.sender, key)
                if mark in self._waiting_keys:
                    return Verdict.MERGED
                self._waiting_keys.add(mark)
            self._lanes[letter.lane].append(letter)
            self._depth += 1
            self._accepted += 1
            wake, self._sleeping = self._sleeping, False
        if wake:
            self._wake.release()
        return Verdict.ACCEPTED

    def get(self) -> Letter | None:
        """The next letter, waiting for one if need be; None once the mailbox is closed and empty."""
        while True:
            with self._lock:
                if self._depth > len(self._aside):
                    return self._next()
                if self._closed:
                    return None
                self._sleeping = True
            self._wake.acquire()

    def take(self) -> Letter | None:
        """The next letter that stands in the mailbox now, or None."""
        with self._lock:
            return self._next() if self._depth > len(self._aside) else None

    def set_aside(self, letter: Letter) -> None:
        """Keep a letter that was taken until `restore`; it counts against the capacity meanwhile."""
        with self._lock:
            self._aside.append(letter)
            self._depth += 1

    def restore(self) -> int:
        """Put the letters set aside back in front of all others, in the order they had; how many they were."""
        with self._lock:
            count = len(self._aside)
            self._returned.extendleft(reversed(self._aside))
            self._aside.clear()
            return count

    def close(self) -> None:
        """Refuse every letter from now on. What was accepted can still be taken."""
        with self._lock:
            self._closed = True
            wake, self._sleeping = self._sleeping, False
        if wake:
            self._wake.release()

    def drain(self) -> list[Letter]:
        """Take everything out at once, letters set aside included, oldest lanes first."""
        with self._lock:
            letters = [*self._aside, *self._returned, *(letter for lane in self._lanes for letter in lane)]
            for waiting in self._queues():
                waiting.clear()
            self._waiting_keys.clear()
            self._depth = 0
            return letters

    @property
    def closed(self) -> bool:
        """Whether letters are refused for good."""
        return self._closed

    @property
    def depth(self) -> int:
        """Letters waiting, those set aside included."""
        return self._depth

    @property
    def accepted(self) -> int:
        """Letters accepted since the mailbox was made."""
        return self._accepted

    def oldest_sent_at(self) -> float | None:
        """When the oldest waiting letter was sent, in monotonic seconds; None if none waits."""
        with self._lock:
            return min((waiting[0].sent_at for waiting in self._queues() if waiting), default=None)

    def _queues(self) -> Iterable[deque[Letter]]:
        return (self._aside, self._returned, *self._lanes)

    def _next(self) -> Letter:
        if self._returned:
            letter = self._returned.popleft()
        else:
            control, urgent, normal, read = self._lanes
            letter = (control or urgent or normal or read).popleft()
        self._depth -= 1
        key = letter.message.conflation_key
        if key is not None:
            self._waiting_keys.discard((letter.sender, key))
        return letter
