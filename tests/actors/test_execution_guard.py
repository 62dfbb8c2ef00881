"""Step 2B as an actor: a square-off goes on whatever happens to one of its steps (scenario D7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from actors.cast import Cast
from actors.execution_guard import ExecutionGuard
from core.calendar import TradingCalendar
from core.flattening import Flattening, Step
from core.messages import (
    AccountRead,
    Alert,
    CancelOrder,
    GuardSnapshot,
    GuardSnapshotWanted,
    GuardState,
    GuardStateWanted,
    Holding,
    Message,
    SquareOff,
    SquareOffBegun,
    SubmitOrder,
)
from core.order import Product, Source
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.making import NOON

HELD = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 50, None)


class Told(Actor):
    """Stands for whom ExecutionGuard tells."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(self, message: Alert | CancelOrder | GuardStateWanted | SubmitOrder | SquareOffBegun) -> None:
        self._kept.append(message)


class Stage:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        cast = Cast.of(self.runtime)
        for name in ("command_service", "order_repo", "notifier"):
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(ExecutionGuard, "execution_guard", cast=cast, calendar=TradingCalendar())
        self.say(GuardState((HELD,), (), ()))

    def say(self, message: Message) -> None:
        self.runtime.tell("execution_guard", message)
        self.runtime.run_until_idle()

    def exits(self) -> int:
        return sum(isinstance(message, SubmitOrder) for message in self.told)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.runtime.dead_letters.take()
    stage.runtime.stop()


@pytest.mark.parametrize("failing", ["begin", "step"])
def test_d7_a_square_off_whose_step_raises_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def raising(*_: object) -> Step:
        raise RuntimeError("planted")

    if failing == "step":
        stage.say(SquareOff("by hand", Source.DASHBOARD))
    before = stage.exits()
    with monkeypatch.context() as patch:
        patch.setattr(Flattening, failing, raising)
        if failing == "begin":
            stage.say(SquareOff("by hand", Source.DASHBOARD))
        else:
            stage.runtime.advance(0.3)
    stage.say(GuardState((HELD,), (), ()))
    stage.runtime.advance(5.0)
    assert stage.exits() > before


def test_e10_when_positions_were_compared_is_shown_by_the_clock_on_the_wall(stage: Stage) -> None:
    stage.clock.step(3_600.0)
    steady = stage.clock.steady()
    stage.say(AccountRead((), (), (), steady, steady, stage.clock.now()))
    snapshot = stage.runtime.ask(stage.runtime.address("execution_guard"), GuardSnapshotWanted(), 1.0)
    assert isinstance(snapshot, GuardSnapshot)
    assert snapshot.reconciled_at == NOON + timedelta(hours=1)
