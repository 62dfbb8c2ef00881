"""The runtime of the real service: a thread for each actor, or for several that only decide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from loguru import logger

from core.messages.base import Message
from core.runtime.actor import Actor
from core.runtime.clock import Clock
from core.runtime.current import forbid_blocking, working_for
from core.runtime.deadletters import Reason
from core.runtime.errors import NotDelivered
from core.runtime.failures import FailureLimits, error_text
from core.runtime.mailbox import Mailbox
from core.runtime.reply import ReplyBox
from core.runtime.runtime import Runtime
from core.runtime.timers import TimerThread
from core.runtime.trace import Tracer
from core.runtime.turns import TurnMailbox, take_turn

__all__ = ["ThreadRuntime"]

_POLL_S = 0.001
# The share of the time to stop that is kept for the others when one actor will not end.
_RESERVE = 0.2


class _Dispatcher:
    """One thread that runs several actors, an envelope of each at a time, in the order they were put.

    A hop between two of its actors costs no change of thread. While one of them waits, the others wait too.
    """

    def __init__(self, name: str, run: Callable[[str], None]) -> None:
        self._turns: SimpleQueue[str | None] = SimpleQueue()
        self.give = self._turns.put
        """Give an actor a turn; None ends the thread."""

        self._run_turn = run
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (name := self._turns.get()) is not None:
            self._run_turn(name)


class ThreadRuntime(Runtime):
    """Actors on threads, ticks from one more. See `Runtime` for the other arguments.

    Args:
        dispatchers: The thread by actor, for those that share one; all others have their own.
    """

    def __init__(
        self,
        clock: Clock,
        tracer: Tracer | None = None,
        run_prefix: str | None = None,
        mailbox_capacity: int = 10_000,
        limits: FailureLimits | None = None,
        *,
        dispatchers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(clock, tracer, run_prefix, mailbox_capacity, limits)
        self._timer_thread = TimerThread(clock, self.post_tick)
        self.timers = self._timer_thread.timers
        self._assigned = dispatchers if dispatchers is not None else {}
        self._dispatchers: dict[str, _Dispatcher] = {}
        self._ends: dict[str, threading.Event] = {}

    def make_mailbox(self, name: str) -> Mailbox:
        """One that the actor's own thread waits at, or one that tells its dispatcher of each envelope."""
        if name not in self._assigned:
            return super().make_mailbox(name)
        dispatcher = self._dispatcher(name)
        return TurnMailbox(self.mailbox_capacity, lambda: dispatcher.give(name))

    def start_loop(self, actor: Actor) -> None:
        """Run the actor's loop, Pykka's own, on a new thread or on its dispatcher's."""
        end = self._ends[actor.name] = threading.Event()
        if actor.name in self._assigned:
            self._dispatcher(actor.name).give(actor.name)
            return
        # Daemons: an actor stuck in a call must not keep the process from ending. `stop` waits for all others.
        threading.Thread(target=self._run_loop, args=(actor, end), name=actor.name, daemon=True).start()

    @staticmethod
    def _run_loop(actor: Actor, end: threading.Event) -> None:
        try:
            actor._actor_loop()
        finally:
            end.set()

    def _dispatcher(self, name: str) -> _Dispatcher:
        thread = self._assigned[name]
        if thread not in self._dispatchers:
            self._dispatchers[thread] = _Dispatcher(thread, self._run_turn)
        return self._dispatchers[thread]

    def _run_turn(self, name: str) -> None:
        # Its own end, since the name may be another's as soon as it has ended.
        actor, end = self._actors[name], self._ends[name]
        if actor._cell.ended or not take_turn(actor):
            return
        try:
            with working_for(actor):
                self.ended(actor, actor._cell.death)
        except BaseException as error:
            # Whatever it is, it must not end the thread of the others.
            logger.error("{}: its end could not be told: {}", name, error_text(error, self.secrets))
        finally:
            end.set()

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
        alive = [name for name in names if not self._ends[name].is_set()]
        for name in alive:
            self._leave(self._actors[name], Reason.LEFT)
        for slot in list(self._slots.values()):
            if isinstance(slot, ReplyBox):
                slot.fail(NotDelivered("the service has stopped"))
        for dispatcher in self._dispatchers.values():
            dispatcher.give(None)
        self._dispatchers.clear()
        self.tracer.close()
        return alive

    def _join(self, name: str, until: float) -> None:
        self._ends[name].wait(max(0.0, until - self.clock.monotonic()))

    def _counts(self) -> list[tuple[int, int]]:
        # Finished is read before accepted: the other way round, an envelope could be counted as finished and not
        # accepted.
        counts = []
        for actor in list(self._actors.values()):
            if not actor._cell.ended:
                finished = actor._cell.finished
                counts.append((actor._cell.mailbox.accepted, finished))
        return counts
