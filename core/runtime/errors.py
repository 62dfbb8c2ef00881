"""What the runtime raises at its edges."""

from __future__ import annotations

__all__ = [
    "AbortBatch",
    "AskFailed",
    "BlockingCallError",
    "HandlerFailed",
    "NotDelivered",
    "OutOfReach",
    "UnknownMessage",
]


class AbortBatch(Exception):
    """Raised by a handler within a batch: not this envelope alone but the whole batch cannot be completed."""


class OutOfReach(AbortBatch):
    """What a batch needs, such as a database, cannot be reached now: no failure of the actor, which tells of it itself.

    Neither logged nor reported by the runtime. A resource that is away for minutes fails every batch of them, and
    reports at that pace would be a flood, and a reason to halt.
    """


class AskFailed(RuntimeError):
    """An ask got no answer, and never will."""


class NotDelivered(AskFailed):
    """The envelope was refused, or its addressee ended before taking it."""


class HandlerFailed(AskFailed):
    """The addressee's handler raised; the text carries the error, the log its traceback."""


class BlockingCallError(RuntimeError):
    """An actor's thread tried to wait for another: with two of them that is a deadlock."""


class UnknownMessage(TypeError):
    """The actor has no handler for this type of message."""
