"""How old books and positions become beside strategies, from the paper exchange's own log of requests.

    python benchmarks/books.py [--seconds 600] [--json]

`run.py run` in a process of its own with the settings as shipped, and three strategies that follow ten instruments
each. One of them buys and sells at market, so that orders are open now and then. Told: the longest time between two
requests for the order book and for positions; those that were longer than they may be, and when they began; calls in
the busiest minute, of which 120 are allowed; and how many there were of each kind. The exchange runs inside the
service, as it is shipped; on a machine that is busy otherwise the log shows that too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import machine, say

from actors.addresses import Addresses
from actors.strategy import Strategy
from core.model.order import ExecutionType, OrderIntent, OrderType, Product, Side
from core.runtime import Runtime

FOLLOWED = 10
WITHIN_S = {"OrderBook": 2.0, "PositionBook": 6.0}
STRATEGIES = """
[[strategies]]
class = "books.Trader"
name = "{name}"
first = {first}
trades_every_s = {trades_every_s}
"""
SHARES = (
    *("RELIANCE", "TCS", "INFY", "HDFCBANK", "ICICIBANK", "SBIN", "ITC", "LT", "AXISBANK", "KOTAKBANK"),
    *("BHARTIARTL", "HINDUNILVR", "MARUTI", "TITAN", "SUNPHARMA", "WIPRO", "HCLTECH", "ONGC", "NTPC", "POWERGRID"),
    *("TATASTEEL", "JSWSTEEL", "COALINDIA", "CIPLA", "DRREDDY", "GRASIM", "HINDALCO", "NESTLEIND", "TECHM", "BPCL"),
)


class Trader(Strategy):
    """Follows ten shares; with `trades_every_s`, goes in and out of the first at market."""

    def __init__(
        self, runtime: Runtime, name: str, *, addresses: Addresses, strategy: str, first: int, trades_every_s: float
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._symbols = [f"{share}-EQ" for share in SHARES[first : first + FOLLOWED]]
        self._every_s, self._enters = trades_every_s, True

    def on_start(self) -> None:
        for symbol in self._symbols:
            self.quotes("NSE", symbol, every_s=1.0)
        if self._every_s:
            self.every("trade", self._every_s)

    def on_timer(self, key: str) -> None:
        kind, side = (ExecutionType.ENTRY, Side.BUY) if self._enters else (ExecutionType.EXIT, Side.SELL)
        self._enters = not self._enters
        what: dict[str, Any] = {"exchange": "NSE", "symbol": self._symbols[0], "quantity": 10, "product": Product.MIS}
        intent = OrderIntent(
            strategy=self.strategy, execution_type=kind, side=side, order_type=OrderType.MARKET, **what
        )
        self.submit(intent)


def measure(directory: Path, seconds: float) -> dict[str, Any]:
    root = Path(__file__).resolve().parent.parent
    entries = [
        STRATEGIES.format(name=f"s{number}", first=number * FOLLOWED, trades_every_s=0 if number else 20)
        for number in range(3)
    ]
    settings = directory / "settings.toml"
    settings.write_text("".join(entries))
    environ = {
        **os.environ,
        "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"),
        "SIXSTEP_WEB__PORT": "0",
        "PYTHONPATH": os.pathsep.join((str(root), str(root / "benchmarks"))),
    }
    with (directory / "stderr").open("w+") as log:
        command = [sys.executable, str(root / "run.py"), "--settings", str(settings), "run"]
        process = subprocess.Popen(command, env=environ, stderr=log)
        try:
            page = told(Path(log.name), "live page: ").rpartition(" ")[2].rstrip(")/")
            time.sleep(seconds)
            with urllib.request.urlopen(f"{page}/requests", timeout=30) as reply:
                requests = [(datetime.fromisoformat(one["at"]).timestamp(), one["path"]) for one in json.load(reply)]
            now = time.time()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    return figures(requests, now)


def told(log: Path, text: str) -> str:
    for _ in range(600):
        line = next((line for line in log.read_text().splitlines() if text in line), None)
        if line is not None:
            return line
        time.sleep(0.1)
    raise RuntimeError(log.read_text())


def figures(requests: list[tuple[float, str]], now: float) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": round(now - requests[0][0])}
    for path, within_s in WITHIN_S.items():
        times = [at for at, asked in requests if asked == path]
        gaps = [later - earlier for earlier, later in pairwise([*times, now])]
        found[f"{path}_oldest_s"] = round(max(gaps), 2)
        found[f"{path}_beyond_{within_s:g}_s"] = [
            f"{gap:.2f} at {at - requests[0][0]:.0f} s" for at, gap in zip(times, gaps, strict=True) if gap > within_s
        ]
        found[f"{path}_requests"] = len(times)
    ats = [at for at, _ in requests]
    found["busiest_minute_calls"] = max(sum(at <= one < at + 60 for one in ats) for at in ats)
    found["calls"] = dict(Counter(path for _, path in requests).most_common())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    given = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), given.seconds)
    if given.json:
        say(json.dumps({"benchmark": "books", "machine": on, **found}))
        return
    say(on)
    for key, value in found.items():
        say(f"  {key.replace('_', ' '):28} {value}")


if __name__ == "__main__":
    main()
