"""The mailbox as Pykka's loop sees it."""

from __future__ import annotations

from typing import Any

from pykka._envelope import Envelope as PykkaEnvelope
from pykka.messages import _ActorStop

from core.runtime.mailbox import Mailbox

__all__ = ["Inbox"]


class Inbox:
    """Fits Pykka's `ActorInbox` protocol over a `Mailbox`, so that the loop stays Pykka's own.

    Envelopes come in by `Mailbox.put`. Only Pykka's stop comes in here; it closes the mailbox, and Pykka's loop is told
    to stop once the envelopes before it are handled.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        # One envelope for all envelopes: there is one consumer, and Pykka keeps none.
        self._pykka_envelope: PykkaEnvelope[Any] = PykkaEnvelope(None)
        self._next_envelope = mailbox.get
        self._stops: list[PykkaEnvelope[Any]] = []

    def put(self, stop: PykkaEnvelope[Any], /) -> None:
        """Pykka's `tell` and `ask` end here; only its stop is understood.

        Raises:
            TypeError: anything else; envelopes are posted through the runtime.
        """
        if not isinstance(stop.message, _ActorStop):
            raise TypeError(f"actors take envelopes: use Address.tell or runtime.ask, not {stop.message!r}")
        self._stops.append(stop)
        self.mailbox.close()

    def get(self) -> PykkaEnvelope[Any]:
        """The next envelope in an envelope, or Pykka's stop once the mailbox is closed and empty."""
        envelope = self._next_envelope()
        if envelope is None:
            return self._stops.pop(0) if self._stops else PykkaEnvelope(_ActorStop())
        self._pykka_envelope.message = envelope
        return self._pykka_envelope

    def empty(self) -> bool:
        """Whether nobody waits for the stop any more; envelopes left over are the runtime's to answer for."""
        return not self._stops
