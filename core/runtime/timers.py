"""Ticks at absolute times: no drift, no pile-up."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.messages.base import Tick
from core.runtime.clock import Clock

__all__ = ["TimerThread", "Timers"]

_RETRY_S = 0.1


@dataclass(slots=True, eq=False)
class _Timer:
    owner: str
    key: str
    generation: int
    start: float
    due: float
    period: float | None
    periods: int = 1
    missed: int = 0
    in_flight: bool = False


class Timers:
    """Which tick is due when. Knows no thread: someone calls `fire` when `next_due` has come.

    Due times are absolute, each a period after the one before, so neither a late wake-up nor a slow handler shifts the
    rest. A tick of a key is sent only when the one before has been handled; those left out are counted in the next.

    Args:
        clock: whose monotonic seconds times are reckoned in.
        send: posts a tick to its owner; False if it was refused.
        changed: called when the earliest due time may have moved nearer.
    """

    def __init__(
        self, clock: Clock, send: Callable[[str, Tick], bool], changed: Callable[[], object] = lambda: None
    ) -> None:
        self._clock = clock
        self._send = send
        self._changed = changed
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int, _Timer]] = []
        self._timers: dict[tuple[str, str], _Timer] = {}
        self._generations = itertools.count(1)
        self._entries = itertools.count()

    def arm(self, owner: str, key: str, seconds: float, *, repeat: bool) -> None:
        """Let `key` tick in `seconds`, and then every `seconds` if `repeat`; replaces a timer of the same key.

        Raises:
            ValueError: not a finite number of seconds, or a period that is not positive.
        """
        if not math.isfinite(seconds) or seconds < 0 or (repeat and seconds == 0):
            raise ValueError(f"timer {key!r} of {owner}: {seconds} s is no {'period' if repeat else 'delay'}")
        with self._lock:
            now = self._clock.monotonic()
            period = seconds if repeat else None
            timer = _Timer(owner, key, next(self._generations), now, now + seconds, period)
            self._timers[owner, key] = timer
            self._push(timer)
        self._changed()

    def cancel(self, owner: str, key: str) -> None:
        """Forget a timer; a tick of it that waits in the mailbox will be dropped. No effect if there is none."""
        with self._lock:
            self._timers.pop((owner, key), None)

    def cancel_all(self, owner: str | None = None) -> None:
        """Forget all timers, or all of one owner."""
        with self._lock:
            for name, key in list(self._timers):
                if owner is None or name == owner:
                    del self._timers[name, key]

    def next_due(self) -> float | None:
        """When something is to be done next, in monotonic seconds; None if no timer is armed."""
        with self._lock:
            heap = self._heap
            while heap and self._is_stale(heap[0][2]):
                heapq.heappop(heap)
            return heap[0][0] if heap else None

    def fire(self) -> None:
        """Send the ticks that are due now."""
        for timer, tick in self._collect(self._clock.monotonic()):
            if not self._send(timer.owner, tick):
                self._refused(timer, tick)

    def is_current(self, owner: str, tick: Tick) -> bool:
        """Whether the timer of a tick is still armed, as it was when the tick was sent."""
        timer = self._timers.get((owner, tick.key))
        return timer is not None and timer.generation == tick.generation

    def handled(self, owner: str, tick: Tick) -> None:
        """The owner is done with a tick, so the next may be sent; a timer that does not repeat is over."""
        with self._lock:
            timer = self._timers.get((owner, tick.key))
            if timer is None or timer.generation != tick.generation:
                return
            timer.in_flight = False
            if timer.period is None:
                del self._timers[owner, tick.key]

    def _collect(self, now: float) -> list[tuple[_Timer, Tick]]:
        due: list[tuple[_Timer, Tick]] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                timer = heapq.heappop(self._heap)[2]
                if self._is_stale(timer):
                    continue
                skipped = 0
                if timer.period is not None:
                    skipped = math.floor((now - timer.due) / timer.period)
                    # From the start, not from the last: a sum of ten thousand tenths is not a thousand.
                    timer.periods += skipped + 1
                    timer.due = timer.start + timer.periods * timer.period
                    self._push(timer)
                if timer.in_flight:
                    timer.missed += 1 + skipped
                    continue
                due.append((timer, Tick(timer.key, timer.missed + skipped, timer.generation)))
                timer.in_flight, timer.missed = True, 0
        return due

    def _refused(self, timer: _Timer, tick: Tick) -> None:
        with self._lock:
            timer.in_flight = False
            timer.missed = tick.missed + 1
            if timer.period is None:
                # Nothing else would ever send it again.
                timer.due = self._clock.monotonic() + _RETRY_S
                self._push(timer)

    def _push(self, timer: _Timer) -> None:
        heapq.heappush(self._heap, (timer.due, next(self._entries), timer))

    def _is_stale(self, timer: _Timer) -> bool:
        return self._timers.get((timer.owner, timer.key)) is not timer


class TimerThread:
    """Fires `Timers` when they are due, on the machine's clock."""

    def __init__(self, clock: Clock, send: Callable[[str, Tick], bool]) -> None:
        self.timers = Timers(clock, send, self._wake)
        self._clock = clock
        self._changed = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fire nothing more. Idempotent."""
        self._stopped = True
        self._changed.set()
        self._thread.join(timeout=5)

    def _wake(self) -> None:
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped:
            due = self.timers.next_due()
            wait = None if due is None else due - self._clock.monotonic()
            if wait is None or wait > 0:
                self._changed.wait(wait)
                self._changed.clear()
            else:
                self.timers.fire()
