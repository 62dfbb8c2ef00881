"""One process and fifty accounts: each sees what is its own, whoever acts meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from core.paper.config import ExchangeConfig, PriceSource
from tests.paper.faces.clients import BOUND_S, Socket, Start

ACCOUNTS, ORDERS = 50, 3


def test_one_process_serves_fifty_accounts_at_once(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start(ExchangeConfig(price_source=PriceSource.MANUAL))

    def call(path: str, token: str, **fields: str) -> Any:
        body = f"jData={json.dumps(fields)}&jKey={token}"
        return requests.post(f"{server.rest_url}/NorenWClientTP/{path}", data=body, timeout=BOUND_S).json()

    def live(uid: str) -> tuple[list[str], list[str], list[str]]:
        """What one account placed, what its book says, and which orders its socket told of."""
        token = call("QuickAuth", "", uid=uid, pwd="x", factor2="1")["susertoken"]
        socket = open_socket(server.ws_url)
        socket.send({"t": "c", "uid": uid, "actid": uid, "source": "API", "susertoken": token})
        assert socket.receive()["s"] == "OK"
        socket.send({"t": "o", "actid": uid})
        assert socket.receive() == {"t": "ok"}
        order = {"uid": uid, "actid": uid, "exch": "NSE", "tsym": "RELIANCE-EQ", "qty": "1", "prc": "1400", "prd": "I",
                 "trantype": "B", "prctyp": "LMT", "ret": "DAY"}  # fmt: skip
        placed = [call("PlaceOrder", token, **order)["norenordno"] for _ in range(ORDERS)]
        told = [socket.receive()["norenordno"] for _ in range(3 * ORDERS)]
        return placed, [row["norenordno"] for row in call("OrderBook", token, uid=uid)], told

    with ThreadPoolExecutor(10) as threads:
        lives = list(threads.map(live, [f"U{number:02}" for number in range(ACCOUNTS)]))
    for placed, book, told in lives:
        assert book == placed[::-1]
        assert set(told) == set(placed)
    numbers = [number for placed, _, _ in lives for number in placed]
    assert sorted(int(number[6:]) for number in numbers) == list(range(1, ACCOUNTS * ORDERS + 1))
