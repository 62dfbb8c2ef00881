"""What the benchmarks of the whole path share: a broker that answers at once, the actors around it, and who submits."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from actors.system import Outside, dispatchers, spawn_actors
from core.messages import OrderAnswer, SubmitOrder
from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus, BrokerTrade
from core.model.order import ExecutionType, Order, OrderIntent, OrderType, Product, Side, Source
from core.model.outcomes import Accepted, LoggedIn
from core.runtime import Actor, Message, Runtime, SystemClock, ThreadRuntime, Tracer, freeze_start, tune_interpreter
from core.settings import Settings, load_settings
from core.store import Store

__all__ = [
    "AtOnce",
    "Run",
    "Sixstep",
    "intent_number",
    "machine",
    "open_report",
    "quantile",
    "say",
    "settings_for",
]

PRICE = Decimal("1500.05")
SYMBOLS = 50


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def machine() -> str:
    """One line: when and on what a figure was measured."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, {os.cpu_count()} cores (load before: {load}), {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def quantile(values: list[float], share: float) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(sorted(values), n=1000, method="inclusive")[int(share * 1000) - 1]


def intent_number(number: int) -> OrderIntent:
    """An ENTRY of a strategy of its own, so that no blocker has anything against it."""
    return OrderIntent(
        strategy=f"s{number}",
        execution_type=ExecutionType.ENTRY,
        exchange="NSE",
        symbol=f"SYMBOL{number % SYMBOLS}-EQ",
        side=Side.BUY,
        quantity=50,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=PRICE,
    )


def open_report(order: Order, broker_order_id: str) -> BrokerOrderReport:
    """The row of an order that rests at the exchange."""
    return BrokerOrderReport(
        broker_order_id=broker_order_id,
        client_tag=order.command_id,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        status=BrokerStatus.OPEN,
        raw_status="OPEN",
        filled_quantity=0,
    )


class AtOnce:
    """A broker that takes every order at once, and remembers when it was called.

    Args:
        resting: rows of the order book beside those of the orders it takes, which rest there too.
        fills: the book shows its own orders as filled instead, and the trade book by which trades.
    """

    def __init__(self, resting: tuple[BrokerOrderReport, ...] = (), *, fills: bool = False) -> None:
        self.called = threading.Semaphore(0)
        self.at = 0.0
        self._fills = fills
        self._first = len(resting)
        self._taken: list[Order] = []
        self._orders = list(resting)
        self._trades: list[BrokerTrade] = []

    def login(self) -> LoggedIn:
        return LoggedIn("BENCH", "token")

    def place_order(self, order: Order) -> Accepted:
        self.at = time.perf_counter()
        self._taken.append(order)
        self.called.release()
        return Accepted(_number(self._first + len(self._taken)))

    def cancel_order(self, broker_order_id: str) -> Accepted:
        return Accepted(broker_order_id)

    def order_book(self) -> tuple[BrokerOrderReport, ...]:
        for place in range(len(self._orders) - self._first, len(self._taken)):
            order = self._taken[place]
            report = open_report(order, _number(self._first + place + 1))
            self._orders.append(_filled(report, order) if self._fills else report)
        return tuple(self._orders)

    def trade_book(self) -> tuple[BrokerTrade, ...]:
        if self._fills:
            for place in range(len(self._trades), len(self._taken)):
                self._trades.append(_trade(self._taken[place], _number(self._first + place + 1)))
        return tuple(self._trades)

    def positions(self) -> tuple[BrokerPosition, ...]:
        if not self._fills:
            return ()
        held: Counter[tuple[str, str, Product | None]] = Counter()
        for order in self._taken:
            held[order.exchange, order.symbol, order.product] += order.side.sign * order.quantity
        nothing = Decimal(0)
        return tuple(
            BrokerPosition(
                exchange=exchange,
                symbol=symbol,
                product=product,
                net_quantity=quantity,
                realised=nothing,
                unrealised=nothing,
            )
            for (exchange, symbol, product), quantity in held.items()
        )

    def instruments(self, exchange: str, text: str) -> tuple[()]:
        raise NotImplementedError

    def quote(self, exchange: str, symbol: str) -> Any:
        raise NotImplementedError

    def quote_calls(self, exchange: str, symbol: str) -> int:
        return 1

    def take_unreadable(self) -> tuple[()]:
        return ()


def _number(number: int) -> str:
    return f"{number:014d}"


def _filled(report: BrokerOrderReport, order: Order) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id=report.broker_order_id,
        client_tag=report.client_tag,
        exchange=report.exchange,
        symbol=report.symbol,
        side=report.side,
        quantity=report.quantity,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=order.quantity,
        average_price=order.intent.price,
    )


def _trade(order: Order, number: str) -> BrokerTrade:
    return BrokerTrade(
        broker_order_id=number,
        broker_trade_id=f"t{number}",
        client_tag=order.command_id,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=PRICE,
        at=order.created_at,
    )


@dataclass(frozen=True, slots=True)
class _Submit(Message):
    """To the submitter: so many orders, so many at a time; 0: all at once."""

    first: int
    orders: int
    at_a_time: int
    make: Callable[[int], OrderIntent]


@dataclass(slots=True)
class Run:
    """What a run of orders took."""

    orders: int
    seconds: float
    answers_s: list[float]
    refused: list[str]
    cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return self.orders / self.seconds

    def __str__(self) -> str:
        refused = f", {len(self.refused)} NOT TAKEN: {self.refused[0]}" if self.refused else ""
        return (
            f"{self.per_second:6.0f} orders/s, submit to answer p50 {self.ms(0.5):8.2f} ms, "
            f"p99 {self.ms(0.99):8.2f} ms, {self.cpu_s / self.orders * 1e6:5.0f} us of CPU an order{refused}"
        )

    def ms(self, share: float) -> float:
        return quantile(self.answers_s, share) * 1000


