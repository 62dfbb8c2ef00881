"""Actors without a thread of their own: one envelope a turn, given by whoever runs several of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.messages.envelope import Envelope
from core.runtime.current import working_for
from core.runtime.mailbox import Mailbox, Verdict

if TYPE_CHECKING:
    from core.runtime.actor import Actor

__all__ = ["TurnMailbox", "take_turn"]


class _NothingWaiting(BaseException):
    """Leaves Pykka's loop where a thread would sleep."""


class TurnMailbox(Mailbox):
    """A mailbox that hands out one envelope a turn.

    Args:
        capacity: envelopes that may wait; beyond it they are refused.
        ready: called for each turn there is to give, on the thread of whoever put the envelope. There may be turns
            with nothing left to do, since a batch takes several envelopes in one.
    """

    def __init__(self, capacity: int, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(capacity)
        self._ready = ready
        self._begun = False
        self._granted = 0

    def put(self, envelope: Envelope) -> Verdict:
        """As `Mailbox.put`; an envelope that was accepted is a turn."""
        verdict = super().put(envelope)
        if verdict is Verdict.ACCEPTED:
            self._ready()
        return verdict

    def restore(self) -> int:
        """As `Mailbox.restore`; each envelope is a turn."""
        count = super().restore()
        for _ in range(count):
            self._ready()
        return count

    def close(self) -> None:
        """As `Mailbox.close`; the end is a turn."""
        super().close()
        self._ready()

    def get(self) -> Envelope | None:
        """The envelope of this turn; None once the mailbox is closed and empty."""
        # Reached by Pykka's loop, outside its try: an exception here leaves the loop with everything in order.
        if self._granted == 0:
            raise _NothingWaiting
        self._granted -= 1
        envelope = self.take()
        if envelope is None and not self.closed:
            raise _NothingWaiting
        return envelope

    def begin_turn(self) -> bool:
        """Let one envelope through; False for the first turn, which runs `started` and takes none."""
        before, self._begun = self._begun, True
        self._granted = int(before)
        return before


def take_turn(actor: Actor) -> bool:
    """Run `started`, or handle one envelope, or end; whether the actor's loop is over, which the caller answers for.

    Pykka's own loop does it. An exception that the failure policy did not deal with is the actor's death.
    """
    mailbox = actor.actor_inbox.mailbox
    assert isinstance(mailbox, TurnMailbox)
    with working_for(actor):
        try:
            if not mailbox.begin_turn():
                actor._actor_loop_setup()
            actor._actor_loop_running()
            actor._actor_loop_teardown()
        except _NothingWaiting:
            return False
        except BaseException as error:
            actor._cell.death = actor._cell.death or error
    return True
