"""Makes happen what goes wrong by a plan: to broker, network, disk and clock, and to the process itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

from core.messages.base import Message, Ping, Tick
from core.runtime.actor import Actor
from tests.simulation.disk import CommitMoment, DiskFault, DiskTrouble
from tests.simulation.event import Event
from tests.simulation.network import NetworkFault, NetworkTrouble
from tests.simulation.runtime import SimulatedRuntime

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["FaultInjector", "InjectedError"]

_INDIA = timezone(timedelta(hours=5, minutes=30))
_MORNING = time(9, 10)


class InjectedError(Exception):
    """Raised in a handler by the simulation; any other failure of an actor is the system's own."""


class FaultInjector:
    """Does what a plan's faults say.

    Args:
        world: Where.
    """

    def __init__(self, world: World) -> None:
        self.down_s = 1.0
        """How long no process runs once the present one has ended."""

        self.stop_wanted = False
        """The process is to be stopped cleanly, which only the outermost loop can do."""

        self.restarted_at_rest = False
        self._world = world
        self._bomb: tuple[int, CommitMoment] | None = None
        self._raises: dict[str, tuple[int, str]] = {}
        world.disk.on_commit = self._commit

    def happen(self, event: Event) -> None:
        """Make one fault happen."""
        family, _, what = event.kind.partition(":")
        actions: dict[str, Callable[[Event, str], None]] = {
            "broker": self._broker,
            "exchange": self._exchange,
            "network": self._network,
            "disk": self._disk,
            "crash": self._crash,
            "restart": self._restart,
            "second": self._second,
            "night": self._night,
            "clock": self._clock,
            "raise": self._raise,
            "freeze": self._freeze,
        }
        self._world.faults[event.kind] += 1
        actions[family](event, what)

    def heal(self) -> None:
        """Everything works from now on."""
        self._world.phone.control("clear_faults")
        self._world.network.troubles.clear()
        self._world.network.down_until = 0.0
        self._world.disk.troubles.clear()
        self._raises.clear()
        self._bomb = None

    def begin_process(self, runtime: SimulatedRuntime) -> None:
        """A new process: what was meant for a handler of the old one is forgotten."""
        self._raises.clear()
        self._bomb = None
        runtime.before_turn = self._before_turn

    # Outside

    def _broker(self, event: Event, what: str) -> None:
        self._world.phone.control("add_fault", kind=what, **dict(event.values))

    def _exchange(self, event: Event, _: str) -> None:
        """The broker's own process starts again: calls and sockets fail meanwhile, and nothing it took is lost."""
        world = self._world
        world.exchange.restart(world.outside_clock.now())
        world.network.down_until = world.clock.monotonic() + event.number("down_s")
        world.wire.cut()

    def _network(self, event: Event, what: str) -> None:
        trouble = NetworkTrouble(NetworkFault(what), str(event.value("path")), int(event.number("times")))
        self._world.network.troubles.append(trouble)

    def _disk(self, event: Event, what: str) -> None:
        trouble = DiskTrouble(DiskFault(what), str(event.value("where")), int(event.number("times")))
        self._world.disk.troubles.append(trouble)

    def _clock(self, event: Event, _: str) -> None:
        self._world.clock.step(event.number("seconds"))

    # The process

    def _crash(self, event: Event, moment: str) -> None:
        runtime = self._world.runtime
        if runtime is None:
            return
        self.down_s = event.number("down_s")
        if moment == CommitMoment.POWER:
            self._end(runtime, CommitMoment.POWER)
        elif moment:
            self._bomb = (int(event.number("commits")), CommitMoment(moment))
        else:
            self._end(runtime, CommitMoment.BEFORE)

    def _end(self, runtime: SimulatedRuntime, moment: CommitMoment) -> None:
        self._world.disk.crash(moment)
        runtime.crash()

    def _commit(self, moment: CommitMoment) -> None:
        """A commit begins or has ended: is it the one in which the process dies?"""
        runtime = self._world.runtime
        if self._bomb is None or runtime is None or runtime.down:
            return
        left, planned = self._bomb
        if moment is CommitMoment.BEFORE:
            left -= 1
            self._bomb = (left, planned)
        if left > 0 or (moment is CommitMoment.BEFORE) != (planned is CommitMoment.BEFORE):
            return
        self._bomb = None
        self._end(runtime, planned)

    def _restart(self, event: Event, _: str) -> None:
        if self._world.runtime is not None:
            self.down_s = event.number("down_s")
            self.stop_wanted = True

    def _second(self, _: Event, __: str) -> None:
        """A second service on the same record is refused, and told who holds it (scenario G16)."""
        if self._world.runtime is not None:
            self._world.start_a_second()

    def _night(self, event: Event, _: str) -> None:
        """The service is down from now until the next morning, stopped or killed."""
        runtime = self._world.runtime
        if runtime is None:
            return
        # The service may have been told that it is tomorrow already.
        ahead = self._world.clock.now() - self._world.outside_clock.now()
        self.down_s = _until_morning(self._world.outside_clock.now(), max(ahead, timedelta()))
        self._world.counts["nights"] += 1
        if event.value("clean"):
            self.stop_wanted = True
        else:
            self._end(runtime, CommitMoment.BEFORE)

    def _freeze(self, event: Event, _: str) -> None:
        if self._world.runtime is not None:
            self._world.runtime.freeze(str(event.value("actor")), event.number("seconds"))

    # Handlers that raise

    def _raise(self, event: Event, _: str) -> None:
        if event.value("actor") == "order_repo":
            # Before and after its statements a handler of OrderRepo does nothing that could fail.
            self._world.disk.troubles.append(DiskTrouble(DiskFault.ODD, "UPDATE", 1))
            return
        self._raises[str(event.value("actor"))] = (int(event.number("envelope")), str(event.value("when")))

    def _before_turn(self, actor: Actor) -> None:
        planned = self._raises.get(actor.name)
        if planned is None:
            return
        left, when = planned
        if left > 1:
            self._raises[actor.name] = (left - 1, when)
            return
        del self._raises[actor.name]
        # CommandService tells one thing, and nothing after it: there is no middle and no after.
        _spoil_next_envelope(actor, "before" if actor.name == "command_service" else when)


