"""Which actor, if any, the present thread is working for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from core.runtime.errors import BlockingCallError

if TYPE_CHECKING:
    from core.runtime.actor import Actor

__all__ = ["current_actor", "forbid_blocking", "working_for"]


class _Local(threading.local):
    actor: Actor | None = None


_local = _Local()


def current_actor() -> Actor | None:
    """The actor this thread is working for; None at the edges."""
    return _local.actor


class working_for:
    """Mark the present thread as `actor`'s for the length of the block; None: as that of an edge."""

    __slots__ = ("_actor", "_before")

    def __init__(self, actor: Actor | None) -> None:
        self._actor = actor

    def __enter__(self) -> None:
        self._before, _local.actor = _local.actor, self._actor

    def __exit__(self, *_: object) -> None:
        _local.actor = self._before


def forbid_blocking(what: str) -> None:
    """Raise `BlockingCallError` if called on an actor's thread.

    Args:
        what: the call that would block, for the error's text.
    """
    actor = _local.actor
    if actor is not None:
        raise BlockingCallError(
            f"{what} on the thread of actor {actor.name!r}: tell, and handle the answer as an envelope"
        )
