"""Section E: actors that fail, and the end of the process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.model.order import ExecutionType, Status, Tag
from core.paper.server import PaperServer
from core.rules.risk import RiskBook
from core.store import Store
from tests.factories import an_intent
from tests.scenarios.orders import body, marketable, resting
from tests.support import wait_until
from tests.support_process import Process
from tests.support_service import Running, running


def test_e4_an_actor_that_raises_gives_its_order_an_outcome_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RiskManager raises on one order of three that stand in its mailbox."""
    real = RiskBook.check

    def fails_for_beta(book: RiskBook, order: Any, *times: Any) -> str | None:
        if order.strategy == "beta":
            raise ArithmeticError("planted")
        return real(book, order, *times)

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
        wait_until(lambda: service.alerts("actor_failed"))


def test_e4_a_guard_that_raises_is_rebuilt_from_the_record_and_counts_no_fill_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.rules.guard import GuardBook

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
def process(tmp_path: Path, exchange: PaperServer, engine: str) -> Iterator[Process]:  # noqa: ARG001 - its database
    service = Process(tmp_path, exchange)
    yield service
    service.end()


def test_e7_a_stop_lets_the_call_in_flight_finish_and_writes_everything(
    process: Process, exchange: PaperServer, engine: str
) -> None:
    process.wait_ready()
    exchange.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1500"})
    exchange.control("add_fault", {"kind": "reply_delay", "path": "PlaceOrder", "seconds": 1.0})
    store = Store.open(process.database, read_only=True)
    with ThreadPoolExecutor(1) as sender:
        # Whatever this caller is told when the door closes: what it asked for is settled.
        asked = sender.submit(requests.post, f"{process.url}/webhook", json=body(), timeout=60)
        wait_until(lambda: any(row["status"] == "SENT_TO_BROKER" for row in store.rows()))
        # The handler is the same for both; one of them on each database.
        process.process.send_signal(signal.SIGTERM if engine == "sqlite" else signal.SIGINT)
        assert process.process.wait(60) == 0, process.log.read_text()
        asked.exception(60)
    [row] = store.rows()
    assert row["status"] == "SENT_TO_BROKER"
    assert row["broker_order_id"] is not None
    assert "secret-password" not in process.log.read_text()
    store.close()


def test_e6_a_killed_service_goes_on_with_its_session(
    process: Process, exchange: PaperServer, tmp_path: Path, engine: str
) -> None:
    if engine == "postgresql":
        pytest.skip("no part of it is in the database")
    process.wait_ready()
    file = tmp_path / "data" / "broker-session"
    kept = file.read_text()
    process.kill()
    again = Process(tmp_path, exchange)
    try:
        again.wait_ready()
        assert file.read_text() == kept, "a new login would have brought another token"
        token = json.loads(kept)["token"]
        assert file.stat().st_mode & 0o777 == 0o600
        written = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path != file]
        assert written
        assert not [path for path in (*written, process.log) if token.encode() in path.read_bytes()]
    finally:
        again.end()


def test_e7_nothing_new_is_taken_while_the_service_stops(service: Running) -> None:
    from core.messages import ServiceStopping

    service.service.runtime.tell("command_service", ServiceStopping("test"))
    result = service.submit(an_intent(ExecutionType.ENTRY, price=Decimal(1)))
    assert (result.success, result.tag) == (False, Tag.SERVICE_NOT_READY)
    assert service.row(result.command_id)["status"] == "FAILED"
    assert service.sent() == []
