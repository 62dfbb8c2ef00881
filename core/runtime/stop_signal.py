"""Waiting for the signal that ends a program."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STOP = frozenset({signal.SIGINT, signal.SIGTERM})


@contextmanager
def stop_signals() -> Iterator[Callable[[], signal.Signals]]:
    """Take SIGINT and SIGTERM for the block; yields a call that waits for the first of them.

    Enter it on the main thread before any other thread is started: threads begin with the signal mask of the one that
    starts them. A signal that comes before the call is waited for is kept, and one that comes after is ignored. A
    handler that wakes a waiting thread can do neither: where it runs just before the wait begins, it wakes nobody.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield lambda: signal.Signals(signal.sigwait(_STOP))
    finally:
        while signal.sigpending() & _STOP:
            signal.sigwait(_STOP)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
