"""All actors, unmodified, on one thread; chance decides what comes next.

What a thread of an actor does is cut into two sorts of steps. A *turn* handles one envelope from beginning to end; what
the handler tells goes into the actor's outbox. A *put* takes the first envelope out of an outbox and puts it into the
mailbox it is addressed to. An actor has no further turn before its outbox is empty. Since actors share nothing but
mailboxes, these are exactly the orders in which real threads can put and take: per sender the order of telling is kept,
causes come before effects, and between any two puts of one handler anybody else may get ahead. (Vector stamps on
envelopes already put, as a first prototype had them, allow cycles between two mailboxes that no thread can produce.)

A handler that waits for the world, as the broker's proxy does in a call, calls `wait`: the others go on meanwhile, on
top of it, and the clock with them.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import deque
from collections.abc import Callable, Sequence
from math import log

from core.messages.base import Message
from core.messages.envelope import Envelope
from core.runtime import Runtime
from core.runtime.actor import Actor
from core.runtime.clock import VirtualClock
from core.runtime.current import current_actor, forbid_blocking, working_for
from core.runtime.deadletters import Reason
from core.runtime.errors import AskFailed, NotDelivered
from core.runtime.mailbox import Mailbox
from core.runtime.reply import ReplyBox
from core.runtime.timers import Timers
from core.runtime.trace import TraceEntry, Tracer
from core.runtime.turns import TurnMailbox, take_turn
from tests.simulation.schedule import Schedule

__all__ = ["Livelock", "ProcessCrashed", "SimulatedRuntime"]

# The steps that a thread takes in a second, on the mean. Time moves with each, so that no two events share a moment.
_RATE = 1 / 60e-6
# How eagerly an actor's thread runs: a slow one lets the others get far ahead, which equal chances hardly ever do.
_PACES = (0.03, 0.2, 1.0, 1.0, 1.0, 4.0)
_PACE_CHANGE = 0.004
_MOST_STEPS = 2_000_000
# The share of the time to stop that is kept for the others when one actor will not end.
_RESERVE = 0.2
_TIMER = "timer"
_WORLD = "world"


class ProcessCrashed(BaseException):
    """The simulated process has ended without a word; leaves every loop and handler that is under way."""


class Livelock(Exception):
    """The actors do not come to the end of a bounded stretch of virtual time: they tell each other in circles."""


def _always() -> bool:
    return True


class _SimulatedMailbox(TurnMailbox):
    """A first turn waits in it although no envelope does."""

    def begin(self) -> None:
        self._add_token(None)

    def begin_turn(self) -> bool:
        begun = super().begin_turn()
        if not begun:
            self._get_token()
        return begun


class SimulatedRuntime(Runtime):
    """A runtime for one simulated process.

    Args:
        clock: Virtual time; shared with the world, and goes on when the process ends.
        chance: Decides what comes next; not the chance that the actors draw from.
        agenda: What happens outside; done in between, as if by other threads.
        tracer: Records envelopes.
        on_put: Told of each envelope when it leaves its sender.
        mailbox_capacity: Envelopes that may wait for one actor.
    """

    clock: VirtualClock

    def __init__(
        self,
        clock: VirtualClock,
        chance: random.Random,
        schedule: Schedule,
        *,
        tracer: Tracer | None = None,
        on_put: Callable[[Envelope], object] = lambda _: None,
        mailbox_capacity: int = 10_000,
    ) -> None:
        super().__init__(clock, tracer, mailbox_capacity=mailbox_capacity)
        self.timers = Timers(clock, self.post_tick)
        self.down = False
        """The process is gone: nothing is told, traced or done any more."""

        self.before_turn: Callable[[Actor], object] = lambda _: None
        """Called before each turn; a place for faults."""

        self.steps = 0
        self._chance = chance
        self._schedule = schedule
        self._on_put = on_put
        self._outboxes: dict[str, deque[Envelope]] = {}
        self._boxes: dict[str, _SimulatedMailbox] = {}
        # For each actor: its outbox, and whether nothing waits in its mailbox.
        self._threads: list[tuple[str, deque[Envelope], Callable[[], bool]]] = []
        self._busy: set[str] = set()
        self._paces: dict[str, float] = {_TIMER: 1.0, _WORLD: 1.0}
        self._frozen: dict[str, float] = {}
        self._record = self.tracer.append
        self.tracer.append = self._note

    def crash(self) -> None:
        """End the process now.

        Raises:
            ProcessCrashed: always; it must not be caught below the simulation's own loop.
        """
        self.down = True
        raise ProcessCrashed

    def freeze(self, name: str, seconds: float) -> None:
        """Let an actor's thread, or `timer`, stand still for so long, as a machine that swaps may."""
        self._frozen[name] = max(self._frozen.get(name, 0.0), self.clock.monotonic() + seconds)

    # What differs between runtimes

    def make_mailbox(self, name: str) -> Mailbox:
        """A mailbox that hands out one envelope a turn."""
        box = self._boxes[name] = _SimulatedMailbox(self.mailbox_capacity)
        self._outboxes[name] = deque()
        self._paces[name] = self._chance.choice(_PACES)
        return box

    def start_loop(self, actor: Actor) -> None:
        """Nothing to start: the actor's first turn runs `started`."""
        # A token without an envelope: there is something to do before the first envelope comes.
        self._boxes[actor.name].begin()
        self._threads.append((actor.name, self._outboxes[actor.name], self._boxes[actor.name]._tokens.empty))

    def post(self, envelope: Envelope) -> bool:
        """Put an envelope: at once from the world, by way of the outbox from an actor.

        Always True for an actor: what becomes of its envelope is known when it is put. No actor looks at the answer.
        """
        if self.down:
            return False
        actor = current_actor()
        if actor is None:
            self._on_put(envelope)
            return super().post(envelope)
        self._outboxes[actor.name].append(envelope)
        return True

    def put_tick(self, envelope: Envelope, now: float) -> bool:
        """As everywhere, and told like every envelope that is put."""
        self._on_put(envelope)
        return super().put_tick(envelope, now)

    def await_reply(self, box: ReplyBox, timeout_s: float) -> Message:
        """Let the others go on until the box has an answer, or the time is over."""
        until = self.clock.monotonic() + timeout_s
        if not self.run(until, box.future.done):
            raise TimeoutError
        return box.future.result(0)

    def stop(self, timeout_s: float, order: Sequence[str] | None = None) -> list[str]:
        """Close and finish every actor in turn, as the threads' runtime does; the names of those still alive."""
        forbid_blocking("stop")
        start = self.clock.monotonic()
        patience = start + timeout_s * (1 - _RESERVE)
        self.timers.cancel_all()
        self._stopping = True
        names = list(order) if order is not None else []
        names += [name for name in reversed(self._actors) if name not in names]
        for name in names:
            self._boxes[name].close()
            self.run(patience, lambda actor=self._actors[name]: actor._cell.ended)  # type: ignore[misc]
        # A call that was under way may have taken longer than the patience; the others still get their share.
        last = max(start + timeout_s, self.clock.monotonic() + timeout_s * _RESERVE)
        self.run(last, lambda: all(self._actors[name]._cell.ended for name in names))
        alive = [name for name in names if not self._actors[name]._cell.ended]
        for name in alive:
            self._leave(self._actors[name], Reason.LEFT)
        for slot in list(self._slots.values()):
            if isinstance(slot, ReplyBox):
                slot.fail(NotDelivered("the service has stopped"))
        return alive

    def dead_letter(self, envelope: Envelope, reason: Reason, error: AskFailed) -> None:
        """As everywhere, unless the process is gone."""
        if not self.down:
            super().dead_letter(envelope, reason, error)

    # Going on

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Go on until a moment, or until `done`; whether it is done.

        Raises:
            ProcessCrashed: the process has ended meanwhile.
            Livelock: the actors are still busy after very many steps.
        """
        first = self.steps
        with working_for(None):
            while not done():
                if not self._step(until):
                    return done()
                if self.steps - first > _MOST_STEPS:
                    raise Livelock(f"still busy after {_MOST_STEPS} steps at {self.clock.monotonic():.3f} s")
        return True

    def wait(self, seconds: float) -> None:
        """The calling actor's thread waits for the world. What it told before has left it when the waiting begins."""
        actor = current_actor()
        name = actor.name if actor is not None else ""
        outbox = self._outboxes.get(name, ())
        self._busy.add(name)
        try:
            while outbox:
                self.run(self.clock.monotonic() + 1.0, lambda: not outbox)
            self.run(self.clock.monotonic() + seconds)
        finally:
            self._busy.discard(name)

    def _step(self, until: float) -> bool:
        """Do one of the things that can be done now, or let time pass to the next; False at `until`."""
        if self.down:
            raise ProcessCrashed
        now = self.clock.monotonic()
        if now >= until:
            return False
        names, shares = self._able(now)
        if not names:
            moment = min(self._next_moment(now), until)
            self.clock.advance(max(0.0, moment - now))
            return True
        self.steps += 1
        chance = self._chance.random
        self.clock.advance(-log(1.0 - chance()) / _RATE)
        name = names[0] if len(names) == 1 else names[bisect(shares, chance() * shares[-1], 0, len(names) - 1)]
        if chance() < _PACE_CHANGE:
            self._paces[name] = self._chance.choice(_PACES)
        self._go_on(name)
        return True

    def _able(self, now: float) -> tuple[list[str], list[float]]:
        """Who can do something now, and how eager each is with all before it."""
        names, shares, share = [], [], 0.0
        frozen, busy, paces = self._frozen, self._busy, self._paces
        for name, outbox, nothing_waits in self._threads:
            if (outbox or (not nothing_waits() and name not in busy)) and (not frozen or frozen.get(name, 0.0) <= now):
                names.append(name)
                share += paces[name]
                shares.append(share)
        due = self.timers.next_due()
        if due is not None and due <= now and frozen.get(_TIMER, 0.0) <= now:
            names.append(_TIMER)
            share += paces[_TIMER]
            shares.append(share)
        due = self._schedule.next_due()
        if due is not None and due <= now:
            names.append(_WORLD)
            shares.append(share + 1.0)
        return names, shares

    def _next_moment(self, now: float) -> float:
        moments = [due for due in (self.timers.next_due(), self._schedule.next_due()) if due is not None and due > now]
        moments += [thaw for thaw in self._frozen.values() if thaw > now]
        return min(moments, default=float("inf"))

    def _go_on(self, name: str) -> None:
        if name == _WORLD:
            self._schedule.do_next()
        elif name == _TIMER:
            self.timers.fire()
        elif self._outboxes[name]:
            envelope = self._outboxes[name].popleft()
            self._on_put(envelope)
            super().post(envelope)
        else:
            self._turn(self._actors[name])
            if self.down:
                # The crash was thrown through a handler, whose failure policy took it for a failure.
                raise ProcessCrashed

    def _turn(self, actor: Actor) -> None:
        self.before_turn(actor)
        if take_turn(actor) and not self.down:
            self.ended(actor, actor._cell.death)
            # What it told last still leaves its outbox; it has no further turn.
            self._threads = [
                (name, outbox, _always if name == actor.name else nothing_waits)
                for name, outbox, nothing_waits in self._threads
            ]

    def _note(self, entry: TraceEntry) -> None:
        if not self.down:
            self._record(entry)
