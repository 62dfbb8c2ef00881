"""What tests of actors need everywhere: waiting without sleeping, and dead letters that fail a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import time, timedelta

from core.model.calendar import INDIA
from core.runtime import Runtime, SystemClock

__all__ = ["PATIENCE_S", "no_dead_letters", "paper_day", "roll_time", "wait_until"]

PATIENCE_S = 30.0
"""How long tests wait for what comes in milliseconds on an idle machine: a test states behaviour, not speed."""

_POLL_S = 0.002
_LONGEST_POLL_S = 0.1


def wait_until(predicate: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Return once `predicate()` is true; fail the test if that takes more than `timeout_s` seconds.

    Pauses grow with the time waited so far: who looks all the time takes the processor from what it waits for.
    """
    clock = SystemClock()
    began = clock.monotonic()
    pause = threading.Event()
    while not predicate():
        waited = clock.monotonic() - began
        assert waited < timeout_s, f"not so within {timeout_s} s: {predicate}"
        pause.wait(min(max(_POLL_S, waited / 20), _LONGEST_POLL_S))


def roll_time() -> time:
    """Half a day from now, in India: an exchange that is given it ends no day while a test runs, whenever that is."""
    return (SystemClock().now() + timedelta(hours=12)).astimezone(INDIA).time().replace(microsecond=0)


def paper_day() -> dict[str, str]:
    """Settings of a paper exchange whose day and tokens do not end while a test runs."""
    far = roll_time().isoformat()
    return {"SIXSTEP_PAPER__TOKEN_EXPIRY_TIME": far, "SIXSTEP_PAPER__DAY_ROLL_TIME": far}


@contextmanager
def no_dead_letters(runtime: Runtime) -> Iterator[Runtime]:
    """Stop the runtime at the end, and fail if it leaves actors alive or dead letters that the test did not take.

    A test that expects dead letters takes them: `runtime.dead_letters.take()`.
    """
    yield runtime
    before = runtime.dead_letters.take()
    alive = runtime.stop(5)
    left = [(dead.reason.value, dead.envelope) for dead in [*before, *runtime.dead_letters.take()]]
    assert not alive, f"still alive: {alive}"
    assert not left, f"dead letters: {left}"