def _spoil_next_envelope(actor: Actor, when: str) -> None:
    """Let the actor's next handler raise before its work, after its work, or at the second thing it tells."""
    cell = actor._cell
    handlers = cell._handlers

    def spoilt(handler: Callable[[Any], object]) -> Callable[[Any], object]:
        def raising(message: Message) -> object:
            cell._handlers = handlers
            if when == "before":
                raise InjectedError("before its work")
            if when == "between":
                _tell_once(actor)
            handler(message)
            if when == "after":
                raise InjectedError("after its work")
            return None

        return raising

    cell._handlers = {kind: handler if kind in (Ping, Tick) else spoilt(handler) for kind, handler in handlers.items()}


def _tell_once(actor: Actor) -> None:
    """The handler raises when it tells something for the second time."""
    outbox = actor._cell.outbox
    send = outbox.send
    envelope = outbox.envelope
    told = 0

    def counting(to: str, message: Message, deadline: float | None) -> bool:
        nonlocal told
        if outbox.envelope is envelope:
            told += 1
        if outbox.envelope is envelope and told == 1:
            return send(to, message, deadline)
        vars(outbox).pop("send", None)
        if outbox.envelope is not envelope:
            return send(to, message, deadline)
        raise InjectedError("in the middle of its work")

    outbox.send = counting  # type: ignore[method-assign]


def _until_morning(now: datetime, ahead: timedelta) -> float:
    """Seconds to the next morning on which both the service's trading day and the broker's are other ones than now."""
    here = now.astimezone(_INDIA)
    morning = datetime.combine((here + ahead).date() + timedelta(days=1), _MORNING, _INDIA)
    return (morning - here).total_seconds()
