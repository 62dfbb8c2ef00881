"""What no handler may do: block, read the machine's clock, draw true chance, start a thread, open a socket.

While the simulation runs, the functions that do so are replaced by ones that look who calls. Locks are not among them:
on one thread a lock that is free is taken at once, and one that is not would stop the simulation, which its watch
notices. `datetime.now` and whatever a module bound to a name of its own when it was imported cannot be caught here;
they are banned by lint (ruff TID251, DTZ).
"""

from __future__ import annotations

import os
import random
import secrets  # noqa: TID251 - to forbid it
import socket
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any
from unittest.mock import patch

from core.runtime.current import current_actor

__all__ = ["ForbiddenCall", "guarded"]


class ForbiddenCall(Exception):
    """A handler did what would make a simulation, or an actor's thread, anything but its own master."""


# Whoever calls: they block, or begin something that runs beside the actors.
_NEVER: tuple[tuple[Any, str], ...] = (
    (time, "sleep"),
    (threading.Thread, "start"),
    (threading.Condition, "wait"),
    (socket.socket, "connect"),
    (socket.socket, "bind"),
)
# Libraries may read clocks for purposes of their own, such as the age of a cookie. Our own code may not.
_NOT_BY_US: tuple[tuple[Any, str], ...] = (
    (time, "time"),
    (time, "time_ns"),
    (time, "monotonic"),
    (time, "monotonic_ns"),
    (time, "perf_counter"),
    (uuid, "uuid1"),
    (uuid, "uuid4"),
    (os, "urandom"),
    (secrets, "token_hex"),
    (secrets, "token_bytes"),
    (secrets, "token_urlsafe"),
    (random, "random"),
    (random, "randint"),
    (random, "randrange"),
    (random, "choice"),
    (random, "choices"),
    (random, "shuffle"),
    (random, "sample"),
    (random, "uniform"),
)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@contextmanager
def guarded() -> Iterator[None]:
    """Within the block, a forbidden call in an actor's turn raises `ForbiddenCall`, naming the line."""
    with ExitStack() as stack:
        for owner, name in _NEVER:
            stack.enter_context(patch.object(owner, name, _refusing(owner, name, ours_only=False)))
        for owner, name in _NOT_BY_US:
            stack.enter_context(patch.object(owner, name, _refusing(owner, name, ours_only=True)))
        yield


def _refusing(owner: Any, name: str, *, ours_only: bool) -> Callable[..., Any]:
    original = getattr(owner, name)
    what = f"{getattr(owner, '__name__', owner)}.{name}"

    def checked(*args: Any, **kwargs: Any) -> Any:
        actor = current_actor()
        if actor is not None:
            caller = sys._getframe(1)
            if not ours_only or not _is_library(caller):
                raise ForbiddenCall(f"{actor.name} calls {what} at {_our_line(caller)}")
        return original(*args, **kwargs)

    return checked


def _is_library(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_LIBRARIES) or frame.f_code.co_filename.startswith("<frozen")


def _our_line(frame: FrameType | None) -> str:
    """The innermost line that is not a library's."""
    while frame is not None and _is_library(frame):
        frame = frame.f_back
    return "an unknown line" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