class _Submitter(Actor):
    """Submits as a strategy does, and notes when each order was answered, which is after step 5."""

    def __init__(self, runtime: Runtime, name: str, *, done: threading.Event) -> None:
        super().__init__(runtime, name)
        self._done = done
        self.result: Run | None = None

    def on_submit(self, message: _Submit) -> None:
        self._next = message.first
        self._last = message.first + message.orders
        self._sent_at: list[float] = []
        self._run = Run(message.orders, 0.0, [], [])
        self._make = message.make
        self._at_a_time = bool(message.at_a_time)
        self._began = time.perf_counter()
        for _ in range(message.at_a_time or message.orders):
            self._submit()

    def _submit(self) -> None:
        if self._next < self._last:
            intent = self._make(self._next)
            self._next += 1
            self._sent_at.append(time.perf_counter())
            self.tell_name("command_service", SubmitOrder(intent, Source.STRATEGY, self.name))

    def on_order_answer(self, message: OrderAnswer) -> None:
        # Answers come in the order of the submissions: every mailbox on the way is first come, first served.
        run, now = self._run, time.perf_counter()
        run.answers_s.append(now - self._sent_at[len(run.answers_s)])
        if not message.result.success:
            run.refused.append(str(message.result.reason))
        if len(run.answers_s) == run.orders:
            run.seconds = now - self._began
            self.result = run
            self._done.set()
        elif self._at_a_time:
            self._submit()


def settings_for(directory: Path) -> Settings:
    """The defaults, with nothing that would hold an order back: no limits, and room for a burst of 10,000."""
    return load_settings(
        None,
        {
            "SIXSTEP_SERVICE__DATA_DIR": str(directory),
            "SIXSTEP_RISK__MAX_OPEN_ORDERS": "0",
            "SIXSTEP_RISK__MAX_ORDERS_PER_DAY": "0",
            "SIXSTEP_LIMITS__SEND_DEADLINE_S": "600",
            "SIXSTEP_LIMITS__EXIT_DEADLINE_S": "600",
            "SIXSTEP_LIMITS__MAILBOX_LETTERS": "40000",
            "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "100000",
            "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "10000000",
        },
    )


class Sixstep:
    """All actors on threads, as `actors.service` builds it, ready; a real database and a broker object.

    Args:
        directory: for the database and the trace files.
        broker: what stands in for the broker.
        database: the file, if it is there already; by default a new one.
        trace_files: write them, as the service does; otherwise the trace is in memory only.
        shared: actors share threads as in the service; otherwise each has its own.
    """

    def __init__(
        self,
        directory: Path,
        broker: AtOnce,
        *,
        database: Path | None = None,
        trace_files: bool = True,
        shared: bool = True,
    ) -> None:
        tune_interpreter()
        self.broker = broker
        settings = settings_for(directory)
        clock = SystemClock()
        traces = settings.trace_dir if trace_files else None
        tracer = Tracer(clock, ring=settings.trace.ring, directory=traces, timezone=settings.zone)
        self.runtime = ThreadRuntime(
            clock,
            tracer,
            mailbox_capacity=settings.limits.mailbox_letters,
            dispatchers=dispatchers(settings) if shared else None,
        )
        url = f"sqlite:///{database or directory / 'path.db'}"
        ready = self.runtime.open_reply()
        spawn_actors(
            self.runtime,
            settings,
            Outside(open_store=lambda: Store.open(url), open_client=lambda: self.broker),
            ready_listener=ready.name,
            after_each=lambda name: self.runtime.barrier(name, 60),
        )
        ready.future.result(60)
        freeze_start()
        self._done = threading.Event()
        self.runtime.spawn(_Submitter, "submitter", done=self._done)
        self._submitter: Any = self.runtime._actors["submitter"]
        self._numbers = count(1)

    def once(self) -> float:
        """Seconds from one submission to the broker call."""
        intent = intent_number(next(self._numbers))
        started = time.perf_counter()
        self.runtime.tell("command_service", SubmitOrder(intent, Source.STRATEGY))
        assert self.broker.called.acquire(timeout=10)
        return self.broker.at - started

    def submit(
        self,
        orders: int,
        at_a_time: int,
        *,
        make: Callable[[int], OrderIntent] = intent_number,
        patience_s: float = 600.0,
    ) -> Run:
        """Submit so many orders, and wait for the last answer.

        Args:
            orders: how many.
            at_a_time: how many are on their way at once; 0: all of them.
            make: the intent of a number.
            patience_s: give up after so long.
        """
        first = next(self._numbers)
        self._numbers = count(first + orders)
        self._done.clear()
        cpu = time.process_time()
        self.runtime.tell("submitter", _Submit(first, orders, at_a_time, make))
        if not self._done.wait(patience_s):
            got = len(self._submitter._run.answers_s)
            raise TimeoutError(
                f"{got} of {orders} orders were answered; {self.runtime.dead_letters.count} dead letters"
            )
        run = self._submitter.result
        assert isinstance(run, Run)
        run.cpu_s = time.process_time() - cpu
        return run

    def settle(self, patience_s: float = 120.0) -> None:
        """Wait until no envelope is on its way and no line is to be written to the trace."""
        self.runtime.wait_idle(patience_s)
        self.runtime.tracer.flush()

    def close(self) -> None:
        self.runtime.stop(20)
