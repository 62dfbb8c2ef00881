"""CommandService alone: when orders are taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from actors.addresses import Addresses
from actors.command_service import CommandService
from core.messages import BrokerReadable, GetReadiness, Message, Readiness, RepublishBrokerStatus, SessionChanged
from core.model.calendar import TradingCalendar
from core.runtime import Actor, StepRuntime, VirtualClock


class Standing(Actor):
    """Stands for BrokerProxy or OrderWatcher: tells how things stand when asked."""

    def __init__(self, runtime: StepRuntime, name: str, addresses: Addresses, standing: Message) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._standing = standing

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        self.tell(self._addresses.command_service, self._standing)


class FailsOnce(CommandService):
    """Raises on the first word about the session, or about the books."""

    failures: ClassVar[list[str]] = []

    def on_session_changed(self, message: SessionChanged) -> None:
        self._raise_once("session")
        super().on_session_changed(message)

    def on_broker_readable(self, message: BrokerReadable) -> None:
        self._raise_once("books")
        super().on_broker_readable(message)

    def _raise_once(self, what: str) -> None:
        if what in self.failures:
            self.failures.remove(what)
            raise ArithmeticError("planted")


@pytest.mark.parametrize("lost", ["session", "books"])
def test_e4_what_a_failed_handler_lost_is_asked_for_again(lost: str) -> None:
    FailsOnce.failures[:] = [lost]
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    addresses = Addresses.of(runtime)
    runtime.spawn(
        FailsOnce, "command_service", addresses=addresses, account="A", calendar=TradingCalendar(), send_deadline_s=30.0
    )
    runtime.spawn(Standing, "broker_proxy", addresses, SessionChanged(True, ""))
    runtime.spawn(Standing, "order_watcher", addresses, BrokerReadable(True, ""))
    runtime.tell("command_service", SessionChanged(True, ""))
    runtime.tell("command_service", BrokerReadable(True, ""))
    runtime.run_until_idle()
    assert FailsOnce.failures == []
    answer = runtime.ask(runtime.address("command_service"), GetReadiness(), 1.0)
    assert answer == Readiness(True, ())
    runtime.dead_letters.take()
    runtime.stop()
