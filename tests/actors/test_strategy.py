"""What a strategy may do (docs/guarantees.md)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.addresses import Addresses
from actors.strategy import Strategy
from core.messages import (
    CancelAnswer,
    CancelOrder,
    CancelStatus,
    GetMissedFills,
    ModifyAnswer,
    ModifyOrder,
    ModifyStatus,
    ProtectionAnswer,
    ProtectPosition,
    ServiceReady,
)
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, an_intent


def test_e9_a_strategy_trades_in_its_own_name() -> None:
    """Under another one it would go on while it is halted, and trade that one's positions."""
    runtime = StepRuntime(VirtualClock(NOON))
    strategy = Strategy(runtime, "strategy:alpha", addresses=Addresses.of(runtime), strategy="alpha")
    with pytest.raises(ValueError, match=r"intent.strategy is 'beta'; strategy 'alpha' trades in its own name"):
        strategy.submit(an_intent(strategy="beta"))


def test_u3_a_command_id_given_to_cancel_raises_and_teaches() -> None:
    """It cancelled a timer that was not there, and the order stayed at the broker."""
    runtime = StepRuntime(VirtualClock(NOON))
    strategy = Strategy(runtime, "strategy:alpha", addresses=Addresses.of(runtime), strategy="alpha")
    for call in (strategy.cancel, strategy.cancel_timer):
        with pytest.raises(ValueError, match=r"an order is cancelled with cancel_order\(command_id\)"):
            call("261123-test-1")
    strategy.after("leave", 5.0)
    strategy.every("look", 5.0)
    strategy.cancel("look")
    strategy.cancel_timer("leave")
    strategy.cancel_timer("leave")
    assert runtime.timers.next_due() is None


class Cancels(Strategy):
    """Cancels the order whose id its timer bears, and keeps what it is answered."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        strategy: str,
        kept: list[CancelAnswer | ModifyAnswer],
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._kept = kept

    def on_start(self) -> None:
        self.after("261123-test-1", 1.0)

    def on_timer(self, key: str) -> None:
        self.cancel_order(key)
        self.modify_order(key, price=Decimal("1501.5"))

    def on_modify(self, answer: ModifyAnswer) -> None:
        self._kept.append(answer)

    def on_cancel(self, answer: CancelAnswer) -> None:
        self._kept.append(answer)


class Repo(Actor):
    def on_cancel_order(self, message: CancelOrder) -> None:
        assert message.reply_to is not None
        self.tell_name(message.reply_to, CancelAnswer(message.command_id, CancelStatus.TAKEN, message.by))

    def on_modify_order(self, message: ModifyOrder) -> None:
        assert message.reply_to is not None
        told = f"{message.fields} {message.by}"
        self.tell_name(message.reply_to, ModifyAnswer(message.command_id, ModifyStatus.TAKEN, told))

    def on_get_missed_fills(self, _: GetMissedFills) -> None:
        pass


def test_u3_cancel_order_and_modify_order_are_about_an_order_and_their_answers_come_back() -> None:
    runtime = StepRuntime(VirtualClock(NOON))
    kept: list[CancelAnswer | ModifyAnswer] = []
    runtime.spawn(Repo, "order_repo")
    runtime.spawn(Cancels, "strategy:alpha", addresses=Addresses.of(runtime), strategy="alpha", kept=kept)
    runtime.tell("strategy:alpha", ServiceReady())
    runtime.run_until_idle()
    runtime.advance(1.0)
    runtime.run_until_idle()
    asked = "(('price', Decimal('1501.5')),) strategy alpha"
    assert kept == [
        CancelAnswer("261123-test-1", CancelStatus.TAKEN, "strategy alpha"),
        ModifyAnswer("261123-test-1", ModifyStatus.TAKEN, asked),
    ]


class Manager(Actor):
    def on_protect_position(self, message: ProtectPosition) -> None:
        self.tell_name(message.reply_to, ProtectionAnswer(None, f"{message.symbol} {message.rule}"))


class Protects(Cancels):
    def on_start(self) -> None:
        self.protect("INFY-EQ", stop={"points": 5}, trail={"percent": 1})

    def on_protection(self, answer: ProtectionAnswer) -> None:
        self._kept.append(CancelAnswer("", CancelStatus.TAKEN, answer.reason))


def test_a_strategy_protects_what_it_holds_and_hears_what_became_of_it() -> None:
    runtime = StepRuntime(VirtualClock(NOON))
    kept: list[CancelAnswer | ModifyAnswer] = []
    runtime.spawn(Repo, "order_repo")
    runtime.spawn(Manager, "position_manager")
    runtime.spawn(Protects, "strategy:alpha", addresses=Addresses.of(runtime), strategy="alpha", kept=kept)
    runtime.tell("strategy:alpha", ServiceReady())
    runtime.run_until_idle()
    assert [answer.reason for answer in kept] == ["INFY-EQ stop 5 points, trail 1 %"]
    strategy = Strategy(runtime, "strategy:beta", addresses=Addresses.of(runtime), strategy="beta")
    with pytest.raises(ValueError, match="protect trail must be points or percent"):
        strategy.protect("INFY-EQ", trail={"price": 5})
