"""What an actor sends: envelopes with their cause, held back while a batch is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from core.messages.base import Message
from core.messages.envelope import Envelope
from core.runtime.trace import Outcome

if TYPE_CHECKING:
    from core.runtime.runtime import Runtime

__all__ = ["Outbox", "Unsent"]

# An envelope is made on each hop; this skips the named tuple's own constructor and a third of the time.
_new_envelope = tuple.__new__


Unsent: TypeAlias = tuple[tuple[str, Message, float | None, Envelope | None], ...]
"""What a batch that failed had told: addressee, message, deadline and cause of each."""


class Outbox:
    """Puts messages into envelopes and posts them. Used by one actor's thread alone."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.envelope: Envelope | None = None
        """The envelope in hand: the cause of what is sent."""

        self.told = False
        """Whether something was sent that the trace keeps, since this was last set to False."""

        self._name = name
        self._post_envelope = runtime.post
        self._next_id = runtime.next_id
        self._monotonic = runtime.clock.monotonic
        self._append = runtime.tracer.append
        self._held: list[tuple[str, Message, float | None, Envelope | None]] | None = None
        self._mark = 0

    def send(self, to: str, message: Message, deadline: float | None) -> bool:
        """Post a message caused by the envelope in hand, or hold it while a batch is open."""
        self.told = self.told or message.traced
        if self._held is not None:
            self._held.append((to, message, deadline, self.envelope))
            return True
        return self._post_envelope(self._envelope(to, message, deadline, self.envelope))

    def send_now(self, to: str, message: Message, cause: Envelope | None) -> None:
        """Post a message also while a batch is open: a report that stays true whatever becomes of the batch."""
        self._post_envelope(self._envelope(to, message, None, cause))

    def unasked(self, message: Message) -> None:
        """Trace a reply that nobody asked for."""
        envelope = self._envelope("nobody", message, None, self.envelope)
        self._append((envelope, None, envelope.sent_at, Outcome.UNASKED))

    def hold(self) -> None:
        """Keep what is sent until `release` or `discard`."""
        self._held = []

    def mark(self) -> None:
        """A handler is about to begin: what it sends can be taken back by `take_back`."""
        if self._held is not None:
            self._mark = len(self._held)

    def take_back(self) -> None:
        """Forget what was held since `mark`."""
        if self._held is not None:
            del self._held[self._mark :]

    def release(self) -> None:
        """Post what was held, in the order it was sent, and hold no longer."""
        held, self._held = self._held or [], None
        for to, message, deadline, cause in held:
            self._post_envelope(self._envelope(to, message, deadline, cause))

    def discard(self) -> Unsent:
        """Hold no longer, and post nothing of what was held, which is returned."""
        held, self._held = self._held or [], None
        return tuple(held)

    def post(self, unsent: Unsent) -> None:
        """Post what was discarded after all, each message with the cause it had."""
        for to, message, deadline, cause in unsent:
            self._post_envelope(self._envelope(to, message, deadline, cause))

    def _envelope(self, to: str, message: Message, deadline: float | None, cause: Envelope | None) -> Envelope:
        command = getattr(message, "command_id", None)
        if cause is None:
            cause_id = None
        else:
            cause_id = cause.id
            if command is None:
                command = cause.correlation_id
        values = (
            self._next_id(),
            command,
            cause_id,
            self._name,
            to,
            message,
            message.lane,
            self._monotonic(),
            deadline,
            None,
            None,
        )
        return _new_envelope(Envelope, values)
