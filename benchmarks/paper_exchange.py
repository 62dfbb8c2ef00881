"""What the core of the paper exchange does a second in memory, without any server or client around it.

    python benchmarks/paper_exchange.py [--orders N] [--accounts N] [--profile]

Requests are made before the clock starts, as NorenRestApiPy 0.0.22 writes them; each PlaceOrder is taken through all
its stages up to its fills, and exchange time goes on a millisecond with each. `with sockets` has one socket per account
that gets every `om` frame. One process, one core; what is told is CPU time, so a busy machine does not change it much.

Left out on purpose: HTTP and WebSocket (see `paper_exchange_http.py`), the client library, and replies being parsed.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import sys
import time
from datetime import UTC, datetime, timedelta

from core.paper.config import ExchangeConfig
from core.paper.exchange import Exchange
from core.paper.wire import Request

START = datetime(2026, 11, 3, 4, 30, tzinfo=UTC)
SHARES = {"INFY-EQ": 1518, "RELIANCE-EQ": 1452, "TCS-EQ": 3120, "SBIN-EQ": 912, "ITC-EQ": 408}


class Load:
    """An exchange with accounts that are logged in, and the requests to throw at it."""

    def __init__(self, accounts: int, sockets: bool) -> None:
        self.now = START
        self.exchange = Exchange(ExchangeConfig(), now=self.now)
        self.tokens = {f"U{n:03}": "" for n in range(accounts)}
        for uid in self.tokens:
            reply = self.call("QuickAuth", {"uid": uid, "pwd": "x", "factor2": "1"}, "")
            self.tokens[uid] = reply["susertoken"]
            if sockets:
                self.exchange.connect(uid, self.now)
                frame = {"t": "c", "uid": uid, "susertoken": self.tokens[uid]}
                self.exchange.receive(uid, json.dumps(frame), self.now)
                self.exchange.receive(uid, '{"t":"o"}', self.now)

    def call(self, endpoint: str, fields: dict[str, str], token: str) -> dict[str, str]:
        step = self.exchange.handle(request(endpoint, fields, token), self.now)
        assert step.reply is not None
        return dict(json.loads(step.reply.body))

    def orders(self, count: int, *, marketable: bool) -> list[Request]:
        """Buys and sells in turn, so that no account runs out of margin."""
        made = []
        for number in range(count):
            uid = f"U{number % len(self.tokens):03}"
            tsym, price = list(SHARES.items())[number % len(SHARES)]
            buys = (number // len(self.tokens)) % 2 == 0
            away = 0.03 if marketable else -0.05
            fields = {
                "ordersource": "API",
                "uid": uid,
                "actid": uid,
                "trantype": "B" if buys else "S",
                "prd": "I",
                "exch": "NSE",
                "tsym": tsym,
                "qty": "1",
                "dscqty": "0",
                "prctyp": "LMT",
                "prc": str(round(price * (1 + away if buys else 1 - away))),
                "trgprc": "None",
                "ret": "DAY",
                "remarks": f"b-{number}",
                "amo": "NO",
            }
            made.append(request("PlaceOrder", fields, self.tokens[uid]))
        return made

    def run(self, requests: list[Request]) -> float:
        """Handle them all; the seconds of CPU time taken."""
        begin = time.process_time()
        for one in requests:
            step = self.exchange.handle(one, self.now)
            assert step.reply is not None
            assert b'"stat":"Ok"' in step.reply.body, step.reply.body
            self.now += timedelta(milliseconds=1)
        self.exchange.advance(self.now + timedelta(seconds=1))
        return time.process_time() - begin


def request(endpoint: str, fields: dict[str, str], token: str) -> Request:
    return Request(f"/NorenWClientTP//{endpoint}", f"jData={json.dumps(fields)}&jKey={token}".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--accounts", type=int, default=50)
    parser.add_argument("--profile", action="store_true", help="where the time of the first run goes")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, {arguments.accounts} accounts")
    if arguments.profile:
        load = Load(arguments.accounts, sockets=True)
        requests = load.orders(arguments.orders, marketable=True)
        cProfile.runctx("load.run(requests)", {}, {"load": load, "requests": requests}, sort="tottime")
        return
    for name, sockets, marketable in (
        ("marketable, no sockets", False, True),
        ("marketable, with sockets", True, True),
        ("resting, with sockets", True, False),
    ):
        load = Load(arguments.accounts, sockets)
        seconds = load.run(load.orders(arguments.orders, marketable=marketable))
        rate = arguments.orders / seconds
        cost_us = seconds / arguments.orders * 1e6
        line = f"{name:26} {rate:8.0f} PlaceOrder/s  {cost_us:6.0f} us each"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
