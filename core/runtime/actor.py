"""The base of every actor: what it may do, and the hooks it may fill in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pykka

from core.messages.base import Message, Ping, Pong
from core.messages.envelope import Envelope
from core.runtime.address import Address
from core.runtime.cell import ActorCell
from core.runtime.clock import Clock
from core.runtime.current import working_for
from core.runtime.futures import GuardedFuture
from core.runtime.inbox import Inbox
from core.runtime.outbox import Unsent
from core.runtime.protocol import handlers_of

if TYPE_CHECKING:
    from core.runtime.runtime import Runtime

__all__ = ["Actor"]

M = TypeVar("M", bound=Message)


class Actor(pykka.ThreadingActor):
    """One mailbox, one owner of its state, one envelope at a time.

    Subclasses write handlers: methods named `on_…` with one parameter annotated with a `Message` type or a union of
    them. A handler tells; it never waits, sleeps, reads the wall clock or draws a random number by itself. An exception
    in it costs that one envelope: the envelope becomes a dead letter, the supervisor is told, the state is rebuilt,
    and the next envelope is taken.
    """

    batch_limit: ClassVar[int] = 1
    """How many envelopes, at most, are handled between one `batch_begin` and `batch_end`; 1: no batches."""

    hooks: ClassVar[frozenset[str]] = frozenset()
    """Names of `on_…` methods that are no handlers."""

    _protocol: ClassVar[Mapping[type[Message], str]] = {}

    actor_inbox: Inbox

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherited: dict[type[Message], str] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited.update(vars(base).get("_protocol", {}))
        hooks = frozenset().union(*(vars(base).get("hooks", ()) for base in cls.__mro__))
        cls._protocol = MappingProxyType(handlers_of(cls, inherited, hooks))

    def __init__(self, runtime: Runtime, name: str) -> None:
        """Runs in the spawning thread: keep arguments, open nothing. Resources are opened in `started`."""
        self.runtime = runtime
        """Where it lives."""

        self.name = name
        """Its name, and its address."""

        self.clock: Clock = runtime.clock
        """Time and chance."""

        super().__init__()
        # Pykka draws a random one; a name is enough, and the same in every run.
        self.actor_urn = f"actor:{name}"
        self._actor_ref = pykka.ActorRef(self)
        self._cell = ActorCell(self, runtime, self.actor_inbox.mailbox)

    @classmethod
    def protocol(cls) -> Mapping[type[Message], str]:
        """The message types it understands, and the names of the methods that handle them."""
        return cls._protocol

    # Hooks

    def started(self) -> None:
        """In the actor's thread, before the first envelope. If it raises, the actor dies and its barrier fails."""

    def stopping(self) -> None:
        """In the actor's thread, after the last envelope."""

    def rebuild(self) -> None:
        """After a handler raised: make the state sound again, in place. If it raises, the actor is impaired.

        An impaired actor handles nothing but pings, since it would act on a state it cannot trust. Before each further
        envelope, and on a timer, `rebuild` is tried again, at most once per `FailureLimits.rebuild_retry_s`.
        """

    def handler_failed(self, envelope: Envelope) -> None:
        """The handler of `envelope` raised; before `rebuild`. The default leaves it at the report and the dead letter.

        For what must not be lost with it, such as a question whose asker handles nothing until it is answered.
        """

    def before_batch(self) -> None:
        """Before `batch_begin`: what is told here is sent at once. If it raises, the batch fails before it began."""

    @property
    def batch(self) -> Sequence[Envelope]:
        """The envelopes of the batch in hand; none outside one."""
        return self._cell.taken

    def batch_begin(self) -> None:
        """Before the first envelope of a batch."""

    def batch_end(self) -> None:
        """After the last envelope of a batch; once it returns, what was told since `batch_begin` is sent."""

    def batch_failed(self, envelopes: tuple[Envelope, ...], error: BaseException) -> None:
        """A batch hook raised, or a handler `AbortBatch`: what was told is discarded, the state has been rebuilt.

        What is told here is sent at once; wrap it in `answering(envelope)` to tell it as an effect of that envelope.
        The default gives each envelope up: a dead letter, and an `ActorFailed` to the supervisor.

        Args:
            envelopes: all of the batch but those whose handlers raised, which were dealt with one by one.
            error: what was raised.
        """
        self._cell.give_up(envelopes, error)

    def unsent(self) -> Unsent:
        """In `batch_failed`: what the batch had told, which was not sent."""
        return self._cell.unsent

    def send_unsent(self, unsent: Unsent) -> None:
        """Send what a failed batch had told after all: what it did turned out to stand."""
        self._cell.outbox.post(unsent)

    # What an actor may do

    def tell(self, address: Address[M], message: M, deadline: float | None = None) -> bool:
        """Send a message. Never raises and never waits.

        Args:
            address: whom to.
            message: what.
            deadline: monotonic seconds after which the message is of no use any more. It is carried with the envelope;
                the addressee decides (`overdue`).

        Returns:
            False if it was refused, and so became a dead letter. In a batch the answer is True, since it is sent later.
        """
        return self._cell.outbox.send(address.name, message, deadline)

    def tell_name(self, name: str, message: Message, deadline: float | None = None) -> bool:
        """Send to a name that came as text, such as the name of a reply box. As `tell`."""
        return self._cell.outbox.send(name, message, deadline)

    def knows(self, name: str) -> bool:
        """Whether an actor or an open reply box of this name takes envelopes now."""
        return self.runtime.knows(name)

    def reply(self, message: Message) -> bool:
        """Answer the envelope in hand, if it was asked; otherwise this is only traced.

        Returns:
            Whether somebody had asked and was still waiting.
        """
        reply_to = self.envelope.reply_to
        if reply_to is None:
            self._cell.outbox.unasked(message)
            return False
        return self._cell.outbox.send(reply_to, message, None)

    @property
    def envelope(self) -> Envelope:
        """The envelope in hand.

        Raises:
            RuntimeError: there is none (in `started`, `stopping` and the batch hooks).
        """
        envelope = self._cell.outbox.envelope
        if envelope is None:
            raise RuntimeError(f"{self.name} has no envelope in hand")
        return envelope

    @property
    def overdue(self) -> bool:
        """Whether the envelope in hand has a deadline that has passed."""
        deadline = self.envelope.deadline
        return deadline is not None and self.clock.monotonic() > deadline

    @contextmanager
    def answering(self, envelope: Envelope) -> Iterator[None]:
        """Within the block, what is told is an effect of `envelope`, and `reply` answers it.

        For work done later than its envelope: after a batch failed, or when a kept envelope's turn has come.
        """
        before, self._cell.outbox.envelope = self._cell.outbox.envelope, envelope
        try:
            yield
        finally:
            self._cell.outbox.envelope = before

    def every(self, key: str, seconds: float) -> None:
        """Receive a `Tick` of this key every `seconds`, the first in `seconds`; replaces a timer of the same key."""
        self.runtime.timers.arm(self.name, key, seconds, repeat=True)

    def after(self, key: str, seconds: float) -> None:
        """Receive one `Tick` of this key in `seconds`; replaces a timer of the same key."""
        self.runtime.timers.arm(self.name, key, seconds, repeat=False)

    def cancel(self, key: str) -> None:
        """Forget a timer; a tick of it that waits already will not be handled."""
        self.runtime.timers.cancel(self.name, key)

    def wait_for(self, *message_types: type[Message], dropping: Collection[type[Message]] = ()) -> None:
        """Handle nothing but these types and pings, until one of these has been handled.

        What comes meanwhile, ticks too, is set aside and then handled in its old order, before anything newer. A
        handler that raises waits for nothing, whatever it had asked for; `rebuild` may ask again.

        Args:
            message_types: any one of them ends the waiting.
            dropping: types that what is waited for will include: they are dropped meanwhile, and traced as such.
        """
        self._cell.wait_for(frozenset(message_types), frozenset(dropping))

    def on_ping(self, _: Ping) -> None:
        """I am here."""
        self.reply(Pong(self.name))

    # Pykka's side

    def _handle_receive(self, message: Any) -> Any:
        # Before Pykka's own, which asks four questions about messages that are never sent here.
        if type(message) is not Envelope:
            return super()._handle_receive(message)
        try:
            self._cell.take(message)
        except BaseException as error:
            # The failure policy itself broke. Raising would make Pykka stop every actor of the process.
            self._cell.broke(message, error)
        return None

    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]  # static in Pykka; ours is the runtime's choice
        return Inbox(self.runtime.make_mailbox(self.name))

    @staticmethod
    def _create_future() -> GuardedFuture:
        return GuardedFuture()

    def _start_actor_loop(self) -> None:
        self.runtime.start_loop(self)

    def _actor_loop(self) -> None:
        with working_for(self):
            try:
                super()._actor_loop()
            except BaseException as error:
                # Death watch: nothing below may end the loop without a word, and Pykka's on_failure does not see all.
                self._cell.death = self._cell.death or error
            self.runtime.ended(self, self._cell.death)

    def _actor_loop_setup(self) -> None:
        try:
            self.started()
        except BaseException as error:
            self._cell.death = error
            self.actor_stopped.set()

    def _actor_loop_teardown(self) -> None:
        if self._cell.death is None:
            try:
                self.stopping()
            except BaseException as error:
                self._cell.death = error
        super()._actor_loop_teardown()

    def _stop(self) -> None:
        # Not Pykka's: it would take the actor off Pykka's process-wide registry, where it never was, and call on_stop,
        # a name that subclasses may give another meaning.
        self.actor_stopped.set()


Actor._protocol = MappingProxyType(handlers_of(Actor, {}, frozenset()))
