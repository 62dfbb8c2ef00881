"""What happens to an envelope once an actor has it in hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loguru import logger

from core.messages.base import (
    ActorDied,
    ActorFailed,
    BatchEnd,
    Message,
    MessageUndeliverable,
    Ping,
    Tick,
)
from core.messages.envelope import Envelope
from core.runtime.deadletters import Reason
from core.runtime.errors import AbortBatch, HandlerFailed, NotDelivered, OutOfReach, UnknownMessage
from core.runtime.failures import FailureWindow, error_text, error_traceback
from core.runtime.outbox import Outbox, Unsent
from core.runtime.trace import Outcome

if TYPE_CHECKING:
    from core.runtime.actor import Actor
    from core.runtime.mailbox import Mailbox
    from core.runtime.runtime import Runtime

__all__ = ["ActorCell"]

_REBUILD = "runtime:rebuild"
_DONE = Outcome.DONE
# A failure on one of these is logged and a dead letter, but not reported: the report could fail the same way for ever.
_UNREPORTED = (ActorFailed, ActorDied, MessageUndeliverable)


class ActorCell:
    """Runs the handlers of one actor: dispatch, batches, stashing, and the one failure policy.

    Used by the actor's own thread alone. Other threads read its plain attributes.
    """

    def __init__(self, actor: Actor, runtime: Runtime, mailbox: Mailbox) -> None:
        self.outbox = Outbox(actor.name, runtime)
        self.since: float | None = None
        self.handled = 0
        self.finished = 0
        self.restarts = 0
        self.failures = FailureWindow(runtime.limits)
        self.impaired: str | None = None
        self.death: BaseException | None = None
        self.ended = False
        self.unsent: Unsent = ()
        self.mailbox = mailbox
        self._actor = actor
        self._runtime = runtime
        self._name = actor.name
        self._monotonic = runtime.clock.monotonic
        self._append = runtime.tracer.append
        self._handlers: dict[type[Message], Callable[[Any], object]] = {
            kind: getattr(actor, name) for kind, name in actor.protocol().items()
        }
        self._on_tick = self._handlers.get(Tick)
        self._handlers[Tick] = self._tick
        self._outcome = Outcome.DONE
        self.take: Callable[[Envelope], None] = self._take_batch if actor.batch_limit > 1 else self._work
        """Handles an envelope, and what stands in the mailbox behind it if the actor works in batches."""

        self.taken: list[Envelope] = []
        """The envelopes of the batch in hand."""
        self._batch: list[tuple[Envelope, float, float]] | None = None
        self._awaiting: frozenset[type[Message]] | None = None
        self._dropping: frozenset[type[Message]] = frozenset()
        self._answered = False
        self._rebuild_due = 0.0
        # True while waiting for a type or impaired: keeps the way of an ordinary envelope free of further questions.
        self._unusual = False

    # Taking envelopes

    def broke(self, envelope: Envelope, error: BaseException) -> None:
        """Handling `envelope` failed in a way the failure policy could not deal with: the end of this actor."""
        self.death = error
        self._actor.actor_stopped.set()
        now = self._monotonic()
        for lost in self.taken or [envelope]:
            self._append((lost, None, now, Outcome.DEAD))
            self._runtime.dead_letter(
                lost, Reason.DEAD, NotDelivered(f"{self._name} died: {error_text(error, self._runtime.secrets)}")
            )

    def wait_for(self, kinds: frozenset[type[Message]], dropping: frozenset[type[Message]]) -> None:
        """Set envelopes of all other types aside, or drop them, until one of `kinds` was handled."""
        self._awaiting, self._dropping = kinds, dropping
        self._unusual = True

    def _work(self, envelope: Envelope) -> None:
        message = envelope.message
        kind = type(message)
        if self._unusual and self._detained(envelope, kind):
            return
        self.outbox.envelope = envelope
        self.outbox.told = message.traced
        taken = self.since = self._monotonic()
        self._outcome = _DONE
        try:
            handler = self._handlers.get(kind)
            if handler is None:
                raise UnknownMessage(f"{self._name} has no handler for {kind.__name__}")
            handler(message)
        except BaseException as error:
            if self._batch is not None and isinstance(error, AbortBatch):
                raise
            self._failed(envelope, taken, error)
        else:
            if not self.outbox.told:
                # Prices would fill the trace within the hour; one that made a strategy send an order is kept.
                self.finished += 1
            elif self._batch is None or self._outcome is not _DONE or kind is Ping:
                self._append((envelope, taken, self._monotonic(), self._outcome))
                self.finished += 1
            else:
                self._batch.append((envelope, taken, self._monotonic()))
        self.outbox.envelope = self.since = None
        self.handled += 1
        if self._unusual:
            self._settle()

    def _tick(self, tick: Tick) -> None:
        timers = self._runtime.timers
        if not timers.is_current(self._name, tick):
            self._outcome = Outcome.CANCELLED
            return
        try:
            if tick.key == _REBUILD:
                return
            if self._on_tick is None:
                raise UnknownMessage(f"{self._name} has no handler for Tick")
            self._on_tick(tick)
        finally:
            timers.handled(self._name, tick)

    # Waiting for something else

    def _detained(self, envelope: Envelope, kind: type[Message]) -> bool:
        if kind is Ping:
            return False
        if self.impaired is not None and not self._healed():
            self._refuse(envelope)
            return True
        if self._awaiting is None:
            return False
        if kind in self._awaiting:
            self._awaiting = None
            self._answered = True
            return False
        if kind in self._dropping:
            self._dismiss(envelope, Outcome.DROPPED)
        else:
            self.mailbox.set_aside(envelope)
        return True

    def _settle(self) -> None:
        if self._answered and self._awaiting is None:
            self._answered = False
            self.mailbox.restore()
        self._unusual = self._awaiting is not None or self.impaired is not None

    # Batches

    def _take_batch(self, first: Envelope) -> None:
        envelopes = self._gather(first)
        if not envelopes:
            return
        self._batch, self.taken = [], envelopes
        error: BaseException | None = None
        waiting = deque(envelopes)
        try:
            self._actor.before_batch()
            self.outbox.hold()
            self._actor.batch_begin()
            while waiting:
                self.outbox.mark()
                self._work(waiting[0])
                waiting.popleft()
            self._actor.batch_end()
        except BaseException as caught:
            error = caught
            now = self._monotonic()
            self._batch += [(envelope, now, now) for envelope in waiting]
            self.outbox.envelope = self.since = None
        batch, self._batch = self._batch, None
        if error is not None:
            self.unsent = self.outbox.discard()
            self._batch_failed(batch, error)
            self.unsent = ()
        else:
            self.outbox.release()
            for envelope, taken, done in batch:
                self._append((envelope, taken, done, Outcome.DONE))
        self.taken = []
        self.finished += len(batch)

    def _gather(self, first: Envelope) -> list[Envelope]:
        envelopes: list[Envelope] = []
        envelope: Envelope | None = first
        while envelope is not None:
            # A ping asks for the thread, not for the work: it is answered outside the batch, whatever becomes of that.
            if type(envelope.message) is Ping:
                self._work(envelope)
            else:
                envelopes.append(envelope)
            envelope = self.mailbox.take() if len(envelopes) < self._actor.batch_limit else None
        return envelopes

    def _batch_failed(self, batch: list[tuple[Envelope, float, float]], error: BaseException) -> None:
        for envelope, taken, done in batch:
            self._append((envelope, taken, done, Outcome.FAILED))
        envelopes = tuple(envelope for envelope, _, _ in batch)
        if not isinstance(error, OutOfReach):
            self._report(None, BatchEnd(len(envelopes)), error)
            self._rebuild()
        try:
            self._actor.batch_failed(envelopes, error)
        except BaseException as caught:
            self._report(None, BatchEnd(len(envelopes)), caught)
            self.give_up(envelopes, error)

    def give_up(self, envelopes: tuple[Envelope, ...], error: BaseException) -> None:
        """The end of envelopes whose batch failed, unless the actor knows better: dead letters, each one reported."""
        for envelope in envelopes:
            self._runtime.dead_letter(envelope, Reason.FAILED, HandlerFailed(error_text(error, self._runtime.secrets)))
            self._tell_supervisor(envelope, envelope.message, error, len(envelopes), escalate=False)

    # Failures

    def _failed(self, envelope: Envelope, taken: float, error: BaseException) -> None:
        self.outbox.take_back()
        self._append((envelope, taken, self._monotonic(), Outcome.FAILED))
        self._runtime.dead_letter(envelope, Reason.FAILED, HandlerFailed(error_text(error, self._runtime.secrets)))
        self._report(envelope, envelope.message, error)
        # What the handler meant to wait for it may never have asked for.
        self._answered = self._answered or self._awaiting is not None
        self._awaiting = None
        try:
            self._actor.handler_failed(envelope)
        except BaseException as caught:
            self._report(envelope, envelope.message, caught)
        self._rebuild()
        self._unusual = True
        # Last: until its failure was reported, the envelope is not over.
        self.finished += 1

    def _report(self, envelope: Envelope | None, message: Message, error: BaseException) -> None:
        count, escalate = self.failures.add(self._monotonic())
        logger.error(
            "{} failed on {} (envelope {}, command {}): {}{}\n{}",
            self._name,
            type(message).__name__,
            envelope.id if envelope else "-",
            envelope.correlation_id if envelope else "-",
            error_text(error, self._runtime.secrets),
            f"; {count} failures within {self._runtime.limits.window_s:g} s: escalated" if escalate else "",
            error_traceback(error, self._runtime.secrets),
        )
        self._tell_supervisor(envelope, message, error, count, escalate=escalate)

    def _tell_supervisor(
        self, envelope: Envelope | None, message: Message, error: BaseException, failures: int, *, escalate: bool
    ) -> None:
        supervisor = self._runtime.supervisor
        if supervisor is None or isinstance(message, _UNREPORTED):
            return
        report = ActorFailed(
            actor=self._name,
            envelope_id=envelope.id if envelope else "",
            message=message,
            command_id=envelope.correlation_id if envelope else None,
            error=error_text(error, self._runtime.secrets),
            traceback=error_traceback(error, self._runtime.secrets),
            failures=failures,
            poisoned=envelope is not None,
            escalate=escalate,
        )
        self.outbox.send_now(supervisor.name, report, envelope)

    def _rebuild(self) -> None:
        try:
            self._actor.rebuild()
        except BaseException as error:
            self._rebuild_due = self._monotonic() + self._runtime.limits.rebuild_retry_s
            if self.impaired is None:
                logger.error(
                    "{} is impaired, its state could not be rebuilt: {}\n{}",
                    self._name,
                    error_text(error, self._runtime.secrets),
                    error_traceback(error, self._runtime.secrets),
                )
                self._runtime.timers.arm(self._name, _REBUILD, self._runtime.limits.rebuild_retry_s, repeat=True)
            self.impaired = error_text(error, self._runtime.secrets)
            self._unusual = True
            return
        self.restarts += 1
        if self.impaired is not None:
            self.impaired = None
            self._runtime.timers.cancel(self._name, _REBUILD)
            logger.info("{} is no longer impaired", self._name)

    def _healed(self) -> bool:
        if self._monotonic() >= self._rebuild_due:
            self._rebuild()
        return self.impaired is None

    def _refuse(self, envelope: Envelope) -> None:
        message = envelope.message
        if isinstance(message, Tick):
            # It comes again, or rebuild() arms it anew; it is nobody's order.
            self._dismiss(envelope, Outcome.CANCELLED)
        else:
            error = NotDelivered(f"{self._name} is impaired: {self.impaired}")
            self._runtime.dead_letter(envelope, Reason.IMPAIRED, error)
            self._tell_supervisor(envelope, message, error, self.failures.total, escalate=False)
            self._dismiss(envelope, Outcome.DEAD)

    def _dismiss(self, envelope: Envelope, outcome: Outcome) -> None:
        now = self._monotonic()
        if isinstance(envelope.message, Tick):
            self._runtime.timers.handled(self._name, envelope.message)
        self._append((envelope, now, now, outcome))
        self.finished += 1
