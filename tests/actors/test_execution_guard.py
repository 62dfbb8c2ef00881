"""Step 2B as an actor: a square-off goes on whatever happens to one of its steps (scenario D7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from actors.addresses import Addresses
from actors.execution_guard import ExecutionGuard
from core.messages import (
    AccountRead,
    Alert,
    CancelOrder,
    GetGuardSnapshot,
    GetGuardState,
    GuardSnapshot,
    GuardState,
    Message,
    SquareOff,
    SquareOffBegun,
    SubmitOrder,
)
from core.model.calendar import TradingCalendar
from core.model.order import Product, Source
from core.model.positions import Holding
from core.rules.square_off import SquareOffRun, Step
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON

HELD = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 50, None)


class Told(Actor):
    """Stands for whom ExecutionGuard tells."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(self, message: Alert | CancelOrder | GetGuardState | SubmitOrder | SquareOffBegun) -> None:
        self._kept.append(message)


class Harness:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        addresses = Addresses.of(self.runtime)
        for name in ("command_service", "order_repo", "notifier"):
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(ExecutionGuard, "execution_guard", addresses=addresses, calendar=TradingCalendar())
        self.say(GuardState((HELD,), (), ()))

    def say(self, message: Message) -> None:
        self.runtime.tell("execution_guard", message)
        self.runtime.run_until_idle()

    def exits(self) -> int:
        return sum(isinstance(message, SubmitOrder) for message in self.told)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.runtime.dead_letters.take()
    harness.runtime.stop()


@pytest.mark.parametrize("failing", ["begin", "step"])
def test_d7_a_square_off_whose_step_raises_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def raising(*_: object) -> Step:
        raise RuntimeError("planted")

    if failing == "step":
        harness.say(SquareOff("by hand", Source.DASHBOARD))
    before = harness.exits()
    with monkeypatch.context() as patch:
        patch.setattr(SquareOffRun, failing, raising)
        if failing == "begin":
            harness.say(SquareOff("by hand", Source.DASHBOARD))
        else:
            harness.runtime.advance(0.3)
    harness.say(GuardState((HELD,), (), ()))
    harness.runtime.advance(5.0)
    assert harness.exits() > before


def test_e10_when_positions_were_compared_is_shown_by_the_clock_on_the_wall(harness: Harness) -> None:
    harness.clock.step(3_600.0)
    steady = harness.clock.steady()
    harness.say(AccountRead((), (), (), steady, steady, harness.clock.now()))
    snapshot = harness.runtime.ask(harness.runtime.address("execution_guard"), GetGuardSnapshot(), 1.0)
    assert isinstance(snapshot, GuardSnapshot)
    assert snapshot.reconciled_at == NOON + timedelta(hours=1)
