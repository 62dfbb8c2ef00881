"""/api, /healthz and /readyz."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.messages import Alert, PositionsRead
from core.model.alerts import AlertKind, Severity
from core.rules.submission import MAX_BODY
from core.settings import Settings, WebSettings
from core.web import WebServer, create_app
from tests.web.harness import BLOCKED, EXTERNAL, NOON, ORDER, PATIENCE_S, UNREADABLE, WebHarness, call

TOKEN = {"Authorization": "Bearer api-token"}
ROUTES = [
    "/api/orders",
    "/api/orders/x",
    "/api/trace/x",
    "/api/positions",
    "/api/guard",
    "/api/risk",
    "/api/feed",
    "/api/budget",
    "/api/alerts",
    "/api/candles",
    "/api/external-orders",
    "/api/instruments",
    "/api/none",
]


def app_of(harness: WebHarness, **web: Any) -> FastAPI:
    return create_app(harness.gateway, Settings(web=WebSettings(**web)))


def get(app: FastAPI, path: str, **kwargs: Any) -> httpx.Response:
    return call(app, "GET", path, **kwargs)


def submit(app: FastAPI, **changes: Any) -> dict[str, Any]:
    response = call(app, "POST", "/webhook", content=json.dumps({**ORDER, **changes}).encode())
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    return found


# Orders.


def test_rows_come_newest_first_with_decimals_as_strings(harness: WebHarness) -> None:
    app = app_of(harness)
    first, second = submit(app), submit(app, price=0.0025)
    rows = get(app, "/api/orders").json()
    assert [row["command_id"] for row in rows] == [second["command_id"], first["command_id"]]
    assert [row["price"] for row in rows] == ["0.0025", "2840.5"]
    assert rows[0]["trading_day"] == "2026-11-23"
    assert rows[0]["created_at"] == "2026-11-23T06:30:00+00:00"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=FAILED", [2]),
        ("status=SENT_TO_BROKER", [3, 1]),
        ("strategy=other", [3]),
        ("strategy=none", []),
        ("day=2026-11-23", [3, 2, 1]),
        ("day=2026-11-22", []),
        ("status=SENT_TO_BROKER&strategy=momentum", [1]),
        ("limit=1", [3]),
    ],
)
def test_filters_narrow_the_rows(harness: WebHarness, query: str, found: list[int]) -> None:
    app = app_of(harness)
    submit(app)
    submit(app, symbol=BLOCKED)
    submit(app, strategy="other")
    rows = get(app, f"/api/orders?{query}").json()
    assert [row["command_id"] for row in rows] == [f"261123-test-{number}" for number in found]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=OPEN", "status"),
        ("status=", "status"),
        ("day=today", "day"),
        ("day=2026-02-30", "day"),
        ("day=1700000000", "day"),
        ("strategy=a%20b", "strategy"),
        ("strategy=%00", "strategy"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("stratgy=a", "stratgy"),
        ("%ED%A0%80=a", "\\ufffd"),
    ],
)
def test_f1_a_bad_filter_is_named(harness: WebHarness, query: str, field: str) -> None:
    response = get(app_of(harness), f"/api/orders?{query}")
    assert response.status_code == 422
    assert field in response.json()["errors"][0]["field"]


def test_one_order_comes_with_its_events_and_fills(harness: WebHarness) -> None:
    app = app_of(harness)
    command_id = submit(app)["command_id"]
    order = get(app, f"/api/orders/{command_id}").json()
    assert order["command_id"] == command_id
    assert order["events"][0]["to_status"] == "CREATED"
    assert order["fills"] == []


@pytest.mark.parametrize("command_id", ["none", "%00", "a%20b", "'%20OR%201=1", "x" * 65, "%F0%9F%9A%80"])
@pytest.mark.parametrize("kind", ["orders", "trace"])
def test_an_order_nobody_made_is_not_found(harness: WebHarness, kind: str, command_id: str) -> None:
    response = get(app_of(harness), f"/api/{kind}/{command_id}")
    assert response.status_code == 404
    assert "no order" in response.json()["error"]


def test_law10_a_trace_is_the_envelopes_of_the_order(harness: WebHarness) -> None:
    app = app_of(harness)
    command_id = submit(app)["command_id"]
    assert harness.runtime.wait_idle(PATIENCE_S)
    envelopes = get(app, f"/api/trace/{command_id}").json()
    assert [envelope["type"] for envelope in envelopes] == ["SubmitOrder", "OrderAnswer"]
    assert envelopes[1]["command"] == command_id
    assert envelopes[1]["sender"] == "command_service"


def test_a_database_that_cannot_be_read_is_said_and_not_an_empty_answer(harness: WebHarness) -> None:
    harness.rows.unreadable = True
    app = app_of(harness)
    for path in ("/api/orders", "/api/orders/261123-test-1"):
        response = get(app, path)
        assert response.status_code == 503
        assert "database" in response.json()["error"]
    harness.rows.unreadable = False
    assert get(app, "/api/orders").status_code == 200


# State.


def test_positions_are_the_brokers(harness: WebHarness) -> None:
    found = get(app_of(harness), "/api/positions").json()
    assert found["positions"][0]["symbol"] == "M&M-EQ"
    assert found["positions"][0]["realised"] == "-10.50"
    assert found["positions"][0]["unrealised"] is None
    assert found["positions"][0]["unattributed"] == -5


def test_what_is_unattributed_is_unknown_where_the_read_is_older_than_a_fill(harness: WebHarness) -> None:
    """The guard knows an EXIT's fill before positions are read again: what they show beyond is nobody's news."""
    state = harness.actor("state")
    state.positions = PositionsRead((replace(state.positions.positions[0], net_quantity=95),), NOON, NOON)
    state.unsettled = (("NSE", "M&M-EQ"),)
    assert get(app_of(harness), "/api/positions").json()["positions"][0]["unattributed"] is None


def test_b5_positions_that_cannot_be_read_are_an_error_not_an_empty_list(harness: WebHarness) -> None:
    harness.actor("state").positions = UNREADABLE
    response = get(app_of(harness), "/api/positions")
    assert response.status_code == 503
    assert "connection refused" in response.json()["error"]


def test_alerts_come_newest_first_and_say_what_telegram_did_not_take(harness: WebHarness) -> None:
    state = harness.actor("state")
    state.alerts = (Alert(Severity.CRITICAL, AlertKind.HALT, "trading is halted: news", None),)
    state.undelivered = "1 alert waits"
    assert get(app_of(harness), "/api/alerts").json() == {
        "alerts": [
            {
                "at": "2026-11-23T06:30:00+00:00",
                "severity": "CRITICAL",
                "kind": "halt",
                "text": "trading is halted: news",
                "command_id": None,
            }
        ],
        "undelivered": "1 alert waits",
    }


def test_b9_orders_that_nobody_here_placed_are_told_as_the_broker_shows_them(harness: WebHarness) -> None:
    app = app_of(harness)
    assert get(app, "/api/external-orders").json() == {"orders": []}
    harness.actor("state").external = (EXTERNAL,)
    assert get(app, "/api/external-orders").json() == {
        "orders": [
            {
                "broker_order_id": "26112300000077",
                "client_tag": "by hand",
                "exchange": "NSE",
                "symbol": "M&M-EQ",
                "side": "SELL",
                "quantity": 5,
                "status": "COMPLETE",
                "raw_status": "COMPLETE",
                "filled_quantity": 5,
                "average_price": "2950.50",
                "reason": None,
                "product": None,
                "at": None,
                "order_type": None,
                "price": None,
                "trigger_price": None,
            }
        ]
    }


def test_how_the_push_feed_stands(harness: WebHarness) -> None:
    told = {"standing": "CONNECTED", "since": NOON.isoformat(), "reason": "", "heard_at": NOON.isoformat()}
    assert get(app_of(harness), "/api/feed").json() == told


def test_the_guards_lines_and_differences(harness: WebHarness) -> None:
    found = get(app_of(harness), "/api/guard").json()
    assert found["lines"][0] == {
        "strategy": "momentum",
        "exchange": "NSE",
        "symbol": "RELIANCE-EQ",
        "product": "MIS",
        "held": 50,
        "reserved": -50,
        "basket": None,
        "unintended": False,
    }
    assert found["differences"][0]["unattributed"] == 20


def test_risk_shows_limits_beside_their_use(harness: WebHarness) -> None:
    found = get(app_of(harness), "/api/risk").json()
    assert found["pnl"] == "-2140.00"
    assert found["limits"]["max_daily_loss"] == "10000"
    assert found["entry_blocked"] == "day P&L -2140.00"


def test_an_actor_that_does_not_answer_is_said(harness: WebHarness) -> None:
    assert harness.runtime.stop(10) == []
    response = get(app_of(harness), "/api/guard")
    assert response.status_code == 503
    assert "state did not take GetGuardSnapshot" in response.json()["error"]
    harness.runtime.dead_letters.take()


# The kill switch.


def test_d10_halt_and_resume_are_answered_once_they_stand(harness: WebHarness) -> None:
    app = app_of(harness)
    halted = call(app, "POST", "/api/halt", json={"reason": "news", "by": "ravi"})
    assert halted.status_code == 200
    assert halted.json()["halted"] is True
    assert halted.json()["halt"]["reason"] == "news"
    assert get(app, "/api/risk").json()["halt"]["by"] == "ravi"
    assert "halted_before" not in halted.json()
    again = call(app, "POST", "/api/halt", json={"reason": "lunch", "by": "anna"}).json()
    assert again["halted_before"]["reason"] == "news"
    resumed = call(app, "POST", "/api/resume")
    assert resumed.json() == {"halted": False, "halt": None}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "asked for over the API"),
        (b"{}", "asked for over the API"),
        (b"[]", "asked for over the API"),
        (b"null", "asked for over the API"),
        (b"halt now!", "asked for over the API"),
        (b"\xff\x00", "asked for over the API"),
        (b"[" * 60_000, "asked for over the API"),
        (b"reason=news", "asked for over the API"),
        (b'{"reason": 5, "by": null}', "asked for over the API"),
        (b'{"reason": "x", "why": "y", "reason": "news"}', "news"),
        (b'{"reason": "a\\n b\\u2028c"}', "a b c"),
        (b'{"reason": "\\ud800"}', "?"),
        (b'{"reason": "' + b"x" * 5000 + b'"}', "x" * 200),
        (b'{"reason": "' + b"x" * MAX_BODY + b'"}', "asked for over the API"),
        (b"x" * (5 * MAX_BODY), "asked for over the API"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_g25_a_halt_in_any_form_halts(harness: WebHarness, body: bytes, reason: str) -> None:
    app = app_of(harness)
    for kind in ("application/json", "text/plain", "multipart/form-data", None):
        headers = {} if kind is None else {"Content-Type": kind}
        response = call(app, "POST", "/api/halt", content=body, headers=headers)
        assert response.status_code == 200, kind
        assert response.json()["halt"]["reason"] == reason, kind
        assert get(app, "/api/risk").json()["halt"]["by"] == "api", kind
        assert call(app, "POST", "/api/resume").json()["halt"] is None


def test_g25_a_halt_with_words_in_its_address_halts(harness: WebHarness) -> None:
    assert call(app_of(harness), "POST", "/api/halt?reason=news&by=me").json()["halted"] is True
    assert get(app_of(harness), "/api/risk").json()["halt"] is not None


def test_g25_a_halt_whose_body_never_comes_halts(harness: WebHarness) -> None:
    server = WebServer(create_app(harness.gateway, Settings()), "127.0.0.1", 0)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), 10) as half:
            half.sendall(b"POST /api/halt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n{")
            assert half.recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        server.stop()
    assert get(app_of(harness), "/api/risk").json()["halt"] is not None


# Who may look.


@pytest.mark.parametrize("path", ROUTES)
def test_f3_with_a_token_set_everything_below_api_needs_it(harness: WebHarness, path: str) -> None:
    app = app_of(harness, api_token=SecretStr("api-token"))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "api-token"}, {"X-Webhook-Secret": "x"}):
        response = get(app, path, headers=headers)
        assert response.status_code == 401
        assert "token" in response.json()["error"]
    assert get(app, path, headers=TOKEN).status_code != 401
    assert get(app, path, headers={"Authorization": "bearer api-token"}).status_code != 401
    assert get(app, path, headers=TOKEN, client="203.0.113.9").status_code != 401


@pytest.mark.parametrize("path", ["/api/halt", "/api/resume"])
def test_f3_the_kill_switch_needs_the_token_before_it_reads_anything(harness: WebHarness, path: str) -> None:
    app = app_of(harness, api_token=SecretStr("api-token"))
    assert call(app, "POST", path, content=b"no json").status_code == 401
    assert get(app, "/api/risk", headers=TOKEN).json()["halt"] is None


def test_f3_with_only_a_password_set_api_is_closed_to_tokens(harness: WebHarness) -> None:
    app = app_of(harness, dashboard_password=SecretStr("pw"))
    assert get(app, "/api/orders").status_code == 401
    assert get(app, "/api/orders", headers={"Authorization": "Bearer pw"}).status_code == 401


def test_f3_f5_without_token_and_password_only_this_machine_may_look(harness: WebHarness) -> None:
    app = app_of(harness)
    assert get(app, "/api/orders").status_code == 200
    assert get(app, "/api/orders", client="10.1.1.1").status_code == 401
    assert get(app, "/api/orders", host="evil.example").status_code == 401
    assert call(app, "POST", "/api/resume", headers={"Origin": "https://evil.example"}).status_code == 401


# Health.


def test_alive_while_all_actors_are(harness: WebHarness) -> None:
    app = app_of(harness, api_token=SecretStr("x"))
    assert get(app, "/healthz", client="10.1.1.1").json() == {"alive": True, "problems": []}
    assert harness.runtime.stop(10) == []
    response = get(app, "/healthz")
    assert response.status_code == 503
    assert response.json()["problems"] == ["command_service is dead", "state is dead"]


def test_e5_ready_only_when_orders_are_taken(harness: WebHarness) -> None:
    app = app_of(harness)
    assert get(app, "/readyz").json() == {"ready": True, "reasons": [], "notes": []}
    harness.actor("command_service").ready = ("not logged in",)
    response = get(app, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "reasons": ["not logged in"], "notes": []}


def test_g18_ready_says_that_reading_is_slowed_down(harness: WebHarness) -> None:
    harness.actor("command_service").notes = ("order book every 4.0 s instead of 1 s",)
    response = get(app_of(harness), "/readyz")
    assert response.status_code == 200
    assert response.json()["notes"] == ["order book every 4.0 s instead of 1 s"]


def test_g19_the_budget_says_what_each_reader_wants_and_gets(harness: WebHarness) -> None:
    found = get(app_of(harness), "/api/budget").json()
    assert (found["last_minute"], found["per_minute"], found["calls"]) == (2, 120, {"PlaceOrder": 3})
    assert found["slowed"] == "order book every 4.0 s"
    assert found["plan"][1] == {"what": "quotes", "count": 30, "wanted_s": 10.0, "given_s": 100.0, "book": False}


def test_not_ready_when_nobody_answers(harness: WebHarness) -> None:
    assert harness.runtime.stop(10) == []
    response = get(app_of(harness), "/readyz")
    assert response.status_code == 503
    assert "command_service" in response.json()["reasons"][0]
    harness.runtime.dead_letters.take()


def test_openapi_describes_every_route_of_the_contract(harness: WebHarness) -> None:
    paths = get(app_of(harness), "/openapi.json").json()["paths"]
    assert set(paths) == {
        "/webhook",
        "/api/orders",
        "/api/orders/{command_id}",
        "/api/trace/{command_id}",
        "/api/positions",
        "/api/quotes",
        "/api/positions/adopt",
        "/api/positions/flatten",
        "/api/candles",
        "/api/external-orders",
        "/api/alerts",
        "/api/feed",
        "/api/budget",
        "/api/protections",
        "/api/protections/{protection_id}/cancel",
        "/api/guard",
        "/api/instruments",
        "/api/instruments/refresh",
        "/api/instruments/{symbol}",
        "/api/instruments/{underlying}/chain",
        "/api/risk",
        "/api/halt",
        "/api/resume",
        "/api/squareoff",
        "/api/orders/{command_id}/cancel",
        "/api/orders/{command_id}/modify",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert "examples" in paths["/webhook"]["post"]["requestBody"]["content"]["application/json"]
    assert get(app_of(harness), "/docs").status_code == 200


def test_an_unknown_path_is_json_too(harness: WebHarness) -> None:
    response = get(app_of(harness), "/none")
    assert response.status_code == 404
    assert response.json() == {"error": "Not Found"}
