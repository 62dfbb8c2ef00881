"""Kills the service again and again while orders stream through it, and checks the laws after each start.

The exchange is a process of its own, which outlives the service and misbehaves by chance. The service is `run.py run`,
as a user starts it. Everything that can be drawn is drawn from one seed; where the kill falls is up to the machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from core.model.broker import BrokerStatus
from core.model.outcomes import LoggedIn, ReadError
from core.noren import Credentials, NorenClient, profile
from core.runtime import SystemClock
from core.store import Store
from tests.crash.clients import PRICES, Caller
from tests.crash.laws import check_always, check_at_rest
from tests.support import paper_day, wait_until
from tests.support_process import ROOT, Process
from tests.support_service import broker_at

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
    {"kind": "book_502", "path": "OrderBook", "probability": 0.02},
    {"kind": "book_server_timeout", "path": "TradeBook", "probability": 0.02},
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


@dataclass(slots=True)
class Figures:
    """What a run came to; `wrong` is empty when no law was broken."""

    kills: int = 0
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
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures in words."""
        ready = sorted(self.ready_s)
        return [
            f"kills with -9                 {self.kills}",
            f"orders posted                 {self.posted} (and {self.reposted} times again for want of an answer)",
            f"orders answered               {self.answered}",
            f"rows in the database            {self.rows}",
            f"orders at the exchange        {self.at_broker}, executed {self.executed}, fills booked {self.fills}",
            f"outcomes unknown for a while  {self.unknown}: {self.found} found at the exchange, "
            f"{self.proven_absent} proven absent, {self.unknown - self.found - self.proven_absent} left",
            f"registered and never sent     {self.never_sent}",
            f"start to ready                median {ready[len(ready) // 2]:.2f} s, longest {ready[-1]:.2f} s",
            f"run time                      {self.seconds:.0f} s",
            f"laws broken                   {len(self.wrong)}",
        ]


