"""The runtime of the real service: a thread for each actor."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from core.messages.base import Message
from core.runtime.actor import Actor
from core.runtime.clock import Clock
from core.runtime.current import forbid_blocking
from core.runtime.deadletters import Reason
from core.runtime.errors import NotDelivered
from core.runtime.failures import FailureLimits
from core.runtime.reply import ReplyBox
from core.runtime.runtime import Runtime
from core.runtime.timers import TimerThread
from core.runtime.trace import Tracer

__all__ = ["ThreadRuntime"]

_POLL_S = 0.001
# The share of the time to stop that is kept for the others when one actor will not end.
_RESERVE = 0.2


class ThreadRuntime(Runtime):
    """Actors on threads of their own, ticks from one more. See `Runtime` for the arguments."""

    def __init__(
        self,
        clock: Clock,
        tracer: Tracer | None = None,
        run_prefix: str | None = None,
        mailbox_capacity: int = 10_000,
        limits: FailureLimits | None = None,
    ) -> None:
        super().__init__(clock, tracer, run_prefix, mailbox_capacity, limits)
        self._timer_thread = TimerThread(clock, self.post_tick)
        self.timers = self._timer_thread.timers
        self._threads: dict[str, threading.Thread] = {}

    def start_loop(self, actor: Actor) -> None:
        """Run the actor's loop, Pykka's own, on a new thread."""
        # Daemons: an actor stuck in a call must not keep the process from ending. `stop` waits for all others.
        thread = threading.Thread(target=actor._actor_loop, name=actor.name, daemon=True)
        self._threads[actor.name] = thread
        thread.start()

    def await_reply(self, box: ReplyBox, timeout_s: float) -> Message:
        """Block the calling thread until the box has an answer."""
        return box.future.result(timeout_s)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for a moment at which no envelope waits or is in hand anywhere; timers still run.

        Returns:
            Whether there was such a moment within `timeout_s` seconds.
        """
        forbid_blocking("wait_idle")
        deadline = self.clock.monotonic() + timeout_s
        pause = threading.Event()
        before = None
        while True:
            # Two equal counts in a row, each with nothing pending: no envelope moved between the two, so there was
            # none.
            counts = self._counts()
            if counts == before and all(accepted == finished for accepted, finished in counts):
                return True
            before = counts
            if self.clock.monotonic() >= deadline:
                return False
            pause.wait(_POLL_S)

    def stop(self, timeout_s: float, order: Sequence[str] | None = None, settle_s: float = 0.0) -> list[str]:
        """Stop every actor in turn: refuse new envelopes, handle those that wait, `stopping`, join.

        Timers stop first. An actor that does not end in time is left behind with four fifths of the time spent, and the
        others are closed and joined together; envelopes it leaves unhandled become dead letters and its askers are
        told.

        Args:
            timeout_s: for all of them together.
            order: names; by default the reverse of the order they were spawned in. Those not named come last.
            settle_s: before that, wait so long for envelopes in flight between actors to come to rest.

        Returns:
            The names still alive.
        """
        forbid_blocking("stop")
        start = self.clock.monotonic()
        end = start + timeout_s
        self._timer_thread.stop()
        if settle_s > 0:
            self.wait_idle(min(settle_s, timeout_s))
        self._stopping = True
        names = list(order) if order is not None else []
        names += [name for name in reversed(self._actors) if name not in names]
        patience = end - _RESERVE * timeout_s
        for name in names:
            self._actors[name].actor_inbox.mailbox.close()
            self._join(name, patience)
        for name in names:
            self._join(name, end)
        alive = [name for name in names if self._threads[name].is_alive()]
        for name in alive:
            self._leave(self._actors[name], Reason.LEFT)
        for slot in list(self._slots.values()):
            if isinstance(slot, ReplyBox):
                slot.fail(NotDelivered("the service has stopped"))
        self.tracer.close()
        return alive

    def _join(self, name: str, until: float) -> None:
        self._threads[name].join(max(0.0, until - self.clock.monotonic()))

    def _counts(self) -> list[tuple[int, int]]:
        # Finished is read before accepted: the other way round, an envelope could be counted as finished and not
        # accepted.
        counts = []
        for actor in list(self._actors.values()):
            if not actor._cell.ended:
                finished = actor._cell.finished
                counts.append((actor._cell.mailbox.accepted, finished))
        return counts
