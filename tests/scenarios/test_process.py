"""Section E: actors that fail, and the end of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.order import ExecutionType, Status, Tag
from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer
from core.risk import RiskBook
from core.runtime import SystemClock
from core.store import Store
from tests.making import an_intent
from tests.scenarios.test_six_steps import marketable, resting
from tests.support import wait_until
from tests.support_service import Running, running

ROOT = Path(__file__).resolve().parents[2]


def test_e4_an_actor_that_raises_gives_its_order_an_outcome_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RiskManager raises on one order of three that stand in its mailbox."""
    real = RiskBook.check

    def fails_for_beta(book: RiskBook, order: Any, now: Any) -> str | None:
        if order.strategy == "beta":
            raise ArithmeticError("planted")
        return real(book, order, now)

    monkeypatch.setattr(RiskBook, "check", fails_for_beta)
    with running(tmp_path, failing=("CheckRisk",)) as service:
        service.set_price("1500")
        boxes = [service.begin(resting(strategy=name)) for name in ("alpha", "beta", "gamma")]
        first, failed, last = (service.answer(box) for box in boxes)
        assert first.success
        assert last.success, "the rest of the mailbox is not lost"
        assert (failed.success, failed.status, failed.tag) == (False, Status.FAILED, Tag.INTERNAL_ERROR)
        assert "planted" in (failed.reason or "")
        assert service.row(failed.command_id)["status"] == "FAILED"
        assert len(service.sent()) == 2
        health = service.service.runtime.health()["risk_manager"]
        assert health.alive
        assert health.failures == 1
        assert health.restarts == 1
        assert service.alerts("actor_failed")


def test_e4_a_guard_that_raises_is_rebuilt_from_the_record_and_counts_no_fill_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.guard import GuardBook

    real = GuardBook.check_and_reserve

    def fails_once(book: GuardBook, order: Any, at: Any) -> Any:
        if order.strategy == "poison":
            book._lines.clear()
            raise ArithmeticError("planted")
        return real(book, order, at)

    monkeypatch.setattr(GuardBook, "check_and_reserve", fails_once)
    with running(tmp_path, failing=("CheckGuard",)) as service:
        service.set_price("1500")
        held = service.submit(marketable())
        service.wait_for(held.command_id, "EXECUTED")
        service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        assert service.submit(resting(strategy="poison")).tag is Tag.INTERNAL_ERROR
        service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])


@pytest.fixture
def exchange() -> Iterator[PaperServer]:
    """An exchange that outlives the service."""
    server = PaperServer(ExchangeConfig(walk_volatility=0), clock=SystemClock())
    server.start()
    yield server
    server.stop()


class Process:
    """The service as a process of its own."""

    def __init__(self, directory: Path, exchange: PaperServer) -> None:
        self.database = f"sqlite:///{directory / 'six.db'}"
        self.log = directory / "stderr.txt"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environ = {
            **os.environ,
            "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"),
            "SIXSTEP_DATABASE__URL": self.database,
            "SIXSTEP_BROKER__PROFILE": "noren-gen1",
            "SIXSTEP_BROKER__HOST": f"{exchange.rest_url}/NorenWClientTP",
            "SIXSTEP_BROKER__WEBSOCKET": exchange.ws_url,
            "SIXSTEP_BROKER__USER_ID": "FA00001",
            "SIXSTEP_BROKER__PASSWORD": "secret-password",
            "SIXSTEP_BROKER__TOTP_SECRET": "JBSWY3DPEHPK3PXP",
            "SIXSTEP_BROKER__VENDOR_CODE": "FA00001_U",
            "SIXSTEP_BROKER__API_SECRET": "api-secret",
            "SIXSTEP_WEB__PORT": str(port),
            "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "5000",
        }
        self._stream = self.log.open("w")
        settings = directory / "empty.toml"
        settings.write_text("")
        self.process = subprocess.Popen(
            [sys.executable, "run.py", "--settings", str(settings), "run"],
            cwd=ROOT,
            env=environ,
            stdout=self._stream,
            stderr=subprocess.STDOUT,
        )

    def wait_ready(self) -> None:
        wait_until(self._is_ready, 30)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._stream.close()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def process(tmp_path: Path, exchange: PaperServer) -> Iterator[Process]:
    service = Process(tmp_path, exchange)
    yield service
    service.end()


def body(**changes: Any) -> dict[str, Any]:
    return {
        "strategy": "alpha",
        "execution_type": "ENTRY",
        "exchange": "NSE",
        "symbol": "INFY-EQ",
        "side": "BUY",
        "quantity": 50,
        "product": "MIS",
        "order_type": "LIMIT",
        "price": "1450",
        **changes,
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_e7_a_stop_lets_the_call_in_flight_finish_and_writes_everything(
    process: Process, exchange: PaperServer, number: signal.Signals
) -> None:
    process.wait_ready()
    _control(exchange, "set_price", exch="NSE", tsym="INFY-EQ", price="1500")
    _control(exchange, "add_fault", kind="reply_delay", path="PlaceOrder", seconds=1.0)
    store = Store.open(process.database, read_only=True)
    with ThreadPoolExecutor(1) as sender:
        # Whatever this caller is told when the door closes: what it asked for is settled.
        asked = sender.submit(requests.post, f"{process.url}/webhook", json=body(), timeout=20)
        wait_until(lambda: any(row["status"] == "SENT_TO_BROKER" for row in store.rows()))
        started = SystemClock().monotonic()
        process.process.send_signal(number)
        assert process.process.wait(20) == 0, process.log.read_text()
        asked.exception(20)
    assert SystemClock().monotonic() - started < 15
    [row] = store.rows()
    assert row["status"] == "SENT_TO_BROKER"
    assert row["broker_order_id"] is not None
    assert "secret-password" not in process.log.read_text()
    store.close()


def test_e7_nothing_new_is_taken_while_the_service_stops(service: Running) -> None:
    from core.messages import ServiceStopping

    service.service.runtime.tell("command_service", ServiceStopping("test"))
    result = service.submit(an_intent(ExecutionType.ENTRY, price=Decimal(1)))
    assert (result.success, result.tag) == (False, Tag.SERVICE_NOT_READY)
    assert service.row(result.command_id)["status"] == "FAILED"
    assert service.sent() == []


def _control(exchange: PaperServer, command: str, **arguments: object) -> None:
    response = requests.post(f"{exchange.control_url}/control/{command}", json=arguments, timeout=5)
    assert response.status_code == 200, response.text
