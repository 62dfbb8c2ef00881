"""Step 2A as an actor: how old the P&L is does not depend on who sets the machine's clock (scenario D8)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from actors.addresses import Addresses
from actors.risk_manager import RiskManager
from core.messages import (
    Alert,
    CheckRisk,
    EndSquareOff,
    GetRiskSnapshot,
    GetRiskState,
    HaltChanged,
    HaltStrategy,
    Message,
    PositionsRead,
    RiskBlocked,
    RiskPassed,
    RiskSnapshot,
    RiskState,
    SaveMaxLossMark,
    SetHalt,
    SquareOff,
)
from core.model.calendar import TradingCalendar, trading_day
from core.model.risk_state import Halt
from core.rules.risk import RiskBook, RiskLimits
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, an_order


class Told(Actor):
    """Stands for whom RiskManager tells."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: Alert | EndSquareOff | RiskPassed | RiskBlocked | GetRiskState | SaveMaxLossMark | SetHalt | SquareOff,
    ) -> None:
        self._kept.append(message)


class Harness:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        addresses = Addresses.of(self.runtime)
        for name in ("trading_bot", "order_repo", "notifier", "execution_guard"):
            self.runtime.spawn(Told, name, kept=self.told)
        limits = RiskLimits(pnl_max_age_s=30.0)
        self.runtime.spawn(RiskManager, "risk_manager", addresses=addresses, limits=limits, calendar=TradingCalendar())
        self.say(RiskState(None, None, (), (), 0, trading_day(NOON)))

    def say(self, message: Message) -> None:
        self.runtime.tell("risk_manager", message)
        self.runtime.run_until_idle()

    def positions_are_read(self) -> None:
        self.say(PositionsRead((), self.clock.steady(), self.clock.now()))

    def check(self) -> Message:
        self.say(CheckRisk(an_order()))
        return self.told[-1]


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.runtime.stop()


def test_d8_a_clock_set_back_makes_no_old_pnl_fresh(harness: Harness) -> None:
    harness.positions_are_read()
    harness.runtime.advance(31.0)
    harness.clock.step(-600.0)
    refused = harness.check()
    assert isinstance(refused, RiskBlocked)
    assert refused.reason == "the day's P&L is 31.0 s old, limit 30.0 s"


def test_e10_a_clock_set_forward_makes_no_fresh_pnl_old(harness: Harness) -> None:
    harness.positions_are_read()
    harness.clock.step(600.0)
    assert isinstance(harness.check(), RiskPassed)


def test_g15_a_resume_ends_the_square_off_of_max_loss_but_for_one_that_begins_as_it_is_told(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [Decimal(-5000)]
    monkeypatch.setattr(RiskBook, "passed_max_loss", lambda _: lost.pop() if lost else None)
    harness.positions_are_read()
    harness.say(HaltChanged(None))
    assert not any(isinstance(one, EndSquareOff) for one in harness.told), "it was resumed before this loss"
    harness.say(HaltChanged(Halt("day P&L", "risk", NOON)))
    harness.say(HaltChanged(None))
    assert sum(isinstance(one, EndSquareOff) for one in harness.told) == 1


def test_e9_a_strategy_halted_alone_is_shown_until_somebody_resumes(harness: Harness) -> None:
    def shown() -> tuple[tuple[str, str], ...]:
        snapshot = harness.runtime.ask(harness.runtime.address("risk_manager"), GetRiskSnapshot(), 1.0)
        assert isinstance(snapshot, RiskSnapshot)
        return snapshot.halted_strategies

    harness.say(HaltStrategy("alpha", "it raised"))
    assert shown() == (("alpha", "it raised"),)
    harness.say(HaltChanged(None))
    assert shown() == ()
