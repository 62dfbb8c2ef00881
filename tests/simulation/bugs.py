"""Planted bugs: faults that systems of this kind have had, each put into our own by a patch, for the simulator to find.

A bug that the simulator does not find within the stated number of seeds is a hole in the simulator.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from actors.broker_proxy import BrokerProxy
from actors.command_service import CommandService
from actors.execution_guard import ExecutionGuard
from actors.order_repo import OrderRepo
from actors.order_watcher import OrderWatcher
from actors.risk_manager import RiskManager
from actors.trading_bot import TradingBot
from core.messages import (
    Alert,
    FillBooked,
    GuardPassed,
    HaltChanged,
    MarkSent,
    OpenOrders,
    PlaceOrder,
    RegisterOrder,
    Severity,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerStatus
from core.model.order import Fill, Order, Status
from core.model.outcomes import ReadError, Unknown
from core.noren import NorenClient
from core.noren.parse import _STATUSES
from core.rules.call_budget import RateLimiter
from core.rules.closes import Room
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook, Passed
from core.rules.lines import Line
from core.rules.order_matching import at_least
from core.rules.risk import RiskBook
from core.rules.watched import Told, Watched
from core.store import Store, sending
from tests.simulation import staged
from tests.simulation.staged import scene_of

__all__ = ["BUGS", "Bug", "bug"]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug.

    Attributes:
        name: A short name.
        meaning: What the system does wrong.
        profile: The profile of worlds in which it is looked for.
        within: The number of seeds within which it must be found.
        scene: The scene that shows it; of these seeds only those are run in which it is played.
        planted: The system has the bug inside this block.
    """

    name: str
    meaning: str
    profile: str
    within: int
    scene: str | None
    planted: Callable[[], Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that are run for it, until one finds it."""
        window = range(1, self.within + 1)
        return [seed for seed in window if self.scene in (None, scene_of(self.profile, seed))]


BUGS: dict[str, Bug] = {}


def bug(
    profile: str, within: int, scene: Callable[..., object] | None = None
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Any]]:
    def keep(function: Callable[[], Iterator[None]]) -> Callable[[], Any]:
        name = function.__name__
        meaning = (function.__doc__ or "").split("\n")[0]
        BUGS[name] = Bug(name, meaning, profile, within, scene and scene.__name__, contextmanager(function))
        return BUGS[name].planted

    return keep


# Around the broker call


@bug("calm", 10)
def mark_after_send() -> Iterator[None]:
    """The order is sent first and marked as sent afterwards."""

    def on_guard_passed(self: TradingBot, message: GuardPassed) -> None:
        self.tell(self._addresses.broker_proxy, PlaceOrder(message.order))
        self.tell(self._addresses.order_repo, MarkSent(message.order))

    with (
        patch.object(TradingBot, "on_guard_passed", on_guard_passed),
        patch.object(TradingBot, "on_order_marked_sent", lambda *_: None),
    ):
        yield


@bug("calm", 10)
def commit_skipped() -> Iterator[None]:
    """The transaction of a mark is undone instead of committed, and everybody is told all the same."""
    commit = OrderRepo.batch_end

    def batch_end(self: OrderRepo) -> None:
        if any(isinstance(envelope.message, MarkSent) for envelope in self.batch):
            self._store.rollback()
        else:
            commit(self)

    with patch.object(OrderRepo, "batch_end", batch_end):
        yield


@bug("fresh", 80)
def resend_on_timeout() -> Iterator[None]:
    """An order whose outcome is unknown is sent again."""
    tell = BrokerProxy._tell_outcome

    def tell_outcome(self: BrokerProxy, message: PlaceOrder, outcome: Any) -> None:
        if isinstance(outcome, Unknown):
            self._put(message)
        else:
            tell(self, message, outcome)

    with patch.object(BrokerProxy, "_tell_outcome", tell_outcome):
        yield


@bug("rough", 20)
def tag_not_unique() -> Iterator[None]:
    """The tag leaves out the run, so that the numbers of two runs collide."""

    def client_tag(order: Order) -> str:
        day, _, number = order.command_id.split("-")
        return f"{day}-aaaaa-{number}"

    with patch.object(Order, "client_tag", property(client_tag)):
        yield


@bug("calm", 40)
def orders_merged() -> Iterator[None]:
    """Orders that wait at the broker's door are merged like reads."""
    with patch.object(PlaceOrder, "conflation_key", property(lambda _: "place"), create=True):
        yield


# The guard


@bug("calm", 10)
def guard_not_released() -> Iterator[None]:
    """The reservation of an order that is over stays."""
    with patch.object(GuardBook, "force_clear_symbol", lambda *_: None):
        yield


@bug("fresh", 60)
def reservation_leaked() -> Iterator[None]:
    """The reservation of an order that ended partly filled stays."""
    clear = GuardBook.force_clear_symbol

    def force_clear_symbol(self: GuardBook, order: Order, at: Any) -> None:
        if order.status is Status.EXECUTED or not order.filled_quantity:
            clear(self, order, at)

    with patch.object(GuardBook, "force_clear_symbol", force_clear_symbol):
        yield


@bug("fresh", 20)
def position_wiped() -> Iterator[None]:
    """An add-on order that fails takes the position with it."""
    clear = GuardBook.force_clear_symbol

    def force_clear_symbol(self: GuardBook, order: Order, at: Any) -> None:
        key = self._where.get(order.command_id)
        clear(self, order, at)
        if order.status is Status.FAILED and key in self._lines:
            self._lines[key].held = 0

    with patch.object(GuardBook, "force_clear_symbol", force_clear_symbol):
        yield


@bug("calm", 20)
def fill_counted_twice() -> Iterator[None]:
    """The guard counts a fill that it hears of twice, twice: the repository tells it again."""
    heard = ExecutionGuard.on_fill_booked

    def on_fill_booked(self: ExecutionGuard, message: FillBooked) -> None:
        heard(self, message)
        if message.fill.quantity % 5 == 0:
            heard(self, message)

    with patch.object(ExecutionGuard, "on_fill_booked", on_fill_booked):
        yield


@bug("calm", 10)
def trade_booked_twice() -> Iterator[None]:
    """A trade seen in two reads is booked as two."""
    explain = Watched.explain

    def twice(self: Watched, watch: Any, report: Any, fills: tuple[Fill, ...]) -> Told:
        again = tuple(replace(fill, broker_trade_id=f"{fill.broker_trade_id}-2") for fill in fills[:1])
        return explain(self, watch, at_least(report, report.filled_quantity or 0), fills + again)

    with patch.object(Watched, "explain", twice):
        yield


@bug("fresh", 60)
def double_exit() -> Iterator[None]:
    """Neither the guard nor the mark looks at the EXITs in flight: two are sent for one position."""
    start = Store.start_run
    anything_open = sending._MARK.index("AND NOT EXISTS")
    mark = sending._MARK[:anything_open] + "AND ? || ? || ? || ? <> '' " + sending._MARK[sending._MARK.index("AND (") :]

    def start_run(self: Store, run: str, at: Any) -> bool:
        for (name,) in self.database.execute(_UNIQUE_WHILE_OPEN).fetchall():
            self.database.write(f"DROP INDEX {name}")
        return start(self, run, at)

    def reducible(self: Line, sign: int) -> int:
        return abs(self.held) if self.held * sign < 0 else 0

    with (
        patch.object(Store, "start_run", start_run),
        patch.object(sending, "_MARK", mark),
        patch.object(Line, "reducible", reducible),
    ):
        yield


_UNIQUE_WHILE_OPEN = (
    "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'orders' AND sql LIKE '%UNIQUE%SENT_TO_BROKER%'"
)


@bug("calm", 20)
def exit_not_cut() -> Iterator[None]:
    """An EXIT larger than the position is sent as it is."""
    check = GuardBook.check_and_reserve

    def check_and_reserve(self: GuardBook, order: Order, at: Any) -> Any:
        verdict = check(self, order, at)
        if isinstance(verdict, Passed):
            return Passed(replace(verdict.order, quantity=order.quantity))
        return verdict

    judge = ExitCap.judge

    def uncut(self: ExitCap, order: Order, *arguments: Any) -> Room:
        found = judge(self, order, *arguments)
        return Room(order.quantity, True, "") if found.quantity else found

    # By the strategy's fills, and by what is left of them in the account.
    with (
        patch.object(GuardBook, "check_and_reserve", check_and_reserve),
        patch.object(ExitCap, "judge", uncut),
    ):
        yield


# Watching


@bug("fresh", 30)
def canceled_not_recognised() -> Iterator[None]:
    """`CANCELED` is not known to be an end."""
    with patch.dict(_STATUSES, {"CANCELED": BrokerStatus.OPEN, "CANCELLED": BrokerStatus.OPEN}):
        yield


@bug("rough", 20)
def book_error_is_empty() -> Iterator[None]:
    """A book that cannot be read is taken for an empty one."""
    read = NorenClient._read_book

    def read_book(self: NorenClient, *arguments: Any) -> Any:
        try:
            return read(self, *arguments)
        except ReadError:
            return ()

    with patch.object(NorenClient, "_read_book", read_book):
        yield


@bug("rough", 80)
def late_fill_dropped() -> Iterator[None]:
    """An order that is over is not looked at any more."""

    def settle(self: Watched, order: Order, _: Any) -> None:
        self.open.pop(order.command_id, None)

    with patch.object(Watched, "settle", settle):
        yield


@bug("rough", 30)
def restart_forgets_unknown() -> Iterator[None]:
    """After a restart only orders with a number are watched."""
    hear = OrderWatcher.on_open_orders

    def on_open_orders(self: OrderWatcher, message: OpenOrders) -> None:
        known = tuple(order for order in message.orders if order.broker_order_id is not None)
        hear(self, replace(message, orders=known))

    with patch.object(OrderWatcher, "on_open_orders", on_open_orders):
        yield


@bug("hostile", 60)
def absence_without_grace() -> Iterator[None]:
    """One read that does not show an order is proof that there is none."""

    original = OrderWatcher._note_missing

    def note_missing(self: OrderWatcher, watch: Any, asked_at: Any, *, bare: bool) -> None:
        self._watched._grace = timedelta()
        watch.missed = max(watch.missed, 1)
        original(self, watch, asked_at, bare=bare)

    with patch.object(OrderWatcher, "_note_missing", note_missing):
        yield


# Risk


@bug("fresh", 10)
def exit_blocked_by_risk() -> Iterator[None]:
    """Risk limits hold up EXITs too."""

    def check(self: RiskBook, order: Order, now: Any, steady: Any) -> str | None:
        reason = self.blocked(order.strategy, now, steady)
        if reason is None:
            self._open.add(order.command_id)
        return reason

    with patch.object(RiskBook, "check", check):
        yield


@bug("rough", 20)
def unknown_pnl_passes() -> Iterator[None]:
    """A P&L that is old or not known stops nothing."""
    with patch.object(RiskBook, "_pnl_unknown", lambda *_: None):
        yield


@bug("fresh", 60)
def breach_ignored() -> Iterator[None]:
    """The daily loss limit is noticed and stops nothing."""
    with patch.object(RiskBook, "_loss_limit", lambda *_: None):
        yield


@bug("rough", 60, staged.halted_and_restarted)
def halt_forgotten() -> Iterator[None]:
    """A restart resumes trading."""
    start = Store.start_run

    def start_run(self: Store, run: str, at: Any) -> bool:
        self.clear_halt("SIM1", "restart", at)
        return start(self, run, at)

    with patch.object(Store, "start_run", start_run):
        yield


@bug("rough", 50)
def halt_not_heard_at_the_door() -> Iterator[None]:
    """The proxy does not hear of a halt: what waits at its door is sent."""
    with patch.object(BrokerProxy, "on_halt_changed", _deaf):
        yield


def _deaf(_: BrokerProxy, message: HaltChanged) -> None:
    """Hears nothing."""


# Answers and rates


@bug("calm", 10)
def reply_lost() -> Iterator[None]:
    """Of two callers of one order only the first is answered."""
    remember = OrderRepo._remember_caller

    def remember_caller(self: OrderRepo, command_id: str, reply_to: str | None) -> None:
        if command_id not in self._callers:
            remember(self, command_id, reply_to)

    with patch.object(OrderRepo, "_remember_caller", remember_caller):
        yield


@bug("calm", 10)
def answered_twice() -> Iterator[None]:
    """A caller is answered when the order is registered, and again when it is over."""
    register = OrderRepo.on_register_order

    def on_register_order(self: OrderRepo, message: RegisterOrder) -> None:
        register(self, message)
        if message.reply_to is not None:
            self._remember_caller(message.command_id, message.reply_to)

    with patch.object(OrderRepo, "on_register_order", on_register_order):
        yield


@bug("fresh", 10)
def rate_limit_ignored() -> Iterator[None]:
    """Calls are made as fast as they come."""
    with patch.object(RateLimiter, "wait_s", lambda *_, **__: 0.0):
        yield


# What no handler may do


@bug("fresh", 60)
def secret_in_an_alert() -> Iterator[None]:
    """A failed login is told with the password."""
    lost = BrokerProxy._session_lost

    def session_lost(self: BrokerProxy, reason: str) -> None:
        told = f"{reason}: {self._client._credentials.password}"  # type: ignore[attr-defined]
        self.tell(self._addresses.notifier, Alert(Severity.CRITICAL, AlertKind.SESSION, told))
        lost(self, reason)

    with patch.object(BrokerProxy, "_session_lost", session_lost):
        yield


@bug("calm", 10)
def handler_sleeps() -> Iterator[None]:
    """A handler sleeps."""
    with _before(TradingBot, "on_risk_passed", lambda: time.sleep(0.001)):  # noqa: TID251 - the bug
        yield


@bug("calm", 10)
def handler_reads_the_clock() -> Iterator[None]:
    """A handler reads the machine's clock."""
    with _before(RiskManager, "on_check_risk", lambda: time.monotonic()):  # noqa: PLW0108, TID251 - the bug
        yield


@bug("calm", 10)
def handler_draws_chance() -> Iterator[None]:
    """A handler draws a random number of its own."""
    with _before(CommandService, "on_submit_order", lambda: random.random()):  # noqa: PLW0108, TID251 - the bug
        yield


@bug("calm", 10)
def handler_starts_a_thread() -> Iterator[None]:
    """A handler starts a thread."""
    with _before(TradingBot, "on_risk_passed", lambda: threading.Thread(target=print).start()):
        yield


@contextmanager
def _before(owner: type, name: str, do: Callable[[], object]) -> Iterator[None]:
    original = getattr(owner, name)

    def handler(self: Any, message: Any) -> None:
        do()
        original(self, message)

    with patch.object(owner, name, handler):
        yield
