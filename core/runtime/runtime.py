"""What every runtime does alike: names, posting, asking, dead letters, health.

Two things differ between runtimes: where envelopes wait (`make_mailbox`) and who runs an actor's loop (`start_loop`).
With threads each actor has one, of its own or shared; the stepping runtime, and a simulator, run all on the caller's.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from loguru import logger

from core.messages.base import ActorDied, ActorFailed, Lane, Message, MessageUndeliverable, Ping, Tick
from core.messages.envelope import Envelope
from core.model.health import ActorHealth
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import Clock, token
from core.runtime.current import current_actor, forbid_blocking
from core.runtime.deadletters import DeadLetters, Reason
from core.runtime.errors import AskFailed, NotDelivered
from core.runtime.failures import FailureLimits, error_text, error_traceback
from core.runtime.futures import ReplyFuture
from core.runtime.mailbox import Mailbox, Verdict
from core.runtime.reply import REPLY_PREFIX, ReplyBox
from core.runtime.timers import Timers
from core.runtime.trace import Outcome, Tracer

__all__ = ["EDGE", "TIMER", "Runtime"]

EDGE = "edge"
"""The sender of envelopes from outside the actors."""

TIMER = "timer"
"""The sender of ticks."""

_ACCEPTED = Verdict.ACCEPTED
_REFUSALS = {Verdict.FULL: Reason.FULL, Verdict.CLOSED: Reason.CLOSED}
_NEVER_REPORTED = (ActorFailed, ActorDied, MessageUndeliverable)


class Runtime(ABC):
    """A cast of actors, the names they go by, and the way envelopes take between them.

    Args:
        clock: time and chance of everything in it.
        tracer: records every envelope; by default one in memory.
        run_prefix: begins every envelope's id, so that ids of two runs differ; drawn from the clock by default.
        mailbox_capacity: envelopes that may wait for one actor.
        limits: how much failing is too much.
    """

    timers: Timers

    def __init__(
        self,
        clock: Clock,
        tracer: Tracer | None = None,
        run_prefix: str | None = None,
        mailbox_capacity: int = 10_000,
        limits: FailureLimits | None = None,
    ) -> None:
        self.clock = clock
        self.tracer = tracer if tracer is not None else Tracer(clock)
        self.secrets = self.tracer.secrets
        """What no text may hold that leaves an actor for people."""

        self.run_prefix = run_prefix if run_prefix is not None else token(clock, 5)
        self.mailbox_capacity = mailbox_capacity
        self.limits = limits if limits is not None else FailureLimits()
        self.dead_letters = DeadLetters()
        self.supervisor: Address[ActorFailed | ActorDied] | None = None
        """Told of every failure and death; set by the composition root."""

        self._actors: dict[str, Actor] = {}
        self._slots: dict[str, Mailbox | ReplyBox] = {}
        self._reply_numbers = itertools.count(1)
        prefix, numbers = f"{self.run_prefix}:", itertools.count(1)
        self.next_id: Callable[[], str] = lambda: f"{prefix}{next(numbers)}"
        """Makes an envelope's id."""

        self._stopping = False

    # What differs between runtimes

    def make_mailbox(self, name: str) -> Mailbox:  # noqa: ARG002 - a simulator needs to know whose it is
        """The mailbox of an actor about to be made."""
        return Mailbox(self.mailbox_capacity)

    @abstractmethod
    def start_loop(self, actor: Actor) -> None:
        """Let the actor's loop run: `started`, envelopes, `stopping`, and then `ended`."""

    @abstractmethod
    def stop(self, timeout_s: float, order: Sequence[str] | None = None) -> list[str]:
        """Stop every actor in turn; the names of those still alive. See the runtime at hand."""

    @abstractmethod
    def await_reply(self, box: ReplyBox, timeout_s: float) -> Message:
        """Wait for a reply box at the edge; raises TimeoutError, or the box's `AskFailed`."""

    # The actors

    def spawn(self, actor_class: type[Actor], name: str, *args: Any, **kwargs: Any) -> Address[Any]:
        """Make `actor_class(runtime, name, *args, **kwargs)`, list it and start its loop.

        Returns as soon as it can be told things; `started` runs in the actor's thread. `barrier` waits for that.

        Raises:
            ValueError: the name belongs to a living actor, or begins with "reply:".
        """
        current = self._actors.get(name)
        if name.startswith(REPLY_PREFIX) or (current is not None and not current._cell.ended):
            raise ValueError(f"spawn: the name {name!r} is taken")
        actor = actor_class(self, name, *args, **kwargs)
        self._actors[name] = actor
        self._slots[name] = actor.actor_inbox.mailbox
        # Not through Pykka's start(): its registry is process-wide, and `stop_all` reaches all that is listed there.
        actor._start_actor_loop()
        return Address(name, self)

    def address(self, name: str) -> Address[Any]:
        """The address of a name, whether or not an actor bears it yet."""
        return Address(name, self)

    def names(self) -> list[str]:
        """All actors in the order they were spawned, ended ones too."""
        return list(self._actors)

    def knows(self, name: str) -> bool:
        """Whether an actor or an open reply box of this name takes envelopes now."""
        slot = self._slots.get(name)
        return slot is not None and not (isinstance(slot, Mailbox) and slot.closed)

    def barrier(self, name: str, timeout_s: float) -> None:
        """Wait until an actor's `started` is over and it takes envelopes.

        Raises:
            NotDelivered: it has died, or is not known; the text says why.
            TimeoutError: it is not that far yet.
        """
        self.ask(Address(name, self), Ping(), timeout_s)

    def health(self) -> dict[str, ActorHealth]:
        """How each actor is doing, by name, in the order they were spawned."""
        now = self.clock.monotonic()
        return {name: self._health(name, actor, now) for name, actor in self._actors.copy().items()}

    # Envelopes

    def tell(self, name: str, message: Message, reply_to: str | None = None) -> bool:
        """Send from the edge; on an actor's thread, from that actor. As `Address.tell`."""
        actor = current_actor()
        if actor is not None and reply_to is None:
            return actor.tell_name(name, message)
        command = getattr(message, "command_id", None)
        now = self.clock.monotonic()
        return self.post(
            Envelope(self.next_id(), command, None, EDGE, name, message, message.lane, now, None, reply_to)
        )

    def post(self, envelope: Envelope) -> bool:
        """Deliver an envelope. Never raises. False: it was refused and became a dead letter, or it was late."""
        slot = self._slots.get(envelope.to)
        verdict = slot.put(envelope) if slot is not None else None
        if verdict is _ACCEPTED:
            return True
        return self._not_queued(envelope, verdict)

    def post_tick(self, owner: str, tick: Tick) -> bool:
        """Deliver a timer's tick. One that is refused is late, not dead: the next says how many were missed."""
        now = self.clock.monotonic()
        return self.put_tick(Envelope(self.next_id(), None, None, TIMER, owner, tick, Lane.CONTROL, now), now)

    def put_tick(self, envelope: Envelope, now: float) -> bool:
        """Put a tick into its owner's mailbox; whether it was taken."""
        slot = self._slots.get(envelope.to)
        if slot is not None and slot.put(envelope) is _ACCEPTED:
            return True
        self.tracer.record(envelope, None, now, Outcome.LATE)
        return False

    def dead_letter(self, envelope: Envelope, reason: Reason, error: AskFailed) -> None:
        """Keep an envelope nobody took, and tell its asker, if it has one, that there will be no answer."""
        self.dead_letters.add(envelope, reason)
        if envelope.reply_to is not None:
            box = self._slots.get(envelope.reply_to)
            if isinstance(box, ReplyBox):
                box.fail(error)

    # Asking, at the edges

    def open_reply(self, name: str | None = None) -> ReplyBox:
        """A box for one answer, whose name may travel in a message as text.

        Args:
            name: without the prefix "reply:"; numbered by default.
        """
        full = REPLY_PREFIX + (name if name is not None else str(next(self._reply_numbers)))
        if full in self._slots:
            raise ValueError(f"open_reply: {full!r} is open already")
        box = ReplyBox(full, lambda gone: self._slots.pop(gone, None))
        self._slots[full] = box
        return box

    def ask_future(self, address: Address[Any], message: Message) -> ReplyFuture:
        """Send, and hold the answer's future: done with the answer or with `AskFailed`. Cancel it to stop waiting."""
        box = self.open_reply()
        self.tell(address.name, message, reply_to=box.name)
        return box.future

    def ask(self, address: Address[Any], message: Message, timeout_s: float) -> Message:
        """Send from the edge and wait for the answer.

        Raises:
            BlockingCallError: called on an actor's thread.
            AskFailed: there is no answer and never will be: refused, the handler raised, the actor died.
            TimeoutError: no answer in time; the work may still be done later.
        """
        forbid_blocking("ask")
        box = self.open_reply()
        self.tell(address.name, message, reply_to=box.name)
        try:
            return self.await_reply(box, timeout_s)
        except TimeoutError:
            raise TimeoutError(
                f"{address.name} did not answer {type(message).__name__} within {timeout_s:g} s"
            ) from None
        finally:
            box.close()

    # Ends

    def ended(self, actor: Actor, death: BaseException | None) -> None:
        """An actor's loop is over: close its mailbox, answer for what is in it, and say so if it died."""
        cell = actor._cell
        cell.death = death
        cell.mailbox.close()
        self.timers.cancel_all(actor.name)
        self._leave(actor, Reason.LEFT if death is None else Reason.DEAD)
        cell.ended = True
        if death is None:
            return
        logger.error(
            "{} died: {}\n{}", actor.name, error_text(death, self.secrets), error_traceback(death, self.secrets)
        )
        if self.supervisor is not None and self.supervisor.name != actor.name:
            actor.tell_name(self.supervisor.name, ActorDied(actor.name, error_text(death, self.secrets)))

    def _leave(self, actor: Actor, reason: Reason) -> None:
        now = self.clock.monotonic()
        for envelope in actor._cell.mailbox.drain():
            if isinstance(envelope.message, Tick):
                self.tracer.record(envelope, None, now, Outcome.LATE)
                continue
            self.tracer.record(envelope, None, now, Outcome.DEAD)
            self.dead_letter(envelope, reason, NotDelivered(self._why_not(envelope, reason)))

    def _not_queued(self, envelope: Envelope, verdict: Verdict | None) -> bool:
        now = self.clock.monotonic()
        if verdict is Verdict.ANSWERED:
            # Nobody will take the envelope out of a reply box, so it is done.
            self.tracer.record(envelope, now, now, Outcome.DONE)
            return True
        if verdict is Verdict.MERGED:
            self.tracer.record(envelope, None, now, Outcome.MERGED)
            return True
        if verdict is Verdict.LATE or (verdict is None and envelope.to.startswith(REPLY_PREFIX)):
            self.tracer.record(envelope, None, now, Outcome.LATE)
            return False
        reason = _REFUSALS[verdict] if verdict is not None else Reason.UNKNOWN
        if reason is Reason.CLOSED and self._actors[envelope.to]._cell.death is not None:
            reason = Reason.DEAD
        self.tracer.record(envelope, None, now, Outcome.DEAD)
        self.dead_letter(envelope, reason, NotDelivered(self._why_not(envelope, reason)))
        self._report_refusal(envelope, reason)
        return False

    def _report_refusal(self, envelope: Envelope, reason: Reason) -> None:
        supervisor = self._actors.get(self.supervisor.name) if self.supervisor is not None else None
        if (
            supervisor is None
            or self._stopping
            or envelope.to == supervisor.name
            or isinstance(envelope.message, _NEVER_REPORTED)
            or MessageUndeliverable not in supervisor.protocol()
        ):
            return
        report = MessageUndeliverable(
            envelope.id, envelope.sender, envelope.to, envelope.message, envelope.correlation_id, reason.value
        )
        now = self.clock.monotonic()
        self.post(
            Envelope(
                self.next_id(),
                envelope.correlation_id,
                envelope.id,
                envelope.sender,
                supervisor.name,
                report,
                report.lane,
                now,
            )
        )

    def _why_not(self, envelope: Envelope, reason: Reason) -> str:
        text = f"{envelope.to} did not take {type(envelope.message).__name__}: {reason.value}"
        actor = self._actors.get(envelope.to)
        if actor is not None and actor._cell.death is not None:
            text += f" ({error_text(actor._cell.death, self.secrets)})"
        return text

    def _health(self, name: str, actor: Actor, now: float) -> ActorHealth:
        cell = actor._cell
        oldest = cell.mailbox.oldest_sent_at()
        envelope, since = cell.outbox.envelope, cell.since
        return ActorHealth(
            name=name,
            alive=not cell.ended,
            impaired=cell.impaired,
            died=error_text(cell.death, self.secrets) if cell.death is not None else None,
            depth=cell.mailbox.depth,
            oldest_age_s=None if oldest is None else max(0.0, now - oldest),
            in_hand=None if envelope is None else type(envelope.message).__name__,
            in_hand_s=None if since is None else max(0.0, now - since),
            handled=cell.handled,
            failures=cell.failures.total,
            restarts=cell.restarts,
        )
