"""The failure policy: who is halted when an actor fails, and what a person is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.addresses import Addresses
from actors.supervisor import Supervisor
from core.messages import ActorDied, ActorFailed, Alert, HaltStrategy, Message, OrderAbandoned, SetHalt, Tick
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON


class Told(Actor):
    """Stands for the rest of the actors, and keeps what it is told."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[tuple[str, Message]]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(self, message: Alert | HaltStrategy | OrderAbandoned | SetHalt) -> None:
        self._kept.append((self.name, message))


class Harness:
    """A supervisor, and what it told whom."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Message]] = []
        self.runtime = StepRuntime(VirtualClock(NOON))
        addresses = Addresses.of(self.runtime)
        for name in ("order_repo", "risk_manager", "notifier"):
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(Supervisor, "supervisor", addresses=addresses)
        self.runtime.run_until_idle()

    def hears(self, message: Message) -> list[tuple[str, Message]]:
        self.told.clear()
        self.runtime.tell("supervisor", message)
        self.runtime.run_until_idle()
        return list(self.told)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.runtime.stop()


def failed(actor: str, *, escalate: bool, command_id: str | None = "261123-tests-1") -> ActorFailed:
    return ActorFailed(actor, "x:1", Tick("again", 0, 1), command_id, "ValueError: planted", "", 6, True, escalate)


def kinds(told: list[tuple[str, Message]]) -> list[tuple[str, str]]:
    return [(name, type(message).__name__) for name, message in told]


def test_e4_an_actor_on_the_way_of_orders_gives_its_order_an_outcome_and_a_person_is_told(harness: Harness) -> None:
    told = harness.hears(failed("trading_bot", escalate=False))
    assert kinds(told) == [("order_repo", "OrderAbandoned"), ("notifier", "Alert")]


def test_e4_an_actor_on_the_way_of_orders_that_keeps_failing_halts_trading(harness: Harness) -> None:
    told = harness.hears(failed("trading_bot", escalate=True))
    assert ("order_repo", "SetHalt") in kinds(told)


def test_e9_a_strategy_that_fails_strands_no_order(harness: Harness) -> None:
    assert kinds(harness.hears(failed("strategy:alpha", escalate=False))) == [("notifier", "Alert")]


def test_e9_a_strategy_that_keeps_failing_halts_itself_alone(harness: Harness) -> None:
    told = harness.hears(failed("strategy:alpha", escalate=True))
    assert told == [("risk_manager", HaltStrategy("alpha", "it keeps failing: ValueError: planted"))]


def test_e9_a_strategy_that_died_halts_itself_alone(harness: Harness) -> None:
    told = harness.hears(ActorDied("strategy:alpha", "MemoryError"))
    assert kinds(told) == [("notifier", "Alert"), ("risk_manager", "HaltStrategy")]


def test_e4_an_actor_on_the_way_of_orders_that_died_halts_trading(harness: Harness) -> None:
    told = harness.hears(ActorDied("order_repo", "MemoryError"))
    assert kinds(told) == [("notifier", "Alert"), ("order_repo", "SetHalt")]
