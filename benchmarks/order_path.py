"""From submit to the broker call, durable, beside the bare cost of as many hops and commits, in one run.

    python benchmarks/order_path.py [--orders 400] [--rounds 5] [--directory DIR]

Ours: the whole cast on threads with its real database (SQLite, WAL, synchronous=FULL); a broker client that answers at
once. Timed from the moment `SubmitOrder` is told to the moment `place_order` is called. On the way lie ten hops and two
durable commits.

The floor: ten bare Pykka hops through ten actors; two of them make one durable commit each, an INSERT and an UPDATE of
a row of the same size, with Python's sqlite3 alone.

One order at a time, all threads asleep before each ("5 ms idle": the real case), ours and the floor in turn. Left out:
the HTTP door, the wire to the broker, a busy second strategy, PostgreSQL.
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pykka
from loguru import logger

from actors.system import Outside, build_cast
from core.messages import SubmitOrder
from core.noren import Accepted, LoggedIn
from core.order import ExecutionType, Order, OrderIntent, OrderType, Product, Side, Source
from core.runtime import SystemClock, ThreadRuntime
from core.settings import load_settings
from core.store import Store

HOPS = 10
IDLE_S = 0.005
ROW = "x" * 600


class AtOnce:
    """A broker that takes every order at once and remembers when it was called."""

    def __init__(self) -> None:
        self.called = threading.Semaphore(0)
        self.at = 0.0
        self._number = 0

    def login(self) -> LoggedIn:
        return LoggedIn("BENCH", "token")

    def place_order(self, order: Order) -> Accepted:
        self.at = time.perf_counter()
        self._number += 1
        self.called.release()
        return Accepted(f"{self._number:014d}")

    def order_book(self) -> tuple[()]:
        return ()

    trade_book = positions = order_book

    def quote(self, exchange: str, symbol: str) -> Any:
        raise NotImplementedError

    def quote_calls(self, exchange: str, symbol: str) -> int:
        return 1


class Ours:
    """The cast, ready."""

    def __init__(self, directory: Path) -> None:
        settings = load_settings(
            None,
            {
                "SIXSTEP_SERVICE__DATA_DIR": str(directory),
                "SIXSTEP_RISK__MAX_OPEN_ORDERS": "0",
                "SIXSTEP_RISK__MAX_ORDERS_PER_DAY": "0",
                "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "100000",
                "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "10000000",
            },
        )
        self.broker = AtOnce()
        self.runtime = ThreadRuntime(SystemClock())
        ready = self.runtime.open_reply()
        url = f"sqlite:///{directory / 'path.db'}"
        build_cast(
            self.runtime,
            settings,
            Outside(open_store=lambda: Store.open(url), open_client=lambda: self.broker),
            ready_listener=ready.name,
            after_each=lambda name: self.runtime.barrier(name, 10),
        )
        ready.future.result(10)
        self._number = 0

    def once(self) -> float:
        """Seconds from submit to the broker call."""
        self._number += 1
        intent = OrderIntent(
            strategy=f"s{self._number}",
            execution_type=ExecutionType.ENTRY,
            exchange="NSE",
            symbol="INFY-EQ",
            side=Side.BUY,
            quantity=50,
            product=Product.MIS,
            order_type=OrderType.LIMIT,
            price=Decimal("1500.05"),
        )
        started = time.perf_counter()
        self.runtime.tell("command_service", SubmitOrder(intent, Source.STRATEGY))
        assert self.broker.called.acquire(timeout=10)
        return self.broker.at - started

    def close(self) -> None:
        self.runtime.stop(10)


class BareHop(pykka.ThreadingActor):
    """Passes a message on; the second and the seventh commit first."""

    use_daemon_thread = True

    def __init__(self, place: int, following: Any, floor: Floor) -> None:
        super().__init__()
        self._place = place
        self._following = following
        self._floor = floor

    def on_start(self) -> None:
        self._database: sqlite3.Connection | None = None
        if self._place in (1, 7):
            self._database = sqlite3.connect(self._floor.path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, status TEXT, body TEXT)")

    def on_receive(self, message: int) -> None:
        if self._database is not None:
            self._database.execute("BEGIN IMMEDIATE")
            if self._place == 1:
                self._database.execute("INSERT INTO rows VALUES (?, 'CREATED', ?)", (message, ROW))
            else:
                self._database.execute("UPDATE rows SET status='SENT' WHERE id=?", (message,))
            self._database.execute("COMMIT")
        if self._following is None:
            self._floor.at = time.perf_counter()
            self._floor.arrived.release()
        else:
            self._following.tell(message)


class Floor:
    """Ten bare hops and two bare commits."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "floor.db"
        self.arrived = threading.Semaphore(0)
        self.at = 0.0
        following = None
        self._refs = []
        for place in reversed(range(HOPS)):
            following = BareHop.start(place, following, self)
            self._refs.append(following)
        self._first: Any = following
        self._number = 0

    def once(self) -> float:
        """Seconds from the first tell to the last handler."""
        self._number += 1
        started = time.perf_counter()
        self._first.tell(self._number)
        assert self.arrived.acquire(timeout=10)
        return self.at - started

    def close(self) -> None:
        for ref in self._refs:
            ref.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=400, help="orders a round and variant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the databases are; a fresh temporary one by default")
    given = parser.parse_args()
    logger.remove()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        ours, floor = Ours(Path(name)), Floor(Path(name))
        times = measure({"ours": ours, "floor": floor}, given.orders, given.rounds)
        ours.close()
        floor.close()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"SQLite {sqlite3.sqlite_version}; {given.rounds} rounds of {given.orders} orders, in turn")
    print(f"{HOPS} hops and 2 durable commits from submit to the broker call, microseconds:")
    for label, values in times.items():
        values.sort()
        print(f"  {label:6} p50 {quantile(values, 0.5):8.0f}   p99 {quantile(values, 0.99):8.0f}")
    for share in (0.5, 0.99):
        ratio = quantile(times["ours"], share) / quantile(times["floor"], share)
        print(f"  ratio ours/floor at p{share * 100:g}: {ratio:.2f}")


def measure(variants: dict[str, Any], orders: int, rounds: int) -> dict[str, list[float]]:
    """Times in microseconds; the first round of each is not counted."""
    pause = threading.Event()
    times: dict[str, list[float]] = {label: [] for label in variants}
    for turn in range(rounds + 1):
        for label, variant in variants.items():
            for _ in range(orders if turn else orders // 4):
                pause.wait(IDLE_S)
                took = variant.once()
                if turn:
                    times[label].append(took * 1e6)
    return times


def quantile(ordered: list[float], share: float) -> float:
    return statistics.quantiles(ordered, n=1000, method="inclusive")[int(share * 1000) - 1]


if __name__ == "__main__":
    main()
