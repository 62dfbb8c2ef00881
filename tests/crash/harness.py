"""Kills the service, and its database, again and again while orders stream through; checks the laws after each death.

The exchange is a process of its own, which outlives the service and misbehaves by chance; a tenth of the deaths are
the whole machine's, and take it too. The service is `run.py run`, as a user starts it. Everything that can be drawn is
drawn from one seed; where the kill falls is up to the machine.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import requests

from core.model.broker import BrokerStatus
from core.model.outcomes import ReadError
from core.runtime import SystemClock
from core.store import Store
from tests.crash.clients import PRICES, Caller
from tests.crash.exchange import Exchange, Phone
from tests.crash.laws import account_of, check_always, check_at_rest
from tests.store.databases import StoppableServer
from tests.support import wait_until
from tests.support_process import Process

__all__ = ["Figures", "crash"]

_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "accept_502", "path": "PlaceOrder", "probability": 0.03},
    {"kind": "accept_close", "path": "PlaceOrder", "probability": 0.03},
    {"kind": "accept_hang", "path": "PlaceOrder", "probability": 0.02},
    {"kind": "drop_502", "path": "PlaceOrder", "probability": 0.03},
    {"kind": "drop_close", "path": "PlaceOrder", "probability": 0.02},
    {"kind": "reject_order", "probability": 0.03},
    {"kind": "push_lost", "probability": 0.2},
    {"kind": "push_doubled", "probability": 0.1},
    {"kind": "push_reordered", "probability": 0.05},
    {"kind": "book_502", "path": "OrderBook", "probability": 0.02},
    {"kind": "book_server_timeout", "path": "TradeBook", "probability": 0.02},
    {"kind": "book_no_data", "path": "OrderBook", "probability": 0.02},
)
# Between midnight and the opening of the markets no book can prove it, and the row says that.
_ABSENT = "(tag = 'BROKER_NOT_FOUND' OR (tag = 'BROKER_EXPIRED' AND broker_order_id IS NULL))"
_SETTINGS = {
    "SIXSTEP_BROKER__READ_TIMEOUT_S": "0.5",
    "SIXSTEP_WEB__WAIT_S": "3",
    "SIXSTEP_WEB__REQUESTS_PER_MIN": "1000000",
    "SIXSTEP_RISK__MAX_DAILY_LOSS": "0",
    "SIXSTEP_RISK__MAX_LOSS": "0",
    "SIXSTEP_RISK__COOLDOWN_S": "0",
    "SIXSTEP_RISK__MAX_CONSECUTIVE_LOSSES": "0",
    "SIXSTEP_RISK__MAX_OPEN_ORDERS": "0",
    "SIXSTEP_RISK__MAX_ORDERS_PER_DAY": "0",
    "SIXSTEP_LOG__LEVEL": "WARNING",
}
# As long as a machine with other work may need.
_PATIENCE_S = 300


class _Death(Enum):
    SERVICE = auto()
    MACHINE = auto()
    POSTMASTER = auto()
    BACKEND = auto()


@dataclass(slots=True)
class Figures:
    """What a run came to; `wrong` is empty when no law was broken."""

    kills: int = 0
    exchange_kills: int = 0
    postmaster_kills: int = 0
    backend_kills: int = 0
    phone_orders: int = 0
    posted: int = 0
    reposted: int = 0
    answered: int = 0
    rows: int = 0
    at_broker: int = 0
    executed: int = 0
    fills: int = 0
    unknown: int = 0
    found: int = 0
    proven_absent: int = 0
    never_sent: int = 0
    seconds: float = 0.0
    ready_s: list[float] = field(default_factory=list)
    again_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures in words."""
        return [
            f"kills with -9                 {self.kills} of the service, {self.exchange_kills} of the exchange with it",
            f"of PostgreSQL                 {self.postmaster_kills}, and {self.backend_kills} of one of its backends",
            f"orders from the phone         {self.phone_orders}",
            f"orders posted                 {self.posted} (and {self.reposted} times again for want of an answer)",
            f"orders answered               {self.answered}",
            f"rows in the database            {self.rows}",
            f"orders at the exchange        {self.at_broker}, executed {self.executed}, fills booked {self.fills}",
            f"outcomes unknown for a while  {self.unknown}: {self.found} found at the exchange, "
            f"{self.proven_absent} proven absent, {self.unknown - self.found - self.proven_absent} left",
            f"registered and never sent     {self.never_sent}",
            f"start to ready                {_middle(self.ready_s)}",
            f"database killed to ready      {_middle(self.again_s)}",
            f"run time                      {self.seconds:.0f} s",
            f"laws broken                   {len(self.wrong)}",
        ]


