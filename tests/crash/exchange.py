"""The paper exchange of the soak, as a process of its own, and a person at a phone who trades there."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from core.model.outcomes import LoggedIn
from core.noren import Credentials, NorenClient, profile
from core.runtime import SystemClock
from tests.crash.clients import PRICES
from tests.support import paper_day
from tests.support_process import ROOT, lasting_ports
from tests.support_service import ExchangeUrls, broker_at

__all__ = ["Exchange", "Phone", "reader"]

_PORTS = ("--rest-port", "--ws-port", "--control-port")


class Exchange:
    """The process, and a client of ours that reads its books. It can be killed, and goes on from what it has kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = lasting_ports(3)
        self._start()
        self.client = reader(self)

    def _start(self) -> None:
        empty = self._directory / "empty.toml"
        empty.write_text("")
        ports = [part for option, port in zip(_PORTS, self._ports, strict=True) for part in (option, str(port))]
        data = ["--data-dir", str(self._directory / "exchange")]
        (self._directory / "exchange").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "run.py", "--settings", str(empty), "paper", "--json", *ports, *data],
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
        assert self._process.stdout is not None
        urls = json.loads(self._process.stdout.readline())
        self.rest_url: str = urls["host"]
        self.ws_url: str = urls["websocket"]
        self.control_url: str = urls["control"]
        # Our own login must not end the service's session.
        self.control("set_switch", name="login_replaces_session", value=False)
        for symbol, price in PRICES.items():
            self.control("set_price", exch="NSE", tsym=symbol, price=str(price))
            self.control("hold_price", exch="NSE", tsym=symbol, hold=True)

    def control(self, command: str, **arguments: object) -> dict[str, Any]:
        response = requests.post(f"{self.control_url}/control/{command}", json=arguments, timeout=60)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def kill_and_start(self) -> None:
        """As when the machine went down: kill -9, and the next run on the same directory and ports."""
        self._process.kill()
        self._process.wait()
        self._start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


def reader(exchange: ExchangeUrls) -> NorenClient:
    """A client of ours that reads the books."""
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
        connect_timeout_s=30,
        read_timeout_s=60,
    )
    assert isinstance(client.login(), LoggedIn)
    return client


class Phone:
    """A person who trades in the same account: buys at any time, sells what it holds while the service is down.

    What the phone sells while an EXIT is on its way is not promised to end well (it is alarmed): so it does not.
    """

    def __init__(self, exchange: Exchange, rng: random.Random) -> None:
        self._exchange = exchange
        self._rng = rng
        self._clock = SystemClock()
        self.sold: dict[str, datetime] = {}
        self.orders = 0

    def buy(self) -> None:
        self._order(self._rng.choice(list(PRICES)), "B", self._rng.choice((5, 15)))

    def sell(self) -> None:
        """Of one symbol a part, or all.

        Books tell times by the second, and no person takes a phone up faster: of what happens within one second
        nobody could say what came first.
        """
        threading.Event().wait(1.1)
        held = {position.symbol: position.net_quantity for position in self._exchange.client.positions()}
        symbols = sorted(symbol for symbol, quantity in held.items() if quantity > 0)
        if symbols:
            symbol = self._rng.choice(symbols)
            quantity = self._rng.choice((held[symbol], max(1, held[symbol] // 2)))
            self.sold[self._order(symbol, "S", quantity)] = self._clock.now()

    def _order(self, symbol: str, side: str, quantity: int) -> str:
        answer = self._exchange.control(
            "external_order", account="FA00001", exch="NSE", tsym=symbol, trantype=side, qty=quantity
        )
        self.orders += 1
        return str(answer["norenordno"])
