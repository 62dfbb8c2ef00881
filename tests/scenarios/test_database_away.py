"""PostgreSQL is stopped and started under a running service: no flood, no halt, nothing lost (A9, D4)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.messages import GetRiskSnapshot, SetHalt
from core.model.order import Tag
from tests.scenarios.orders import EXIT, SELL, marketable, resting
from tests.store.databases import StoppableServer, stoppable_server
from tests.support import wait_until
from tests.support_service import ANSWER_S, Databases, Running, running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppableServer]:
    with tempfile.TemporaryDirectory(prefix="sixstep-pg-") as directory, stoppable_server(Path(directory)) as made:
        monkeypatch.setattr(Databases, "url_of", staticmethod(lambda _: made.url))
        yield made


def told(service: Running, kind: str, to: str = "") -> int:
    """Envelopes of one kind so far."""
    recent = service.service.runtime.tracer.recent()
    return sum(1 for record in recent if record.type == kind and to in ("", record.to))


def readyz(service: Running) -> requests.Response:
    assert service.service.web is not None
    return requests.get(f"{service.service.web.url}/readyz", timeout=10)


def halted(service: Running) -> bool:
    return service.ask("risk_manager", GetRiskSnapshot()).halt is not None


def test_t26_postgresql_gone_is_told_once_and_intents_refused_meanwhile_are_recorded_later(
    tmp_path: Path, server: StoppableServer
) -> None:
    with running(tmp_path) as service:
        service.set_price("1500")
        bought = service.submit(marketable())
        service.wait_for(bought.command_id, "EXECUTED")
        server.stop()
        refused = [service.submit(resting(strategy="beta")) for _ in range(3)]
        wait_until(lambda: readyz(service).status_code == 503, ANSWER_S)
        assert "database" in readyz(service).text
        refused += [service.submit(resting(strategy="beta")), service.submit(marketable(EXIT, SELL))]
        assert {result.tag for result in refused} <= {Tag.DATABASE_ERROR, Tag.SERVICE_NOT_READY}
        # Tried again at growing pauses: by the eighth time it has been away for seconds.
        ticks = told(service, "Tick", "order_repo")
        wait_until(lambda: told(service, "Tick", "order_repo") >= ticks + 6, 60)
        assert len(service.alerts("database")) == 1, "told once, not for each failure"
        assert told(service, "ActorFailed") == told(service, "SetHalt") == 0
        server.start()
        wait_until(lambda: readyz(service).status_code == 200, ANSWER_S)
        wait_until(lambda: all(service.store.row(result.command_id) for result in refused), ANSWER_S)
        assert [service.row(result.command_id)["tag"] for result in refused] == [result.tag for result in refused]
        wait_until(lambda: len(service.alerts("database")) == 2)
        assert not halted(service)
        assert len(service.sent()) == 1
        leave = service.submit(marketable(EXIT, SELL))
        service.wait_for(leave.command_id, "EXECUTED")
        service.wait_for_guard([])


def test_t26_a_restart_of_postgresql_halts_nothing_and_orders_go_on(tmp_path: Path, server: StoppableServer) -> None:
    with running(tmp_path) as service:
        service.set_price("1500")
        order = service.submit(resting())
        service.wait_at_exchange(order.broker_order_id)
        server.stop()
        service.set_price("1440")
        wait_until(lambda: readyz(service).status_code == 503, ANSWER_S)
        server.start()
        assert service.wait_for(order.command_id, "EXECUTED", 30)["filled_quantity"] == 50
        wait_until(lambda: readyz(service).status_code == 200, ANSWER_S)
        service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        service.set_price("1500")
        again = service.submit(marketable(strategy="beta"))
        service.wait_for(again.command_id, "EXECUTED")
        assert not halted(service)
        assert told(service, "ActorFailed") == 0


def test_t26_sessions_that_the_server_ends_cost_no_order(tmp_path: Path, server: StoppableServer) -> None:
    """As a failover or an administrator does while nothing is asked of the database."""
    import psycopg

    with running(tmp_path) as service, psycopg.connect(server.url, autocommit=True) as other:
        service.set_price("1500")
        for strategy in ("alpha", "beta"):
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'sixstep%' AND state = 'idle'"
            )
            assert service.submit(resting(strategy=strategy)).success
        assert service.alerts("database") == []


def test_g25_a_database_that_hangs_counts_as_away(tmp_path: Path, server: StoppableServer) -> None:
    """Its host stands still: connections live, statements are not answered."""
    with running(tmp_path) as service:
        assert service.service.web is not None
        service.set_price("1500")
        bought = service.submit(marketable())
        service.wait_for(bought.command_id, "EXECUTED")
        service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        with server.frozen():
            refused = service.begin(resting(strategy="beta"))
            wait_until(lambda: service.alerts("database"))
            service.service.runtime.tell("order_repo", SetHalt("the disk", "operator"))
            wait_until(lambda: halted(service))
            assert (tmp_path / "data" / "halted").exists()
            wait_until(lambda: readyz(service).status_code == 503)
            assert not service.answer(refused).success
        wait_until(lambda: readyz(service).status_code == 200)
        assert halted(service)
        leave = service.submit(marketable(EXIT, SELL))
        service.wait_for(leave.command_id, "EXECUTED")
        service.wait_for_guard([])
        assert len(service.sent()) == 2


def test_g25_a_halt_while_the_database_is_away_is_in_force_told_at_once_and_survives_the_process(
    tmp_path: Path, server: StoppableServer
) -> None:
    with running(tmp_path) as service:
        assert service.service.web is not None
        server.stop()
        answer = requests.post(f"{service.service.web.url}/api/halt", json={"reason": "the disk"}, timeout=10)
        assert (answer.status_code, answer.json()["halted"], answer.json()["recorded"]) == (200, True, False)
        assert halted(service)
        wait_until(lambda: service.alerts("halt"))
        assert len(service.alerts("halt")) == 1
    server.start()
    with running(tmp_path) as service:
        assert halted(service)
        assert service.submit(marketable()).tag is Tag.RISK_LIMITS_EXCEEDED
        assert "recorded" not in requests.post(f"{service.service.web.url}/api/resume", timeout=10).json()
    with running(tmp_path) as service:
        assert not halted(service), "resumed by a person: no note is left"


def test_d10_a_resume_while_the_database_is_away_is_refused_and_trading_stays_halted(
    tmp_path: Path, server: StoppableServer
) -> None:
    with running(tmp_path) as service:
        assert service.service.web is not None
        url = service.service.web.url
        assert requests.post(f"{url}/api/halt", json={"reason": "the disk"}, timeout=10).json()["halted"]
        server.stop()
        answer = requests.post(f"{url}/api/resume", timeout=10)
        assert answer.status_code == 503
        assert "trading is not resumed: the database could not be written" in answer.json()["error"]
        server.start()
        wait_until(lambda: any("can be written again" in text for text in service.alerts("database")))
        assert service.submit(marketable()).tag is Tag.RISK_LIMITS_EXCEEDED
        assert halted(service)
        assert requests.post(f"{url}/api/resume", timeout=10).json()["halted"] is False
