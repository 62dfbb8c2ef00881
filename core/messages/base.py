"""What a message is, and the messages the runtime itself sends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

__all__ = [
    "ActorDied",
    "ActorFailed",
    "BatchEnd",
    "Lane",
    "Message",
    "MessageUndeliverable",
    "Ping",
    "Pong",
    "Tick",
]


class Lane(IntEnum):
    """The order of service inside one mailbox: the lower number first, first come first served inside a lane."""

    CONTROL = 0
    """Ticks, pings, failures, external fills, doubted exits. Has room beyond the bound: no flood can silence it."""

    URGENT = 1
    """What takes risk away: exits and cancels."""

    NORMAL = 2
    """Everything else."""

    READ = 3
    """What may wait: reads of the book, of positions, of quotes."""


class Message:
    """The base of every message: a frozen dataclass with slots that carries values, never live objects."""

    __slots__ = ()

    shown: ClassVar[frozenset[str]] = frozenset()
    """Fields printed in traces although their names look like secrets (see `core.runtime.redaction`)."""

    if TYPE_CHECKING:
        # Declared as properties so that a subclass may use either a class variable or a property of its own; at run
        # time plain class attributes, because a property costs 0.1 µs on each send.
        @property
        def lane(self) -> Lane:
            """The lane of the addressee's mailbox; `Lane.NORMAL` unless a subclass says otherwise."""

        @property
        def conflation_key(self) -> str | None:
            """While an envelope with this key and this sender waits, a further one is merged into it; None: never."""

        @property
        def traced(self) -> bool:
            """Whether the trace keeps each envelope with it, or only one whose handling led to others that it keeps."""

        @property
        def carries_on(self) -> bool:
            """Part of work that was taken in already: accepted beyond the bound, which is there to refuse new work."""

    else:
        lane = Lane.NORMAL
        conflation_key = None
        traced = True
        carries_on = False


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Are you there? Every actor answers `Pong`, also while it waits for something else."""

    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """The answer to `Ping`: `started()` is over and the actor's thread takes envelopes."""

    name: str
    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class Tick(Message):
    """A timer of the actor has come due.

    In the CONTROL lane: there is at most one of a key, so ticks cannot flood; and a watchdog or a deadline that stood
    behind the flood it is to notice would be of no use.
    """

    key: str
    """The key given to `every` or `after`."""

    missed: int
    """How many ticks of this key came due and were not sent, since the one before was still waiting or in hand."""

    generation: int
    """Which arming of the timer this tick belongs to; the base class drops a tick whose timer was cancelled."""

    lane: ClassVar[Lane] = Lane.CONTROL
    shown: ClassVar[frozenset[str]] = frozenset({"key"})


@dataclass(frozen=True, slots=True)
class ActorFailed(Message):
    """A handler raised; the actor lives on, the envelope will not be handled again."""

    actor: str
    envelope_id: str
    """Empty where no single envelope is to blame (`BatchEnd`)."""

    message: Message
    """What was being handled; `BatchEnd` where it was no single envelope."""

    command_id: str | None
    """The command the envelope belonged to: its order needs an outcome."""

    error: str
    traceback: str
    failures: int
    """Failures of this actor within the runtime's window, this one included."""

    poisoned: bool
    """The envelope was given up for good. False only where there is no envelope."""

    escalate: bool = False
    """More failures than the runtime allows within its window: halt new orders and call a person."""

    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class ActorDied(Message):
    """An actor's thread has ended without being asked to; its mailbox is closed, what stood in it are dead letters."""

    actor: str
    reason: str
    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class MessageUndeliverable(Message):
    """An envelope was refused. Told to the supervisor if it has a handler for this type."""

    envelope_id: str
    sender: str
    to: str
    message: Message
    command_id: str | None
    reason: str
    lane: ClassVar[Lane] = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class BatchEnd(Message):
    """Never sent: stands for `batch_begin()` or `batch_end()` in an `ActorFailed`."""

    envelopes: int
