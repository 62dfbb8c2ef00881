"""A day of the whole service on paper, as its user feels it, and then the same service with nothing to do.

    python benchmarks/day.py [--orders 2000] [--every 0.25] [--idle 60] [--directory DIR] [--json]
    python benchmarks/day.py --orders 6000 --every 1 --idle 3600        the full form: 20 minutes, and an hour idle

`run.py run` in a process of its own, with its paper exchange, database, trace and log files. Three strategies inside it
and two senders of webhooks each submit one order every `--every` seconds, ENTRY and EXIT in turn, at market, each in a
share of its own, until `--orders` are submitted. Then nobody does anything for `--idle` seconds.

Told, of the first and the last tenth of the orders: from CREATED to EXECUTED by the record, p50, and the CPU of the
service's process; its memory; the trace on disk. Limits of calls and of risk are lifted; all else is as it comes.
CPU of the exchange is in it, that of the senders is not. Left out: a real network, TLS, open pages.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from common import machine, quantile, say

from actors.addresses import Addresses
from actors.strategy import Strategy
from core.model.order import ExecutionType, OrderIntent, OrderType, Product, Side
from core.runtime import Runtime

SHARES = ("INFY-EQ", "RELIANCE-EQ", "TCS-EQ", "SBIN-EQ", "ITC-EQ")
STRATEGIES = 3
_TICKS = os.sysconf("SC_CLK_TCK")
_LIFTED = {
    "SIXSTEP_RISK__MAX_DAILY_LOSS": "0",
    "SIXSTEP_RISK__MAX_LOSS": "0",
    "SIXSTEP_RISK__COOLDOWN_S": "0",
    "SIXSTEP_RISK__MAX_OPEN_ORDERS": "0",
    "SIXSTEP_RISK__MAX_ORDERS_PER_DAY": "0",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "1000",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "50000",
    "SIXSTEP_WEB__REQUESTS_PER_MIN": "1000000",
    "SIXSTEP_WEB__PORT": "0",
}


class Trader(Strategy):
    """Submits an order every so many seconds: in and out in turn."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        strategy: str,
        symbol: str,
        every_s: float,
        orders: int,
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._symbol, self._every_s, self._left = symbol, every_s, orders
        self._enters = True

    def on_start(self) -> None:
        self.every("next", self._every_s)

    def on_timer(self, key: str) -> None:
        if not self._left:
            self.cancel_timer(key)
        else:
            self._left -= 1
            fields = order(self.strategy, self._symbol, enters=self._enters)
            self._enters = not self._enters
            self.submit(
                OrderIntent(
                    strategy=self.strategy,
                    execution_type=ExecutionType(fields["execution_type"]),
                    exchange="NSE",
                    symbol=self._symbol,
                    side=Side(fields["side"]),
                    quantity=10,
                    product=Product.MIS,
                    order_type=OrderType.MARKET,
                )
            )


def order(strategy: str, symbol: str, *, enters: bool) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "execution_type": "ENTRY" if enters else "EXIT",
        "exchange": "NSE",
        "symbol": symbol,
        "side": "BUY" if enters else "SELL",
        "quantity": 10,
        "product": "MIS",
        "order_type": "MARKET",
    }


class Service:
    """`run.py run` as a process, and what the system says of it."""

    def __init__(self, directory: Path, every_s: float, orders: int) -> None:
        root = Path(__file__).resolve().parent.parent
        self.data = directory / "data"
        file = directory / "settings.toml"
        traders = [
            f'[[strategies]]\nclass = "day.Trader"\nname = "inside{place}"\nsymbol = "{symbol}"\n'
            f"every_s = {every_s}\norders = {orders}\n"
            for place, symbol in enumerate(SHARES[:STRATEGIES])
        ]
        file.write_text("\n".join(traders))
        environ: Mapping[str, str] = {
            **os.environ,
            **_LIFTED,
            "SIXSTEP_SERVICE__DATA_DIR": str(self.data),
            "PYTHONPATH": os.pathsep.join((str(root), str(root / "benchmarks"))),
        }
        self._log = (directory / "stderr").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(root / "run.py"), "--settings", str(file), "run"], env=environ, stderr=self._log
        )
        self.pid = self._process.pid
        self.port = int(self._told("dashboard, API and webhook: ").rpartition(":")[2])
        self._told(" ready")

    def _told(self, text: str) -> str:
        """Wait for a line of its log."""
        for _ in range(600):
            for line in Path(self._log.name).read_text().splitlines():
                if text in line:
                    return line
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(Path(self._log.name).read_text())

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def trace_kb(self) -> float:
        return sum(file.stat().st_size for file in self.data.rglob("trace-*")) / 1000

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{self.data / 'sixstep.db'}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()


