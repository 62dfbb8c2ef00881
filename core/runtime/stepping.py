"""All actors on the calling thread, one envelope at a time, in the order they were posted: for tests of actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from core.messages.base import Message
from core.runtime.actor import Actor
from core.runtime.clock import VirtualClock
from core.runtime.current import forbid_blocking
from core.runtime.errors import NotDelivered
from core.runtime.failures import FailureLimits
from core.runtime.mailbox import Mailbox
from core.runtime.reply import ReplyBox
from core.runtime.runtime import Runtime
from core.runtime.timers import Timers
from core.runtime.trace import Tracer
from core.runtime.turns import TurnMailbox, take_turn

__all__ = ["StepRuntime"]


class StepRuntime(Runtime):
    """A deterministic runtime without threads, on virtual time.

    Nothing happens until `run_until_idle` or `advance`. Envelopes are handled in the order they were posted, apart from
    lanes; Pykka's own loop runs them, left by an exception where a thread would sleep.
    """

    clock: VirtualClock

    def __init__(
        self,
        clock: VirtualClock,
        tracer: Tracer | None = None,
        run_prefix: str | None = None,
        mailbox_capacity: int = 10_000,
        limits: FailureLimits | None = None,
    ) -> None:
        super().__init__(clock, tracer, run_prefix, mailbox_capacity, limits)
        self.timers = Timers(clock, self.post_tick)
        self._ready: deque[str] = deque()

    def make_mailbox(self, name: str) -> Mailbox:
        """A mailbox that notes in the common queue whose turn it is."""
        return TurnMailbox(self.mailbox_capacity, lambda: self._ready.append(name))

    def start_loop(self, actor: Actor) -> None:
        """Give the actor its first turn, in which `started` runs."""
        self._ready.append(actor.name)

    def step(self) -> bool:
        """Give the next actor its turn; whether there was one to give."""
        if not self._ready:
            return False
        actor = self._actors[self._ready.popleft()]
        if not actor._cell.ended and take_turn(actor):
            self.ended(actor, actor._cell.death)
        return True

    def run_until_idle(self, max_steps: int = 1_000_000) -> int:
        """Give turns until no envelope waits anywhere, at the present time.

        Returns:
            How many turns there were.

        Raises:
            RuntimeError: still busy after `max_steps`: actors tell each other in circles.
        """
        for steps in range(max_steps):
            if not self.step():
                return steps
        raise RuntimeError(f"run_until_idle: still busy after {max_steps} steps")

    def advance(self, seconds: float) -> None:
        """Let time pass, from one due timer to the next, until nothing is left to do at the end of it."""
        end = self.clock.monotonic() + seconds
        self.run_until_idle()
        while (due := self.timers.next_due()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            self.timers.fire()
            self.run_until_idle()
        self.clock.advance(max(0.0, end - self.clock.monotonic()))

    def await_reply(self, box: ReplyBox, timeout_s: float) -> Message:
        """Run until the box has an answer, letting up to `timeout_s` virtual seconds pass."""
        end = self.clock.monotonic() + timeout_s
        self.run_until_idle()
        while not box.future.done():
            due = self.timers.next_due()
            if due is None or due > end:
                self.clock.advance(max(0.0, end - self.clock.monotonic()))
                raise TimeoutError
            self.advance(max(0.0, due - self.clock.monotonic()))
        return box.future.result(0)

    def stop(self, timeout_s: float = 0.0, order: Sequence[str] | None = None) -> list[str]:  # noqa: ARG002
        """Close and finish every actor in turn, as the threads' runtime does; nobody is ever left."""
        forbid_blocking("stop")
        self.timers.cancel_all()
        self._stopping = True
        names = list(order) if order is not None else []
        for name in names + [name for name in reversed(self._actors) if name not in names]:
            self._actors[name].actor_inbox.mailbox.close()
            self.run_until_idle()
        for slot in list(self._slots.values()):
            if isinstance(slot, ReplyBox):
                slot.fail(NotDelivered("the service has stopped"))
        self.tracer.close()
        return []
