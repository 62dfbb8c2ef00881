"""Stops, targets and trails through the whole service, with restarts, a lost feed, partial fills and a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from core.cli import CliError, commands
from core.paper.server import PaperServer
from core.settings import Settings
from core.store.check import check
from tests.scenarios.orders import body
from tests.scenarios.test_g_account import enter, net, phone
from tests.support import wait_until
from tests.support_service import Running, running

STOP: dict[str, Any] = {"stop": {"points": 5}, "target": {"percent": 2}, "trail": {"points": 8}}


def call(service: Running, method: str, path: str, **fields: Any) -> requests.Response:
    assert service.service.web is not None
    return requests.request(method, f"{service.service.web.url}{path}", json=fields or None, timeout=30)


def protections(service: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(service, "GET", "/api/protections").json()["protections"]
    return found


def naked(service: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(service, "GET", "/api/protections").json()["naked"]
    return found


def at_port(service: Running) -> Settings:
    """The settings with the port that the service took."""
    assert service.service.web is not None
    settings = service.service.settings
    return settings.model_copy(update={"web": settings.web.model_copy(update={"port": service.service.web.port})})


def exits(service: Running) -> list[dict[str, Any]]:
    return [row for row in service.rows() if row["execution_type"] == "EXIT"]


def wait_for_state(service: Running, state: str) -> dict[str, Any]:
    wait_until(lambda: [one["state"] for one in protections(service)] == [state])
    return protections(service)[0]


def buy(service: Running, price: str = "1510", **protect: Any) -> str:
    """An ENTRY with a protection, as a sender of the webhook has it placed; its command id."""
    answer = call(service, "POST", "/webhook", **body(price=price, protect=protect))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["command_id"])


def paid(service: Running, command: str) -> str:
    return str(service.row(command)["average_price"])


def wait_for_flat(service: Running) -> dict[str, Any]:
    """The one EXIT there is, once it has filled and nothing is held or protected."""
    wait_until(lambda: [row["status"] for row in exits(service)] == ["EXECUTED"] and not protections(service))
    service.wait_for_guard([])
    assert net(service) == 0
    assert check(service.store) == []
    return exits(service)[0]


def test_a_stop_fires_once_over_the_feed_and_although_trading_is_halted(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_INSTRUMENTS__EXCHANGES="NSE") as service:
        service.set_price("1500")
        command = buy(service, **STOP)
        one = wait_for_state(service, "ACTIVE")
        assert (one["id"], one["side"], float(one["anchor"])) == (command, "LONG", float(paid(service, command)))
        service.set_price("1506")
        wait_until(lambda: float(protections(service)[0]["trail"]) == 1498)
        assert call(service, "POST", "/api/halt").status_code == 200
        wrong = call(service, "POST", "/webhook", **body(execution_type="ADJUST", protect=STOP))
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "protect"
        service.set_price("1497.50")
        row = wait_for_flat(service)
        assert (row["source"], row["idempotency_key"]) == ("PROTECTION", f"protect-{command}-1-1")
        [alarm] = service.alerts("protection_fired")
        assert "trail of alpha in INFY-EQ at 1498" in alarm


def test_a_gap_while_the_service_was_down_is_acted_on_at_the_first_price(tmp_path: Path, exchange: PaperServer) -> None:
    """Without symbol files no feed carries prices: quotes fill in."""
    with running(tmp_path, exchange=exchange) as service:
        command = buy(service, stop={"points": 5})
        wait_for_state(service, "ACTIVE")
    exchange.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1470"})
    with running(tmp_path, exchange=exchange) as service:
        row = wait_for_flat(service)
        assert row["idempotency_key"] == f"protect-{command}-1-1"
        assert row["filled_quantity"] == 50


def test_what_an_order_filled_in_part_is_protected_and_its_rest_is_cancelled(service: Running) -> None:
    command = buy(service, "1490", target={"percent": 2}, stop={"price": 1480})
    service.wait_for_number(command)
    number = service.row(command)["broker_order_id"]
    service.wait_at_exchange(number)
    assert [one["state"] for one in protections(service)] == ["PENDING"]
    service.control("fill_order", norenordno=number, qty=20)
    wait_for_state(service, "ACTIVE")
    service.control("add_fault", kind="push_lost", count=0)
    # 2 % above what was paid; the order's rest does not fill up there.
    service.set_price("1530")
    row = wait_for_flat(service)
    assert row["filled_quantity"] == 20
    assert service.row(command)["filled_quantity"] == 20
    assert service.row(command)["status"] == "FAILED"


def test_a_protection_set_later_ends_when_a_phone_closes_first(service: Running) -> None:
    enter(service, 50)
    wait_until(lambda: bool(naked(service)) and naked(service)[0]["since"] is not None)
    where = {"strategy": "alpha", "symbol": "INFY-EQ"}
    refused = call(service, "POST", "/api/protections", **where, stop={"price": 1500})
    assert refused.status_code == 409
    assert "reached already" in refused.json()["error"]
    assert (
        call(service, "POST", "/api/protections", **{**where, "strategy": "beta"}, stop={"points": 5}).status_code
        == 404
    )
    assert call(service, "POST", "/api/protections", **where, trail={"price": 5}).status_code == 422
    first = call(service, "POST", "/api/protections", **where, stop={"points": 9})
    assert first.status_code == 201, first.text
    cancelled = call(service, "POST", f"/api/protections/{first.json()['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "ENDED")
    by_hand = {**where, "exchange": "NSE", "product": None}
    with pytest.raises(CliError, match="must be one of points, percent and price"):
        commands.protect(at_port(service), by_hand, {"stop": "five"}, None, as_json=False)
    told = commands.protect(at_port(service), by_hand, {"stop": "5", "target": "2%"}, None, as_json=False)
    assert "stop 1495" in told
    assert naked(service)[0]["since"] is None
    assert "INFY-EQ" in commands.protect(at_port(service), {"symbol": None, "strategy": None}, {}, None, as_json=False)
    phone(service, "S", 50)
    wait_until(lambda: not protections(service))
    service.set_price("1450")
    service.wait_for_polls(5)
    assert exits(service) == []
    assert net(service) == 0
