"""OpenAlgo's own client against a service that is killed, or asked for more than its broker takes.

    python -m tests.crash.openalgo [--calls 500] [--kills 5]
    python -m tests.crash.openalgo --flood [--calls 5000] [--seconds 60]

The first: clients place orders, each under a key of its own, and call again until they are answered, while the service
is killed with -9 among them. The second: ten clients offer more orders than the call budget lets to the broker, and do
not call again. Then each answer is held against the exchange's book and the record: nothing lost, nothing doubled, no
answer that says otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from bisect import bisect_left
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import requests
from openalgo import api

from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.store import Store, check
from tests.crash.exchange import reader
from tests.support import wait_until
from tests.support_openalgo import KEY, OPENALGO
from tests.support_process import Process

PATIENCE_S = 600
_BARE: dict[str, Any] = {
    **OPENALGO,
    "SIXSTEP_INSTRUMENTS__EXCHANGES": " ",
    "SIXSTEP_OPENALGO__WS_PORT": "0",
    "SIXSTEP_RISK__MAX_OPEN_ORDERS": "0",
}
_RESTS: dict[str, Any] = {"symbol": "INFY-EQ", "exchange": "NSE", "action": "BUY", "product": "MIS"}


@dataclass
class Calls:
    """Who calls which service; a call that is not answered waits for another one."""

    services: list[Process]
    began: Counter[int] = field(default_factory=Counter)
    told: threading.Condition = field(default_factory=threading.Condition)

    def place(self, number: int) -> dict[str, Any]:
        """As a program does that calls again, under its key, until it is answered."""
        while True:
            with self.told:
                self.began[number] += 1
                self.told.notify_all()
                service = self.services[-1]
            client = api(api_key=KEY, host=service.url)
            answer: dict[str, Any] = client.placeorder(
                strategy=f"s{number}", **_RESTS, price_type="LIMIT", price=1450, quantity=1, idempotency_key=key(number)
            )
            # The client gives what was answered its HTTP status; where nothing was, there is none.
            if answer["status"] != "error" or "code" in answer:
                return answer
            with self.told:
                assert self.told.wait_for(partial(self._is_another, service), PATIENCE_S)

    def wait_for(self, share: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.began) >= share, PATIENCE_S)

    def start(self, service: Process) -> None:
        service.wait_ready()
        with self.told:
            self.services.append(service)
            self.told.notify_all()

    def _is_another(self, known: Process) -> bool:
        return self.services[-1] is not known


def key(number: int) -> str:
    return f"key-{number}"


def killed_among_calls(directory: Path, exchange: PaperServer, *, calls: int, kills: int, callers: int) -> Counter[str]:
    """Figures of a run; what is wrong is an AssertionError."""
    making = Calls([Process(directory, exchange, **_BARE)])
    try:
        making.services[0].wait_ready()
        with ThreadPoolExecutor(callers) as pool:
            answers = [pool.submit(making.place, number) for number in range(calls)]
            for kill in range(1, kills + 1):
                making.wait_for(calls * kill // (kills + 1))
                making.services[-1].kill()
                making.start(Process(directory, exchange, **_BARE))
            found = [answer.result() for answer in answers]
        again = sum(making.began.values()) - calls
        assert again > 0, "some were called again"
        return Counter(again=again) + judge(making.services[-1], exchange, found)
    finally:
        for service in making.services:
            service.end()


def judge(service: Process, exchange: PaperServer, answers: list[dict[str, Any]]) -> Counter[str]:
    """Each key is one row at most, each order at the exchange one of them, and no answer says otherwise."""
    store = Store.open(service.database, read_only=True)
    try:
        wait_until(
            lambda: not any(row["unknown"] or row["status"] == "CREATED" for row in store.rows(limit=10**6)), 300
        )
        rows = list(store.rows(limit=10**6))
        by_key = {row["idempotency_key"]: row for row in rows}
        assert len(by_key) == len(rows), "a key has one row"
        exchange.control("set_switch", {"name": "login_replaces_session", "value": False})
        placed = Counter(order.client_tag for order in reader(exchange).order_book())
        assert set(placed.values()) <= {1}, "nothing is doubled"
        assert set(placed) <= {row["command_id"] for row in rows}, "nothing is at the exchange without a row"
        for number, answer in enumerate(answers):
            row = by_key.get(key(number))
            at_exchange = row is not None and placed[row["command_id"]] == 1
            assert row is None or at_exchange == (row["broker_order_id"] is not None), row
            if answer["status"] == "success":
                assert row is not None, answer
                assert answer["orderid"] == row["broker_order_id"], "nothing is lost"
                assert at_exchange, answer
            elif answer["status"] == "error":
                assert not at_exchange, answer
            else:
                assert answer["status"] == "unknown", answer
                assert "Do not send it again" in answer["message"]
        assert check(store) == []
        told = Counter(f"answered {answer['status']} {answer.get('code', '')}".strip() for answer in answers)
        return told + Counter(rows=len(rows), at_exchange=len(placed))
    finally:
        store.close()


def flooded(directory: Path, exchange: PaperServer, *, calls: int, seconds: float, clients: int) -> Counter[str]:
    """The same of a service with the shipped call budget, which is asked for more, by clients that do not wait."""
    shipped = {"SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "10", "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "120"}
    lifted = {"SIXSTEP_OPENALGO__REQUESTS_PER_MIN": "100000"}
    # The server holds 320 connections of one machine: who offers 83 orders a second cannot wait 5 s for each.
    lifted |= {"SIXSTEP_RISK__MAX_ORDERS_PER_DAY": "0", "SIXSTEP_WEB__WAIT_S": "1"}
    slow = {"SIXSTEP_WATCHER__INTERVAL_S": "1", "SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "5"}
    service = Process(directory, exchange, **_BARE, **shipped, **lifted, **slow)
    try:
        service.wait_ready()
        answers, took, slowest = asyncio.run(_offered(service.url, calls, seconds, clients))
        figures = judge(service, exchange, answers)
        times = [
            datetime.fromisoformat(one["at"])
            for one in requests.get(f"{exchange.control_url}/requests", timeout=60).json()
        ]
        second, minute = (_most_within(times, timedelta(seconds=length)) for length in (1, 60))
        figures += Counter(broker_calls_in_the_busiest_second=second, broker_calls_in_the_busiest_minute=minute)
        return figures + Counter(seconds=round(took), slowest_answer_ms=round(slowest * 1000))
    finally:
        service.end()


def _most_within(times: list[datetime], span: timedelta) -> int:
    return max(bisect_left(times, at + span) - number for number, at in enumerate(times))


async def _offered(url: str, calls: int, seconds: float, clients: int) -> tuple[list[dict[str, Any]], float, float]:
    """The answers in the order of the calls, how long all took, and how long the slowest."""
    found: list[dict[str, Any]] = [{}] * calls
    slowest, now = 0.0, asyncio.get_running_loop().time
    begin = now()

    async def one(client: httpx.AsyncClient, number: int) -> None:
        nonlocal slowest
        await asyncio.sleep(max(0.0, begin + number * seconds / calls - now()))
        order = {**_RESTS, "pricetype": "LIMIT", "price": "1450", "quantity": "1", "strategy": f"s{number}"}
        sent = now()
        answer = await client.post("/api/v1/placeorder", json={"apikey": KEY, **order, "idempotency_key": key(number)})
        slowest = max(slowest, now() - sent)
        code = {} if answer.status_code == 200 else {"code": answer.status_code}
        found[number] = {**answer.json(), **code}

    limits = httpx.Limits(max_connections=20)
    doors = [httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE_S) for _ in range(clients)]
    await asyncio.gather(*(one(doors[number % clients], number) for number in range(calls)))
    for door in doors:
        await door.aclose()
    return found, now() - begin, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    config = ExchangeConfig(walk_volatility=0, token_expiry_time=None, initial_cash=Decimal(10**9))
    exchange = PaperServer(config, clock=SystemClock())
    exchange.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            if given.flood:
                found = flooded(Path(name), exchange, calls=given.calls or 5000, seconds=given.seconds, clients=10)
            else:
                found = killed_among_calls(Path(name), exchange, calls=given.calls or 500, kills=given.kills, callers=8)
    finally:
        exchange.stop()
    for what, count in sorted(found.items()):
        sys.stdout.write(f"{what}: {count}\n")


if __name__ == "__main__":
    main()