def _middle(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2]:.2f} s, longest {ordered[-1]:.2f} s" if ordered else "none"


def crash(
    directory: Path,
    *,
    kills: int,
    seed: int,
    database: StoppableServer | None = None,
    database_kills: int = 0,
    tell: Any = lambda _: None,
) -> Figures:
    """Start, stream, kill, check; so many times. `tell` hears a line after each kill.

    Args:
        database: Where the service keeps its record, if that is to die too.
    """
    clock = SystemClock()
    began = clock.monotonic()
    exchange = Exchange(directory)
    run = _Run(directory, exchange, seed, database)
    try:
        for number, death in enumerate(run.deaths(kills, database_kills), 1):
            known = len(run.figures.wrong)
            run.one_death(death)
            for line in run.figures.wrong[known:]:
                tell(line)
            after = (run.figures.ready_s if death in (_Death.SERVICE, _Death.MACHINE) else run.figures.again_s)[-1]
            tell(
                f"{number}/{kills + database_kills} {death.name}: ready after {after:.2f} s, "
                f"{len(run.figures.wrong)} law(s) broken"
            )
        run.last_life()
    finally:
        run.end()
        exchange.stop()
    run.figures.seconds = clock.monotonic() - began
    return run.figures


class _Run:
    def __init__(self, directory: Path, exchange: Exchange, seed: int, database: StoppableServer | None) -> None:
        self.figures = Figures()
        self._directory = directory
        self._exchange = exchange
        self._database = database
        self._rng = random.Random(seed)
        self._clock = SystemClock()
        self._phone = Phone(exchange, self._rng)
        self._callers = [Caller(symbol, number, seed) for symbol in PRICES for number in (1, 2)]
        self._checked: dict[str, int] = {}
        self._pause = threading.Event()
        self._service = self._start()
        for caller in self._callers:
            caller.start()

    def deaths(self, kills: int, database_kills: int) -> list[_Death]:
        """Who dies, in what order: every tenth service with its machine, every second database in one backend."""
        service = [_Death.MACHINE if number % 10 == 9 else _Death.SERVICE for number in range(kills)]
        database = [_Death.BACKEND if number % 2 else _Death.POSTMASTER for number in range(database_kills)]
        return self._rng.sample(service + database, kills + database_kills)

    def one_death(self, death: _Death) -> None:
        """Let orders stream, kill, start what died, and check what is left."""
        for fault in _FAULTS:
            self._exchange.control("add_fault", **fault)
        self._stream(self._rng.uniform(0.05, 1.2))
        if death in (_Death.SERVICE, _Death.MACHINE):
            self._kill_service(death)
        else:
            self._kill_database(death)
        self._check()

    def _kill_service(self, death: _Death) -> None:
        self._service.kill()
        self.figures.kills += 1
        self._hold()
        if death is _Death.MACHINE:
            self._exchange.kill_and_start()
            self.figures.exchange_kills += 1
        self._exchange.control("clear_faults")
        if self._rng.random() < 0.5:
            self._phone.sell()
        self._service = self._start()

    def _kill_database(self, death: _Death) -> None:
        """Orders go on streaming while it is away."""
        assert self._database is not None, "only a database of our own is killed"
        killed = self._clock.monotonic()
        if death is _Death.POSTMASTER:
            self._database.kill()
            self.figures.postmaster_kills += 1
        else:
            self._database.kill_backend(self._rng)
            self.figures.backend_kills += 1
        self._stream(self._rng.uniform(0.05, 1.2))
        self._hold()
        self._exchange.control("clear_faults")
        if death is _Death.POSTMASTER:
            self._database.start()
        self._service.wait_ready()
        self.figures.again_s.append(self._clock.monotonic() - killed)

    def _start(self) -> Process:
        started = self._clock.monotonic()
        service = Process(self._directory, self._exchange, **_SETTINGS)
        service.wait_ready()
        self.figures.ready_s.append(self._clock.monotonic() - started)
        return service

    def _hold(self) -> None:
        for caller in self._callers:
            caller.hold()

    def _stream(self, seconds: float) -> None:
        for caller in self._callers:
            caller.go_on(self._service.url)
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            self._move_market()
            if self._rng.random() < 0.05:
                self._phone.buy()
            self._pause.wait(0.05)

    def _move_market(self) -> None:
        """Some of what rests is filled, in part or whole, or cancelled by the exchange."""
        try:
            book = self._exchange.client.order_book()
        except ReadError:
            # One of the faults met us and not the service.
            return
        for order in book:
            if order.status is BrokerStatus.OPEN and self._rng.random() < 0.3:
                if self._rng.random() < 0.7:
                    left = (order.quantity or 0) - (order.filled_quantity or 0)
                    quantity = self._rng.choice((left, max(1, left // 2)))
                    self._exchange.control("fill_order", norenordno=order.broker_order_id, qty=quantity)
                else:
                    self._exchange.control("cancel_order", norenordno=order.broker_order_id)

    def _check(self) -> None:
        """A row may lack what its caller knows for as long as the database that comes back is being told (A10)."""
        book = self._exchange.client.order_book()
        answers = [answer for caller in self._callers for answer in self._fresh(caller)]
        wrong: list[str] = []

        def clean() -> bool:
            store = Store.open(self._service.database, read_only=True)
            wrong[:] = check_always(book, store, answers)
            store.close()
            return not wrong

        _try_until(clean, 60 if self._database else 0)
        self.figures.wrong += wrong

    def _fresh(self, caller: Caller) -> list[Any]:
        """Answers since the last check, and a few older ones again."""
        answers = list(caller.answers)
        seen = self._checked.get(caller.name, 0)
        self._checked[caller.name] = len(answers)
        return answers[max(0, seen - 20) :]

    def last_life(self) -> None:
        """Let everything come to rest, and compare row by row."""
        for caller in self._callers:
            caller.go_on(self._service.url)
        for caller in self._callers:
            caller.finish()
        store = Store.open(self._service.database, read_only=True)
        wait_until(lambda: self._is_at_rest(store), _PATIENCE_S)
        self._checked.clear()
        self._check()
        # Positions are compared a few times a second; two reads after rest, every difference is named.
        _try_until(lambda: not self._differences(store), 60)
        self.figures.wrong += self._differences(store)
        self._count(store)
        store.close()
        self._service.process.terminate()
        if self._service.process.wait(_PATIENCE_S) != 0:
            self.figures.wrong.append(f"the last stop ended with {self._service.process.returncode}")

    def _is_at_rest(self, store: Store) -> bool:
        book = {order.broker_order_id: order for order in self._exchange.client.order_book()}
        for row in store.rows(limit=1_000_000):
            if row["status"] == "CREATED" or (row["status"] == "SENT_TO_BROKER" and row["broker_order_id"] is None):
                return False
            if row["status"] == "SENT_TO_BROKER":
                order = book.get(row["broker_order_id"])
                if order is None or order.status.is_final or (order.filled_quantity or 0) != row["filled_quantity"]:
                    return False
        return True

    def _differences(self, store: Store) -> list[str]:
        guard = requests.get(f"{self._service.url}/api/guard", timeout=60).json()
        client = self._exchange.client
        account = account_of(client.trade_book(), store, self._phone.sold)
        return check_at_rest(client.order_book(), client.positions(), store, guard, account)

    def _count(self, store: Store) -> None:
        figures = self.figures
        figures.posted = sum(caller.posted for caller in self._callers)
        figures.reposted = sum(caller.reposted for caller in self._callers)
        figures.answered = sum(len(caller.answers) for caller in self._callers)

        def count(sql: str) -> int:
            return int(store.database.execute(sql).fetchone()[0])

        figures.rows = count("SELECT COUNT(*) FROM orders")
        figures.phone_orders = self._phone.orders
        figures.at_broker = len(self._exchange.client.order_book())
        figures.executed = count("SELECT COUNT(*) FROM orders WHERE status = 'EXECUTED'")
        figures.fills = count("SELECT COUNT(*) FROM fills")
        once_unknown = "command_id IN (SELECT command_id FROM order_events WHERE unknown)"
        figures.unknown = count(f"SELECT COUNT(*) FROM orders WHERE {once_unknown}")
        figures.found = count(f"SELECT COUNT(*) FROM orders WHERE broker_order_id IS NOT NULL AND {once_unknown}")
        figures.proven_absent = count(f"SELECT COUNT(*) FROM orders WHERE {_ABSENT} AND {once_unknown}")
        figures.never_sent = count("SELECT COUNT(*) FROM orders WHERE tag = 'NEVER_SENT'")

    def end(self) -> None:
        for caller in self._callers:
            caller.finish()
        self._service.end()


def _try_until(predicate: Callable[[], bool], seconds: float) -> None:
    clock = SystemClock()
    pause = threading.Event()
    until = clock.monotonic() + seconds
    while not predicate() and clock.monotonic() < until:
        pause.wait(0.5)