class _Exchange:
    """The paper exchange as a process, and a client of ours that reads its books."""

    def __init__(self, directory: Path) -> None:
        empty = directory / "empty.toml"
        empty.write_text("")
        self.process = subprocess.Popen(
            [sys.executable, "run.py", "--settings", str(empty), "paper", "--json"],
            cwd=ROOT,
            env={
                **os.environ,
                **paper_day(),
                "SIXSTEP_PAPER__WALK_VOLATILITY": "0",
                "SIXSTEP_PAPER__INITIAL_CASH": "1000000000",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        urls = json.loads(self.process.stdout.readline())
        self.rest_url: str = urls["host"]
        self.ws_url: str = urls["websocket"]
        self._control_url: str = urls["control"]
        # Our own login must not end the service's session.
        self.control("set_switch", name="login_replaces_session", value=False)
        for symbol, price in PRICES.items():
            self.control("set_price", exch="NSE", tsym=symbol, price=str(price))
            self.control("hold_price", exch="NSE", tsym=symbol, hold=True)
        self.client = _reader(self)

    def control(self, command: str, **arguments: object) -> dict[str, Any]:
        response = requests.post(f"{self._control_url}/control/{command}", json=arguments, timeout=10)
        answer: dict[str, Any] = response.json()
        return answer

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def _reader(exchange: _Exchange) -> NorenClient:
    environ = broker_at(exchange)
    client = NorenClient(
        profile("noren-gen1", host=environ["SIXSTEP_BROKER__HOST"], websocket=exchange.ws_url),
        Credentials(
            user_id=environ["SIXSTEP_BROKER__USER_ID"],
            password="secret-password",
            totp_secret="JBSWY3DPEHPK3PXP",
            vendor_code="FA00001_U",
            api_secret="api-secret",
        ),
        clock=SystemClock(),
        connect_timeout_s=5,
        read_timeout_s=10,
    )
    assert isinstance(client.login(), LoggedIn)
    return client


def crash(directory: Path, *, kills: int, seed: int, tell: Any = lambda _: None) -> Figures:
    """Start, stream, kill, check; so many times. `tell` hears a line after each kill."""
    clock = SystemClock()
    began = clock.monotonic()
    exchange = _Exchange(directory)
    run = _Run(directory, exchange, seed)
    try:
        for number in range(1, kills + 1):
            run.one_life()
            tell(
                f"{number}/{kills}: ready after {run.figures.ready_s[-1]:.2f} s, {len(run.figures.wrong)} law(s) broken"
            )
        run.last_life()
    finally:
        run.end()
        exchange.stop()
    run.figures.seconds = clock.monotonic() - began
    return run.figures


class _Run:
    def __init__(self, directory: Path, exchange: _Exchange, seed: int) -> None:
        self.figures = Figures()
        self._directory = directory
        self._exchange = exchange
        self._rng = random.Random(seed)
        self._clock = SystemClock()
        self._callers = [Caller(symbol, number, seed) for symbol in PRICES for number in (1, 2)]
        self._checked: dict[str, int] = {}
        self._service: Process | None = None
        self._pause = threading.Event()
        for caller in self._callers:
            caller.start()

    def one_life(self) -> None:
        """Start, check what the death before left, let orders stream, kill."""
        self._exchange.control("clear_faults")
        service = self._start()
        self._check(service)
        for fault in _FAULTS:
            self._exchange.control("add_fault", **fault, seconds=0.05)
        self._stream(service, self._rng.uniform(0.05, 1.2))
        service.kill()
        self.figures.kills += 1
        for caller in self._callers:
            caller.hold()

    def _start(self) -> Process:
        started = self._clock.monotonic()
        self._service = service = Process(self._directory, self._exchange, **_SETTINGS)
        service.wait_ready()
        self.figures.ready_s.append(self._clock.monotonic() - started)
        return service

    def _stream(self, service: Process, seconds: float) -> None:
        for caller in self._callers:
            caller.go_on(service.url)
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            self._move_market()
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

    def _check(self, service: Process) -> None:
        book = self._exchange.client.order_book()
        store = Store.open(service.database, read_only=True)
        answers = [answer for caller in self._callers for answer in self._fresh(caller)]
        self.figures.wrong += check_always(book, store, answers)
        store.close()

    def _fresh(self, caller: Caller) -> list[Any]:
        """Answers since the last check, and a few older ones again."""
        answers = list(caller.answers)
        seen = self._checked.get(caller.name, 0)
        self._checked[caller.name] = len(answers)
        return answers[max(0, seen - 20) :]

    def last_life(self) -> None:
        """Start once more, let everything come to rest, and compare row by row."""
        self._exchange.control("clear_faults")
        service = self._start()
        for caller in self._callers:
            caller.go_on(service.url)
        for caller in self._callers:
            caller.finish()
        store = Store.open(service.database, read_only=True)
        wait_until(lambda: self._is_at_rest(store), 60)
        self._checked.clear()
        self._check(service)
        # Positions are compared a few times a second; two reads after rest, every difference is named.
        wait_until(lambda: not self._differences(service, store), 10) if self._differences(service, store) else None
        self.figures.wrong += self._differences(service, store)
        self._count(store)
        store.close()
        service.process.terminate()
        if service.process.wait(20) != 0:
            self.figures.wrong.append(f"the last stop ended with {service.process.returncode}")

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

    def _differences(self, service: Process, store: Store) -> list[str]:
        guard = requests.get(f"{service.url}/api/guard", timeout=5).json()
        client = self._exchange.client
        return check_at_rest(client.order_book(), client.positions(), store, guard)

    def _count(self, store: Store) -> None:
        figures = self.figures
        figures.posted = sum(caller.posted for caller in self._callers)
        figures.reposted = sum(caller.reposted for caller in self._callers)
        figures.answered = sum(len(caller.answers) for caller in self._callers)

        def count(sql: str) -> int:
            return int(store.database.execute(sql).fetchone()[0])

        figures.rows = count("SELECT COUNT(*) FROM orders")
        figures.at_broker = len(self._exchange.client.order_book())
        figures.executed = count("SELECT COUNT(*) FROM orders WHERE status = 'EXECUTED'")
        figures.fills = count("SELECT COUNT(*) FROM fills")
        once_unknown = "command_id IN (SELECT command_id FROM order_events WHERE unknown)"
        figures.unknown = count(f"SELECT COUNT(*) FROM orders WHERE {once_unknown}")
        figures.found = count(f"SELECT COUNT(*) FROM orders WHERE broker_order_id IS NOT NULL AND {once_unknown}")
        figures.proven_absent = count(f"SELECT COUNT(*) FROM orders WHERE {_ABSENT} AND {once_unknown}")
        figures.never_sent = count("SELECT COUNT(*) FROM orders WHERE tag = 'NEVER_SENT'")

    def end(self) -> None:
        if self._service is not None:
            self._service.end()
