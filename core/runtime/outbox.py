"""What an actor sends: letters with their cause, held back while a batch is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from core.runtime.letter import Letter
from core.runtime.message import Message
from core.runtime.trace import Outcome

if TYPE_CHECKING:
    from core.runtime.runtime import Runtime

__all__ = ["Outbox", "Unsent"]

# A letter is made on each hop; this skips the named tuple's own constructor and a third of the time.
_new_letter = tuple.__new__


Unsent: TypeAlias = tuple[tuple[str, Message, float | None, Letter | None], ...]
"""What a batch that failed had told: addressee, message, deadline and cause of each."""


class Outbox:
    """Puts messages into letters and posts them. Used by one actor's thread alone."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.letter: Letter | None = None
        """The letter in hand: the cause of what is sent."""

        self._name = name
        self._post_letter = runtime.post
        self._next_id = runtime.next_id
        self._monotonic = runtime.clock.monotonic
        self._append = runtime.tracer.append
        self._held: list[tuple[str, Message, float | None, Letter | None]] | None = None
        self._mark = 0

    def send(self, to: str, message: Message, deadline: float | None) -> bool:
        """Post a message caused by the letter in hand, or hold it while a batch is open."""
        if self._held is not None:
            self._held.append((to, message, deadline, self.letter))
            return True
        return self._post_letter(self._letter(to, message, deadline, self.letter))

    def send_now(self, to: str, message: Message, cause: Letter | None) -> None:
        """Post a message also while a batch is open: a report that stays true whatever becomes of the batch."""
        self._post_letter(self._letter(to, message, None, cause))

    def unasked(self, message: Message) -> None:
        """Trace a reply that nobody asked for."""
        letter = self._letter("nobody", message, None, self.letter)
        self._append((letter, None, letter.sent_at, Outcome.UNASKED))

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
            self._post_letter(self._letter(to, message, deadline, cause))

    def discard(self) -> Unsent:
        """Hold no longer, and post nothing of what was held, which is returned."""
        held, self._held = self._held or [], None
        return tuple(held)

    def post(self, unsent: Unsent) -> None:
        """Post what was discarded after all, each message with the cause it had."""
        for to, message, deadline, cause in unsent:
            self._post_letter(self._letter(to, message, deadline, cause))

    def _letter(self, to: str, message: Message, deadline: float | None, cause: Letter | None) -> Letter:
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
        return _new_letter(Letter, values)