def send(port: int, strategy: str, symbol: str, every_s: float, orders: int) -> None:
    """The sender of one kind of webhook: an order at each beat, also where the answer to the last one is late."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.monotonic()
    for number in range(orders):
        time.sleep(max(0.0, began + (number + 1) * every_s - time.monotonic()))
        body = json.dumps(order(strategy, symbol, enters=number % 2 == 0))
        connection.request("POST", "/webhook", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def run(service: Service, orders: int, every_s: float, idle_s: float) -> dict[str, Any]:
    each = orders // len(SHARES)
    ready_mb, began = service.resident_mb(), service.cpu_s()
    senders = [
        threading.Thread(target=send, args=(service.port, f"hook{place}", symbol, every_s, each))
        for place, symbol in enumerate(SHARES[STRATEGIES:])
    ]
    for sender in senders:
        sender.start()
    samples = [(0, time.monotonic(), began)]
    while any(sender.is_alive() for sender in senders):
        time.sleep(min(1.0, each * every_s / 20))
        samples.append((service.rows("SELECT count(*) FROM orders")[0][0], time.monotonic(), service.cpu_s()))
    time.sleep(2 * every_s + 2)
    done = [(status, took) for status, took in _lives(service)]
    tenth = len(done) // 10
    first, last = ([took for _, took in part if took is not None] for part in (done[:tenth], done[-tenth:]))
    early, late = _spent(samples, 0, tenth), _spent(samples, len(done) - tenth, len(done))
    busy_mb, trace_kb = service.resident_mb(), service.trace_kb()
    idle_began, idle_from = service.cpu_s(), time.monotonic()
    time.sleep(idle_s)
    return {
        "orders": len(done),
        "executed": sum(status == "EXECUTED" for status, _ in done),
        "every_s": every_s,
        "executed_first_ms": round(quantile(first, 0.5), 1),
        "executed_last_ms": round(quantile(last, 0.5), 1),
        "cpu_first_percent": round(early[0] * 100, 1),
        "cpu_last_percent": round(late[0] * 100, 1),
        "cpu_first_ms_an_order": round(early[1] * 1000, 2),
        "cpu_last_ms_an_order": round(late[1] * 1000, 2),
        "resident_ready_mb": round(ready_mb),
        "resident_end_mb": round(busy_mb),
        "trace_kb_an_order": round(trace_kb / len(done), 1),
        "idle_s": idle_s,
        "idle_cpu_percent": round((service.cpu_s() - idle_began) / (time.monotonic() - idle_from) * 100, 2),
        "idle_resident_mb": round(service.resident_mb()),
        "idle_trace_kb_a_minute": round((service.trace_kb() - trace_kb) / (time.monotonic() - idle_from) * 60, 1),
    }


def _lives(service: Service) -> list[tuple[str, float | None]]:
    """Each order's status and the milliseconds from CREATED to EXECUTED, in the order they were created."""
    found = service.rows(
        "SELECT orders.status, orders.created_at, min(order_events.at) FROM orders LEFT JOIN order_events ON "
        "order_events.command_id = orders.command_id AND order_events.to_status = 'EXECUTED' "
        "GROUP BY orders.command_id ORDER BY orders.created_at"
    )
    return [(status, None if at is None else _ms(created, at)) for status, created, at in found]


def _ms(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000


def _spent(samples: list[tuple[int, float, float]], first: int, last: int) -> tuple[float, float]:
    """The share of a core, and the CPU seconds an order, while the orders with these numbers came."""
    begin = max((sample for sample in samples if sample[0] <= first), key=lambda sample: sample[1])
    end = min((sample for sample in samples if sample[0] >= last), key=lambda sample: sample[1], default=samples[-1])
    return (end[2] - begin[2]) / (end[1] - begin[1]), (end[2] - begin[2]) / max(1, end[0] - begin[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=2000, help="orders in all")
    parser.add_argument("--every", type=float, default=0.25, help="seconds between two orders of one of the five")
    parser.add_argument("--idle", type=float, default=60, help="seconds of nothing afterwards")
    parser.add_argument("--directory", type=Path, help="where the data is; a fresh temporary one by default")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    given = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        service = Service(Path(name), given.every, given.orders // len(SHARES))
        try:
            found = run(service, given.orders, given.every, given.idle)
        finally:
            service.stop()
    if given.json:
        say(json.dumps({"benchmark": "day", "machine": on, **found}))
        return
    say(on)
    for key, value in found.items():
        say(f"  {key.replace('_', ' '):26} {value}")


if __name__ == "__main__":
    main()
