"""Messages and actors that the tests of the runtime share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, TypeVar, cast

from core.runtime import (
    Actor,
    ActorDied,
    ActorFailed,
    FailureLimits,
    Lane,
    Message,
    MessageUndeliverable,
    Runtime,
    StepRuntime,
    SystemClock,
    ThreadRuntime,
    VirtualClock,
)
from tests.support import wait_until

START = datetime(2024, 1, 15, 4, 0, tzinfo=UTC)
A = TypeVar("A", bound=Actor)
LIMITS = FailureLimits(max_failures=3, window_s=60.0, rebuild_retry_s=0.5)


@dataclass(frozen=True, slots=True)
class Note(Message):
    number: int


@dataclass(frozen=True, slots=True)
class Step(Message):
    """Carries on work that was taken in already."""

    number: int
    carries_on: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Work(Message):
    command_id: str


@dataclass(frozen=True, slots=True)
class Boom(Message):
    error: BaseException


@dataclass(frozen=True, slots=True)
class Question(Message):
    text: str = "?"


@dataclass(frozen=True, slots=True)
class Answer(Message):
    text: str = "!"


@dataclass(frozen=True, slots=True)
class Hold(Message):
    """Keeps the actor busy until the gate is opened."""

    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class Urgent(Message):
    number: int
    lane: ClassVar[Lane] = Lane.URGENT


@dataclass(frozen=True, slots=True)
class Read(Message):
    number: int
    lane: ClassVar[Lane] = Lane.READ


@dataclass(frozen=True, slots=True)
class Control(Message):
    number: int
    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class Quote(Message):
    """Merged by symbol; urgent if said so."""

    symbol: str
    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str | None:
        return self.symbol


class Scribe(Actor):
    """Writes down what it gets, fails when told to, can be held up."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.seen: list[Message] = []
        self.gate = threading.Event()
        self.rebuilt = 0

    def rebuild(self) -> None:
        self.rebuilt += 1

    def on_any(self, message: Note | Work | Urgent | Read | Control | Quote) -> None:
        self.seen.append(message)

    def on_boom(self, message: Boom) -> None:
        raise message.error

    def on_hold(self, _: Hold) -> None:
        self.gate.wait(5)

    def on_question(self, message: Question) -> None:
        self.seen.append(message)
        self.reply(Answer(message.text))


class Watchman(Actor):
    """A supervisor that writes down what it is told."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.failed: list[ActorFailed] = []
        self.died: list[ActorDied] = []
        self.refused: list[MessageUndeliverable] = []

    def on_failed(self, message: ActorFailed) -> None:
        self.failed.append(message)

    def on_died(self, message: ActorDied) -> None:
        self.died.append(message)

    def on_refused(self, message: MessageUndeliverable) -> None:
        self.refused.append(message)


class Harness:
    """A runtime and a way to let it come to rest, alike for threads and steps."""

    def __init__(self, runtime: ThreadRuntime | StepRuntime) -> None:
        self.runtime = runtime

    def spawn(self, actor_class: type[A], name: str, *args: object) -> A:
        """Spawn an actor and return it, so that the test can look at its state once all is at rest."""
        self.runtime.spawn(actor_class, name, *args)
        return cast("A", self.runtime._actors[name])

    def tell(self, name: str, *messages: Message) -> None:
        """Tell an actor things from the edge, in order."""
        for message in messages:
            self.runtime.tell(name, message)

    def supervise(self) -> Watchman:
        """Spawn a supervisor that writes down what it is told."""
        watchman = self.spawn(Watchman, "watchman")
        self.runtime.supervisor = self.runtime.address("watchman")
        return watchman

    def settle(self) -> None:
        """Until no envelope waits or is in hand anywhere."""
        if isinstance(self.runtime, StepRuntime):
            self.runtime.run_until_idle()
        else:
            assert self.runtime.wait_idle(5), self.runtime.health()

    def settle_aside(self, name: str, count: int) -> None:
        """Until an actor has nothing to do but to wait, with `count` envelopes set aside."""
        if isinstance(self.runtime, StepRuntime):
            self.runtime.run_until_idle()
        mailbox = self.runtime._actors[name].actor_inbox.mailbox
        wait_until(lambda: len(mailbox._aside) == count and mailbox.depth == count)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        assert isinstance(self.runtime, StepRuntime)
        self.runtime.advance(seconds)

    def until(self, predicate: Callable[[], object]) -> None:
        """Until something holds: at rest, or within real seconds."""
        if isinstance(self.runtime, StepRuntime):
            self.runtime.run_until_idle()
            assert predicate()
        else:
            wait_until(predicate)


def threads(mailbox_capacity: int = 10_000) -> ThreadRuntime:
    return ThreadRuntime(SystemClock(), mailbox_capacity=mailbox_capacity, limits=LIMITS)


class _OneForAll(dict[str, str]):
    """Assigns every actor to one dispatcher."""

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, _: str) -> str:
        return "shared"


def shared(mailbox_capacity: int = 10_000) -> ThreadRuntime:
    return ThreadRuntime(SystemClock(), mailbox_capacity=mailbox_capacity, limits=LIMITS, dispatchers=_OneForAll())


def steps(mailbox_capacity: int = 10_000) -> StepRuntime:
    return StepRuntime(VirtualClock(START, seed=7), mailbox_capacity=mailbox_capacity, limits=LIMITS)
