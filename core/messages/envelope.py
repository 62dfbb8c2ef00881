"""The envelope a message travels in."""

from __future__ import annotations

from typing import NamedTuple

from core.messages.base import Lane, Message

__all__ = ["Envelope"]


class Envelope(NamedTuple):
    """A message with who, to whom, when and why.

    A named tuple, not a frozen dataclass: as immutable, and built in a quarter of the time (it is built on each hop).
    """

    id: str
    """The run's prefix and a counter, "k3f9a:123". Not a uuid: slow, and it would break replay."""

    correlation_id: str | None
    """The command this belongs to: the message's own `command_id`, else that of the envelope being handled."""

    causation_id: str | None
    """The envelope that was being handled when this was sent; None from outside."""

    sender: str
    to: str
    message: Message
    lane: Lane

    sent_at: float
    """Monotonic seconds of the runtime's clock, when the envelope was posted."""

    deadline: float | None = None
    """Monotonic seconds after which the sender has no more use for it. Carried, not enforced: see `Actor.overdue`."""

    reply_to: str | None = None
    """The name `Actor.reply` answers to; set by `ask`."""

    stamp: object = None
    """Room for a simulator's own bookkeeping, such as a vector clock. Nothing else reads it."""
