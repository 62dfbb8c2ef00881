"""Planted bugs about what is outside: an account that is not ours alone, a broker's day, disks, second services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from actors.execution_guard import ExecutionGuard
from core.files.instance import InstanceLock
from core.messages import CheckGuard
from core.model.alerts import AlertKind
from core.model.broker import BrokerPosition
from core.model.calendar import TradingCalendar
from core.rules import exit_cap
from core.rules.books import BookMemory
from core.rules.closes import Room
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook
from core.rules.lines import Stake
from core.store import database, registering
from tests.simulation import staged
from tests.simulation.bugs import bug

_EVER = datetime.min.replace(tzinfo=UTC)


# The account is not ours alone


@bug("fresh", 20)
def exit_not_capped_by_the_account() -> Iterator[None]:
    """An EXIT goes as far as the fills of its strategy say, whatever others did in the account."""
    with patch.object(ExitCap, "judge", lambda _, order, *__: Room(order.quantity, True, "")):
        yield


@bug("fresh", 40)
def exit_not_verified() -> Iterator[None]:
    """An EXIT goes by what the account showed last, however long ago that was."""
    check = ExecutionGuard.on_check_guard

    def on_check_guard(self: ExecutionGuard, message: CheckGuard) -> None:
        check(self, message)
        for waiting in self._checks._waiting.values():
            waiting.since = _EVER
        verdicts = self._checks.step(self._cap, self._book, self.clock.steady(), _old_read(self))[0]
        for verdict in verdicts:
            if type(verdict).__name__ == "Released":
                self._pass(verdict.order)

    with patch.object(ExecutionGuard, "on_check_guard", on_check_guard):
        yield


def _old_read(guard: ExecutionGuard) -> Any:
    """A read that counts as fresh and says nothing new."""
    now = guard.clock.steady()
    return type("Read", (), {"asked_at": now, "orders_asked_at": now})()


@bug("fresh", 100, staged.left_twice_after_a_part_was_closed)
def exits_of_others_ignored() -> Iterator[None]:
    """What other strategies' EXITs in flight will close of the account is not reckoned with."""
    stakes = GuardBook.stakes

    def without_leaving(self: GuardBook, *arguments: Any) -> tuple[Stake, ...]:
        return tuple(replace(stake, leaving=0) for stake in stakes(self, *arguments))

    with patch.object(GuardBook, "stakes", without_leaving):
        yield


@bug("fresh", 60)
def external_orders_not_looked_at() -> Iterator[None]:
    """The order book's external orders are not looked at when an EXIT is cut: positions alone must tell, twice."""
    with patch.object(exit_cap, "external_fills", lambda _: {}):
        yield


@bug("hostile", 100)
def unverified_exit_not_told() -> Iterator[None]:
    """An EXIT whose account could not be read goes without a word."""
    with _silent("exit_unverified"):
        yield


@bug("rough", 300, staged.closed_as_an_exit_fills)
def overfilled_exit_not_told() -> Iterator[None]:
    """An EXIT that took the account to the other side is told to nobody."""
    untold = patch.object(ExecutionGuard, "_tell_opened", lambda *_, **__: None)
    with untold, _silent("exit_opened"), _silent("position_difference"):
        yield


def _silent(kind: str) -> Any:
    tell = ExecutionGuard._alert

    def alert(self: ExecutionGuard, about: AlertKind, text: str) -> None:
        if about != kind:
            tell(self, about, text)

    return patch.object(ExecutionGuard, "_alert", alert)


# Books that say too little, and whose day it is


@bug("rough", 60)
def no_data_is_empty() -> Iterator[None]:
    """A book that answers "no data" in mid-day is an empty one: nothing is held, and nothing was sent."""

    def completed(_: BookMemory, positions: tuple[BrokerPosition, ...], *__: Any) -> tuple[BrokerPosition, ...]:
        return positions

    with patch.object(BookMemory, "doubt", lambda *_: None), patch.object(BookMemory, "completed", completed):
        yield


@bug("fresh", 60)
def the_day_begins_at_midnight() -> Iterator[None]:
    """The trading day is the calendar's: at midnight yesterday's loss becomes today's."""

    def day(self: TradingCalendar, at: datetime) -> Any:
        return at.astimezone(self.zone).date()

    with patch.object(TradingCalendar, "day", day):
        yield


# Keys, services, disks, budget


@bug("fresh", 60)
def key_ignores_content() -> Iterator[None]:
    """Another order under a key that is taken gets the first one's answer."""
    with patch.object(registering, "is_same", lambda *_: True):
        yield


@bug("rough", 100, staged.second_started)
def second_service_starts() -> Iterator[None]:
    """A second service starts on the record of the first."""
    with patch.object(InstanceLock, "acquire", lambda _: None):
        yield


@bug("rough", 150, staged.power_lost)
def commits_not_synced() -> Iterator[None]:
    """Commits are not synced to the disk: a loss of power takes orders that the broker has."""
    begin = database.Database.begin
    with patch.object(database.Database, "begin", lambda store, **_: begin(store, lasting=False)):
        yield
