"""From submit to the broker call, durable, beside the bare cost of as many hops and commits, in one run.

    python benchmarks/order_path.py [--orders 400] [--rounds 5] [--directory DIR]

Ours: all actors on threads with its real database (SQLite, WAL, synchronous=FULL) and trace files, as in the
service; a broker client that answers at once, and whose order book shows what it took. Timed from the moment
`SubmitOrder` is told to the moment `place_order` is called. On the way lie ten hops and two durable commits.

The floor: ten bare Pykka hops through ten actors; two of them make one durable commit each, an INSERT and an UPDATE of
a row of the same size, with Python's sqlite3 alone.

One order at a time, all threads asleep before each ("5 ms idle": the real case), ours and the floor in turn. Left out:
the HTTP door, the wire to the broker, a busy second strategy, PostgreSQL.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pykka
from common import AtOnce, Sixstep, machine, quantile, say
from loguru import logger

HOPS = 10
IDLE_S = 0.005
ROW = "x" * 600


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
    say(machine())
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        ours, floor = Sixstep(Path(name), AtOnce()), Floor(Path(name))
        times = measure({"ours": ours, "floor": floor}, given.orders, given.rounds)
        ours.close()
        floor.close()
    say(f"{HOPS} hops and 2 durable commits from submit to the broker call, microseconds;")
    say(f"{given.rounds} rounds of {given.orders} orders, in turn:")
    for label, values in times.items():
        say(f"  {label:6} p50 {quantile(values, 0.5):8.0f}   p99 {quantile(values, 0.99):8.0f}")
    for share in (0.5, 0.99):
        ratio = quantile(times["ours"], share) / quantile(times["floor"], share)
        say(f"  ratio ours/floor at p{share * 100:g}: {ratio:.2f}")


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


if __name__ == "__main__":
    main()
