"""Callers that post orders without end, and remember what they were told."""

from __future__ import annotations

import random
import threading
from typing import Any

import requests

from core.model.order import Tag
from tests.crash.laws import Answered

__all__ = ["PRICES", "Caller"]

PRICES = {"INFY-EQ": 1500, "TCS-EQ": 3000, "RELIANCE-EQ": 1400, "SBIN-EQ": 800, "ITC-EQ": 400, "WIPRO-EQ": 250}
"""The symbols traded, and where their prices are held."""

_REST_SHARE = 0.15


class Caller(threading.Thread):
    """One strategy in one symbol: entries and exits in turn, most of them marketable, some resting.

    The address is where the service listens now; none while it is down. What was posted and not answered is posted
    again under its key, as a sender does who must know.
    """

    def __init__(self, symbol: str, number: int, seed: int) -> None:
        self.symbol = symbol
        self.strategy = f"{symbol.removesuffix('-EQ').lower()}-{number}"
        super().__init__(name=f"caller-{self.strategy}", daemon=True)
        self.answers: list[Answered] = []
        self.posted = 0
        self.reposted = 0
        self._rng = random.Random(f"{seed}:{self.strategy}")
        self._enters = True
        self._address: str | None = None
        self._up = threading.Event()
        self._done = threading.Event()
        self._pause = threading.Event()

    def go_on(self, address: str) -> None:
        """The service is up."""
        self._address = address
        self._up.set()

    def hold(self) -> None:
        """The service is about to go down, or down."""
        self._up.clear()

    def finish(self) -> None:
        """Post nothing new."""
        self._done.set()
        self._up.set()
        self.join(30)

    def run(self) -> None:
        pending: dict[str, Any] | None = None
        while not (self._done.is_set() and pending is None):
            self._up.wait()
            if pending is None:
                self.posted += 1
                pending = self._order(self.posted)
            else:
                self.reposted += 1
            answer = self._post(pending)
            if answer is not None:
                self.answers.append(Answered(pending["idempotency_key"], answer))
                self._learn(answer)
                pending = None
            if self._done.is_set() and answer is None:
                return
            self._pause.wait(self._rng.random() * 0.05)

    def _post(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None when there was none yet, or only that the service takes no orders now."""
        try:
            response = requests.post(f"{self._address}/webhook", json=order, timeout=10)
            body: dict[str, Any] = response.json()
        except (requests.RequestException, ValueError):
            return None
        return body if response.status_code == 202 and body["command_id"] is not None else None

    def _learn(self, answer: dict[str, Any]) -> None:
        """In what went out, or cannot: the other way next. An order that was blocked by an open one waits for it."""
        if answer["status"] != "FAILED":
            self._enters = not self._enters
        elif answer["tag"] in (Tag.EXECUTION_GUARD_BLOCKED, Tag.POSITION_ALREADY_FLAT):
            self._enters = answer["tag"] == Tag.POSITION_ALREADY_FLAT

    def _order(self, number: int) -> dict[str, Any]:
        entry = self._enters
        price = PRICES[self.symbol]
        side = "BUY" if entry else "SELL"
        rests = entry and self._rng.random() < _REST_SHARE
        away = -1 if rests else 1
        return {
            "strategy": self.strategy,
            "execution_type": "ENTRY" if entry else "EXIT",
            "exchange": "NSE",
            "symbol": self.symbol,
            "side": side,
            "quantity": self._rng.choice((10, 25, 50)),
            "product": "MIS",
            "order_type": "LIMIT",
            "price": f"{price + away * (1 if entry else -1) * price * 0.02:.0f}",
            "idempotency_key": f"{self.strategy}-{number}",
        }
