"""The OpenAlgo entry point of a process that is killed while its callers send and send again."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from core.paper.server import PaperServer
from core.store import Store, check
from tests.support import wait_until
from tests.support_openalgo import OPENALGO, Client
from tests.support_process import Process

ORDERS = 60
CALLERS = 4
PATIENCE_S = 300


@pytest.mark.usefixtures("engine")
def test_killed_among_calls_that_are_sent_again_nothing_is_lost_or_doubled(
    tmp_path: Path, exchange: PaperServer
) -> None:
    surroundings: dict[str, Any] = {**OPENALGO, "SIXSTEP_INSTRUMENTS__EXCHANGES": " "}
    services = [Process(tmp_path, exchange, **surroundings)]
    began, told = Counter[str](), threading.Condition()

    def place(number: int) -> dict[str, Any]:
        """As a program does that sends again, under its key, until it is answered."""
        order = {"symbol": "INFY-EQ", "exchange": "NSE", "action": "BUY", "price_type": "LIMIT", "price": "1450"}
        while True:
            with told:
                began[f"key-{number}"] += 1
                told.notify_all()
                service = services[-1]
            try:
                client = Client(service.url, strategy=f"s{number}")
                return client.placeorder(**order, idempotency_key=f"key-{number}")
            except (requests.ConnectionError, requests.Timeout):
                with told:
                    assert told.wait_for(partial(_is_another, services, service), PATIENCE_S)

    try:
        services[0].wait_ready()
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = [pool.submit(place, number) for number in range(ORDERS)]
            for share in (ORDERS // 3, 2 * ORDERS // 3):
                with told:
                    assert told.wait_for(partial(_have_begun, began, share), PATIENCE_S)
                services[-1].kill()
                again = Process(tmp_path, exchange, **surroundings)
                again.wait_ready()
                with told:
                    services.append(again)
                    told.notify_all()
            found = [answer.result() for answer in answers]
        assert max(began.values()) > 1, "some were sent again"
        judge(services[-1], exchange, found)
    finally:
        for service in services:
            service.end()


def _is_another(services: list[Process], known: Process) -> bool:
    return services[-1] is not known


def _have_begun(began: Counter[str], share: int) -> bool:
    return len(began) >= share


def judge(service: Process, exchange: PaperServer, answers: list[dict[str, Any]]) -> None:
    """Each key is one row, each order at the exchange one of them, and no answer says otherwise."""
    store = Store.open(service.database, read_only=True)
    try:
        wait_until(lambda: not any(row["unknown"] for row in store.rows()))
        rows = {row["idempotency_key"]: row for row in store.rows()}
        assert len(rows) == len(store.rows()) == ORDERS
        placed = Counter(str(order["remarks"]) for order in exchange.snapshot()["orders"])
        assert set(placed.values()) == {1}
        for number, answer in enumerate(answers):
            row = rows[f"key-{number}"]
            at_exchange = placed[row["command_id"]] == 1
            assert at_exchange == (row["broker_order_id"] is not None), row
            if answer["status"] == "success":
                assert answer["orderid"] == row["broker_order_id"]
            elif answer["status"] == "error":
                assert row["command_id"] in answer["message"]
                assert not at_exchange, answer
        assert sum(answer["status"] == "success" for answer in answers) > ORDERS // 2
        assert check(store) == []
    finally:
        store.close()
