"""The mailbox as Pykka's loop sees it."""

from __future__ import annotations

from typing import Any

from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from core.runtime.mailbox import Mailbox

__all__ = ["Inbox"]


class Inbox:
    """Fits Pykka's `ActorInbox` protocol over a `Mailbox`, so that the loop stays Pykka's own.

    Letters come in by `Mailbox.put`. Only Pykka's stop comes in here; it closes the mailbox, and Pykka's loop is told
    to stop once the letters before it are handled.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        # One envelope for all letters: there is one consumer, and Pykka keeps none.
        self._envelope: Envelope[Any] = Envelope(None)
        self._next_letter = mailbox.get
        self._stops: list[Envelope[Any]] = []

    def put(self, envelope: Envelope[Any], /) -> None:
        """Pykka's `tell` and `ask` end here; only its stop is understood.

        Raises:
            TypeError: anything else; letters are posted through the runtime.
        """
        if not isinstance(envelope.message, _ActorStop):
            raise TypeError(f"actors take letters: use Address.tell or runtime.ask, not {envelope.message!r}")
        self._stops.append(envelope)
        self.mailbox.close()

    def get(self) -> Envelope[Any]:
        """The next letter in an envelope, or Pykka's stop once the mailbox is closed and empty."""
        letter = self._next_letter()
        if letter is None:
            return self._stops.pop(0) if self._stops else Envelope(_ActorStop())
        self._envelope.message = letter
        return self._envelope

    def empty(self) -> bool:
        """Whether nobody waits for the stop any more; letters left over are the runtime's to answer for."""
        return not self._stops
