"""Section E: session, feed, process. E4 and E7 are in test_process.py, E6 is tests/crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

import actors.broker_proxy
import core.noren.feed
from core.cli.login import keep_token
from core.messages import CancelAnswer, CancelOrder, CancelStatus, ClearHalt, GetReadiness, GetRiskSnapshot
from core.model.order import Source, Status, Tag
from core.model.outcomes import LoggedIn
from core.noren import Credentials, NorenClient, profile
from core.paper.server import PaperServer
from core.runtime import FailureLimits, SystemClock
from tests.scenarios.orders import ADJUST, ENTRY, EXIT, SELL, marketable, resting
from tests.scenarios.strategies import Burner, Raiser, with_strategy
from tests.support import PATIENCE_S, wait_until
from tests.support_process import Process
from tests.support_service import Running, SettableClock, broker_at, running


def count_of(service: Running, message_type: str) -> int:
    return sum(record.type == message_type for record in service.service.runtime.tracer.recent())


@pytest.mark.parametrize("fault", ["socket_close", "socket_silent", "socket_no_ack"])
def test_e3_a_feed_that_ends_is_noticed_and_connected_again_with_a_resync(
    tmp_path: Path, exchange: PaperServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(core.noren.feed.PushFeed.__init__, "__kwdefaults__", {"backoff_s": (0.1,)})
    if fault != "socket_close":
        exchange.control("add_fault", {"kind": fault})
    with running(
        tmp_path,
        exchange=exchange,
        SIXSTEP_BROKER__WS_ACK_TIMEOUT_S="0.5",
        SIXSTEP_BROKER__WS_SILENCE_S="0.6",
    ) as service:
        if fault == "socket_close":
            # The feed may be up before OrderWatcher is: it is then told of nothing, and begins with reading the books.
            wait_until(lambda: any(socket["orders"] for socket in exchange.snapshot()["sockets"]))
            exchange.control("close_sockets")
        wait_until(lambda: service.alerts("push_feed"))
        downs = count_of(service, "PushesMissed")
        wait_until(lambda: count_of(service, "PushesMissed") > downs or exchange.snapshot()["sockets"])
        wait_until(lambda: any(socket["orders"] for socket in exchange.snapshot()["sockets"]))
        pushed = count_of(service, "OrderPushed")
        assert service.submit(resting()).success
        wait_until(lambda: count_of(service, "OrderPushed") > pushed)


def test_e5_a_broker_that_cannot_be_read_at_start_keeps_new_orders_out_and_lets_cancels_through(
    tmp_path: Path, exchange: PaperServer
) -> None:
    with running(tmp_path, exchange=exchange) as service:
        working = service.submit(resting())
        service.wait_at_exchange(working.broker_order_id)
    for path in ("OrderBook", "PositionBook"):
        exchange.control("add_fault", {"kind": "book_502", "path": path, "count": 0})
    with running(tmp_path, exchange=exchange, wait_ready=False) as service:
        wait_until(lambda: service.alerts("unreadable"))
        readiness = service.ask("command_service", GetReadiness())
        assert not readiness.ready
        assert "cannot be read" in " ".join(readiness.reasons)
        refused = service.submit(resting(strategy="beta"))
        assert (refused.status, refused.tag) == (Status.FAILED, Tag.SERVICE_NOT_READY)
        box = service.service.runtime.open_reply()
        service.service.runtime.tell("order_repo", CancelOrder(working.command_id, "operator", box.name))
        answer = box.future.result(5)
        assert isinstance(answer, CancelAnswer)
        assert answer.standing is CancelStatus.TAKEN
        exchange.control("clear_faults")
        assert service.service.wait_ready(PATIENCE_S)
        service.wait_for(working.command_id, "FAILED")
        assert service.submit(resting(strategy="beta")).success


@pytest.fixture
def burning() -> Iterator[None]:
    Burner.released.clear()
    yield
    Burner.released.set()


@pytest.mark.usefixtures("burning")
def test_e9_a_strategy_that_burns_the_cpu_is_alarmed_and_holds_up_no_exit(tmp_path: Path) -> None:
    with running(tmp_path, settings=with_strategy("greedy", "Burner")) as service:
        service.set_price("1500")
        held = service.submit(marketable())
        service.wait_for(held.command_id, "EXECUTED")
        wait_until(lambda: service.alerts("strategy:greedy"))
        assert "in hand" in service.alerts("late")[0]
        assert service.submit(marketable(EXIT, SELL)).success
        health = service.service.runtime.health()["strategy:greedy"]
        assert (health.in_hand, health.alive) == ("ServiceReady", True), "it burns on meanwhile"
        Burner.released.set()


@pytest.fixture
def raising() -> Iterator[threading.Event]:
    yield Raiser.raising
    Raiser.raising.clear()


def test_e9_a_strategy_that_keeps_raising_is_halted_alone_and_every_exit_is_executed(
    tmp_path: Path, raising: threading.Event
) -> None:
    with running(tmp_path, ("Tick",), settings=with_strategy("clumsy", "Raiser")) as service:
        service.set_price("1500")
        for strategy in ("clumsy", "alpha"):
            held = service.submit(marketable(quantity=10, strategy=strategy))
            service.wait_for(held.command_id, "EXECUTED")
        raising.set()
        wait_until(lambda: service.alerts("strategy clumsy is halted: it keeps failing"))
        for kind in (ADJUST, ENTRY):
            refused = service.submit(marketable(kind, strategy="clumsy"), Source.STRATEGY)
            assert refused.tag is Tag.RISK_LIMITS_EXCEEDED
            assert "strategy clumsy is halted" in (refused.reason or "")
        # It raises on, fifty times a second, while exits of its own and of others, and others' entries, go out.
        failures = failures_of(service, "strategy:clumsy")
        for strategy, source in (("clumsy", Source.STRATEGY), ("alpha", Source.WEBHOOK)):
            leave = service.submit(marketable(EXIT, SELL, 10, strategy=strategy), source)
            assert service.wait_for(leave.command_id, "EXECUTED")["filled_quantity"] == 10
        entry = service.submit(marketable(quantity=10, strategy="beta"))
        service.wait_for(entry.command_id, "EXECUTED")
        service.wait_for_guard([("beta", "INFY-EQ", 10, 0)])
        wait_until(lambda: failures_of(service, "strategy:clumsy") > failures + 1)
        assert service.ask("risk_manager", GetRiskSnapshot()).halt is None
        assert len(service.alerts("strategy_halted")) == 1
        assert len(service.alerts("actor_failed")) == FailureLimits().max_failures


def failures_of(service: Running, actor: str) -> int:
    return service.service.runtime.health()[actor].failures


def test_e9_a_strategy_halted_for_its_failures_goes_on_once_a_person_resumes(
    tmp_path: Path, raising: threading.Event
) -> None:
    with running(tmp_path, ("Tick",), settings=with_strategy("clumsy", "Raiser")) as service:
        raising.set()
        wait_until(lambda: service.alerts("strategy_halted"))
        raising.clear()
        assert service.submit(resting(strategy="clumsy")).tag is Tag.RISK_LIMITS_EXCEEDED
        box = service.service.runtime.open_reply()
        service.service.runtime.tell("order_repo", ClearHalt("operator", box.name))
        box.future.result(5)
        assert service.submit(resting(strategy="clumsy")).success


def test_e10_a_log_and_trace_directory_that_cannot_be_written_is_one_error_and_no_stop(
    tmp_path: Path, exchange: PaperServer
) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    service = Process(
        tmp_path, exchange, SIXSTEP_LOG__DIR=str(blocked / "logs"), SIXSTEP_TRACE__DIR=str(blocked / "trace")
    )
    try:
        service.wait_ready()
        log = service.log.read_text()
        assert log.count("[log] dir:") == 1
        assert str(blocked / "trace") in log
    finally:
        service.process.terminate()
        assert service.process.wait(30) == 0
        service.end()


def test_e10_a_database_that_cannot_be_opened_is_one_clear_line_and_an_exit_code(
    tmp_path: Path, exchange: PaperServer, engine: str
) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    # Port 1 is nobody's: the server is not there.
    url = f"sqlite:///{blocked}/six.db" if engine == "sqlite" else "postgresql://trader@127.0.0.1:1/six"
    service = Process(tmp_path, exchange, SIXSTEP_DATABASE__URL=url)
    assert service.process.wait(60) == 1
    service.end()
    assert "[database] url" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def test_e10_a_full_disk_refuses_orders_rather_than_recording_half_of_them(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.store import StoreUnavailable
    from core.store.database import Database

    def full(_: Database) -> None:
        raise StoreUnavailable("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "commit", full)
        results = [service.submit(resting()) for _ in range(3)]
        assert service.rows() == []
    assert {result.tag for result in results} <= {Tag.DATABASE_ERROR, Tag.SERVICE_NOT_READY}
    assert service.sent() == []
    wait_until(lambda: len(service.rows()) == 3)
    assert {row["tag"] for row in service.rows()} == {result.tag for result in results}, "recorded later (D4)"
    wait_until(lambda: service.submit(resting()).success)


def test_e10_a_clock_that_jumps_makes_no_order_stale_and_stops_nothing(tmp_path: Path) -> None:
    clock = SettableClock()
    with running(tmp_path, clock=clock) as service:
        service.set_price("1500")
        service.control("add_fault", kind="reply_delay", path="PlaceOrder", seconds=0.5)
        first = service.begin(resting(symbol="TCS-EQ"))
        wait_until(lambda: service.snapshot()["faults"] == [])
        second = service.begin(resting(strategy="beta", idempotency_key="second"))
        service.wait_for_key("second", "SENT_TO_BROKER")
        clock.step(timedelta(minutes=10))
        assert service.answer(second).success, "it has waited half a second"
        service.answer(first)
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        assert service.submit(resting(strategy="gamma")).success
        clock.step(timedelta(minutes=-10))
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        assert service.submit(resting(strategy="delta")).success


def test_health_and_readiness_tell_why(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        web = service.service.web
        assert web is not None
        assert requests.get(f"{web.url}/healthz", timeout=5).json() == {"alive": True, "problems": []}
        service.control("add_fault", kind="book_502", path="OrderBook", count=0)
        wait_until(lambda: requests.get(f"{web.url}/readyz", timeout=5).status_code == 503)
        assert "order book" in requests.get(f"{web.url}/readyz", timeout=5).json()["reasons"][0]


def test_t30_a_new_access_token_is_taken_by_the_running_service(
    tmp_path: Path, exchange: PaperServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds a position when the token ends logs in again, and need not restart."""
    monkeypatch.setattr(actors.broker_proxy, "_TOKEN_S", 0.1)
    file = tmp_path / "access_token"
    keep_token(file, token_of(exchange))
    by_token = {
        "SIXSTEP_BROKER__ACCESS_TOKEN_FILE": str(file),
        **{f"SIXSTEP_BROKER__{key}": "" for key in ("PASSWORD", "TOTP_SECRET", "VENDOR_CODE", "API_SECRET")},
    }
    with running(tmp_path, exchange=exchange, **by_token) as service:
        held = service.submit(marketable())
        service.wait_for(held.command_id, "EXECUTED")
        exchange.control("kill_token")
        wait_until(lambda: service.alerts("login"))
        assert not service.ask("command_service", GetReadiness()).ready
        keep_token(file, token_of(exchange))
        wait_until(lambda: service.ask("command_service", GetReadiness()).ready)
        leave = service.submit(marketable(EXIT, SELL))
        service.wait_for(leave.command_id, "EXECUTED")


def token_of(exchange: PaperServer) -> str:
    """A session's token, as a login elsewhere brings it."""
    at = broker_at(exchange)
    client = NorenClient(
        profile("noren-gen1", host=at["SIXSTEP_BROKER__HOST"], websocket=exchange.ws_url),
        Credentials(user_id="FA00001", password="p", totp_secret="JBSWY3DPEHPK3PXP", vendor_code="v", api_secret="s"),
        clock=SystemClock(),
        connect_timeout_s=5,
        read_timeout_s=5,
    )
    begun = client.login()
    client.close()
    assert isinstance(begun, LoggedIn)
    return begun.token


def test_t25_a_session_that_dies_soon_after_its_login_holds_up_no_exit(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        held = service.submit(marketable())
        service.wait_for(held.command_id, "EXECUTED")
        exchange.control("kill_token")
        leave = service.submit(marketable(EXIT, SELL))
        service.wait_for(leave.command_id, "EXECUTED")
