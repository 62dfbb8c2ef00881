"""The whole service for tests: real cast, real NorenRestApiPy, real paper exchange over HTTP, real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from actors.service import Service
from core.messages import (
    GuardSnapshotWanted,
    Message,
    OrderAnswer,
    RiskSnapshot,
    RiskSnapshotWanted,
    SubmitOrder,
)
from core.order import OrderIntent, OrderResult, RawIntent, Source
from core.settings import Settings, load_settings
from core.store import Store
from tests.support import wait_until

ANSWER_S = 15.0

# Prices stand still, so that a test alone decides what fills; the books are read ten times as often.
_CALM = {
    "SIXSTEP_PAPER__WALK_VOLATILITY": "0",
    "SIXSTEP_WATCHER__INTERVAL_S": "0.1",
    "SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "0.5",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "1000",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "50000",
    "SIXSTEP_BROKER__READ_TIMEOUT_S": "1",
    "SIXSTEP_BROKER__ABSENCE_GRACE_S": "1.5",
    "SIXSTEP_RISK__COOLDOWN_S": "0",
    "SIXSTEP_WEB__PORT": "0",
}


class Running:
    """A started service and the means to look at it from outside."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.store = Store.open(service.settings.database_url, read_only=True)

    # Acting

    def submit(self, intent: OrderIntent | RawIntent, source: Source = Source.WEBHOOK) -> OrderResult:
        """Submit and wait for the one answer."""
        return self.answer(self.begin(intent, source))

    def begin(self, intent: OrderIntent | RawIntent, source: Source = Source.WEBHOOK) -> Any:
        """Submit without waiting; `answer` waits."""
        box = self.service.runtime.open_reply()
        self.service.runtime.tell("command_service", SubmitOrder(intent, source, box.name))
        return box

    def answer(self, box: Any) -> OrderResult:
        message = box.future.result(ANSWER_S)
        assert isinstance(message, OrderAnswer)
        return message.result

    def ask(self, name: str, message: Message) -> Any:
        return self.service.runtime.ask(self.service.runtime.address(name), message, 5.0)

    def control(self, command: str, **arguments: object) -> dict[str, Any]:
        """Speak to the paper exchange's control port."""
        assert self.service.paper is not None
        response = requests.post(f"{self.service.paper.control_url}/control/{command}", json=arguments, timeout=5)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def set_price(self, price: str, symbol: str = "INFY-EQ") -> None:
        """Put the price of a share somewhere and hold it there."""
        self.control("set_price", exch="NSE", tsym=symbol, price=price)
        self.control("hold_price", exch="NSE", tsym=symbol, hold=True)

    def mute(self) -> None:
        """Let the push feed lose everything: what a test then sees came from the books."""
        self.control("add_fault", kind="push_lost", count=0)

    def snapshot(self) -> dict[str, Any]:
        assert self.service.paper is not None
        answer: dict[str, Any] = requests.get(f"{self.service.paper.control_url}/snapshot", timeout=5).json()
        return answer

    # Looking

    def row(self, command_id: str) -> dict[str, Any]:
        row = self.store.row(command_id)
        assert row is not None, f"no row {command_id}"
        return dict(row)

    def rows(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self.store.rows()]

    def wait_for(self, command_id: str, status: str, timeout_s: float = 15.0) -> dict[str, Any]:
        """The row once it has this status."""
        wait_until(lambda: self.row(command_id)["status"] == status, timeout_s)
        return self.row(command_id)

    def path(self, command_id: str) -> list[str]:
        """The statuses the row went through, by its events."""
        return [event["to_status"] for event in self.row(command_id)["events"]]

    def sent(self) -> list[dict[str, Any]]:
        """The orders the exchange has."""
        return list(self.snapshot()["orders"])

    def wait_for_key(self, key: str, status: str) -> dict[str, Any]:
        """The row of an idempotency key once it has this status."""

        def found() -> list[dict[str, Any]]:
            return [row for row in self.rows() if row["idempotency_key"] == key and row["status"] == status]

        wait_until(lambda: bool(found()), ANSWER_S)
        return found()[0]

    def wait_for_number(self, command_id: str) -> None:
        wait_until(lambda: self.row(command_id)["broker_order_id"] is not None, ANSWER_S)

    def wait_for_guard(self, lines: list[tuple[str, str, int, int]]) -> None:
        wait_until(lambda: self.guard_lines() == lines, ANSWER_S)

    def wait_for_risk(self, predicate: Callable[[RiskSnapshot], bool]) -> None:
        wait_until(lambda: predicate(self.ask("risk_manager", RiskSnapshotWanted())), ANSWER_S)

    def wait_for_polls(self, count: int) -> None:
        """Wait until the order book was read so many times more."""

        def polls() -> int:
            recent = self.service.runtime.tracer.recent()
            return sum(1 for record in recent if record.type == "OrderBookRead")

        before = polls()
        wait_until(lambda: polls() >= before + count, ANSWER_S)

    def alerts(self, kind: str) -> list[str]:
        """The alerts of one kind so far."""
        recent = self.service.runtime.tracer.recent()
        return [record.text for record in recent if record.type == "Alert" and kind in record.text]

    def wait_at_exchange(self, broker_order_id: str | None) -> None:
        """Wait until the exchange has confirmed an order: its pipeline takes some milliseconds."""
        wait_until(
            lambda: any(o["norenordno"] == broker_order_id and o["status"] == "OPEN" for o in self.sent()), ANSWER_S
        )

    def guard_lines(self) -> list[tuple[str, str, int, int]]:
        snapshot = self.ask("execution_guard", GuardSnapshotWanted())
        return [(line.strategy, line.symbol, line.held, line.reserved) for line in snapshot.lines]


def settings_for(directory: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of a test's own service: calm prices, fast polling, everything below `directory`."""
    return load_settings(None, {**_CALM, "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"), **environ})


@contextmanager
def running(directory: Path, failing: tuple[str, ...] = (), **environ: str) -> Iterator[Running]:
    """Start a service, wait until it takes orders, and stop it; dead letters fail the test.

    `failing` are the message types whose handler the test makes raise.
    """
    service = Service(settings_for(directory, environ))
    service.start()
    try:
        assert service.wait_ready(20.0), service.readiness()
        run = Running(service)
        yield run
        run.store.close()
        dead = [
            (dead.letter.to, type(dead.letter.message).__name__, dead.reason) for dead in service.runtime.dead_letters
        ]
        assert [(to, kind, reason) for to, kind, reason in dead if kind not in failing] == []
    finally:
        alive = service.stop()
        assert alive == []
