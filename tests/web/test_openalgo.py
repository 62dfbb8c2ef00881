"""/api/v1 without the service behind it: its key, its errors, and that no body makes a server error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from core.model.calendar import INDIA
from core.model.candle import Candle
from core.model.order import Product
from core.model.positions import GuardLine
from core.settings import OpenAlgoSettings, Settings, WebSettings
from core.web import create_app, create_openalgo_app
from core.web.openalgo.entry import _NOT_THERE
from core.web.openalgo.fields import ENDPOINTS
from tests.web.harness import BLOCKED, BROKEN, LOST, SILENT, WebHarness, call

KEY = "a key of some length 0123456789"
ORDER = {
    "apikey": KEY,
    "strategy": "momentum",
    "symbol": "INFY-EQ",
    "exchange": "NSE",
    "action": "BUY",
    "quantity": "10",
    "pricetype": "LIMIT",
    "product": "MIS",
    "price": "1450",
}


def app_of(harness: WebHarness, key: str = KEY, web: WebSettings | None = None, **openalgo: Any) -> FastAPI:
    own = OpenAlgoSettings(enabled=True, api_key=SecretStr(key), **openalgo)
    # Nothing waits here for a broker.
    return create_app(harness.gateway, Settings(web=web or WebSettings(wait_s=0.2), openalgo=own))


def place(app: FastAPI, **changes: object) -> Any:
    return call(app, "POST", "/api/v1/placeorder", json={**ORDER, **changes}).json()


def flat(harness: WebHarness) -> None:
    harness.actor("state").lines = ()


def test_it_is_not_there_unless_the_settings_say_so(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings())
    assert call(app, "POST", "/api/v1/ping", json={"apikey": KEY}).status_code == 404
    web = WebSettings(api_token=SecretStr("a token of some length"))
    locked = create_app(harness.gateway, Settings(web=web))
    assert call(locked, "POST", "/api/v1/ping", json={"apikey": KEY}).status_code == 401


@pytest.mark.parametrize("configured", [KEY, f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"])
@pytest.mark.parametrize("path", ["/api/v1/ping", "/api/v1/ping/"])
def test_the_key_in_the_body_lets_in_whatever_else_locks_the_api(
    harness: WebHarness, configured: str, path: str
) -> None:
    web = WebSettings(api_token=SecretStr("a token of some length"))
    app = app_of(harness, configured, web)
    assert call(app, "POST", path, json={"apikey": KEY}).json()["data"]["message"] == "pong"
    for wrong in ("", "another key of some length 0123", configured + "x", 7, ["x"], {"a": KEY}, "\ud800"):
        answer = call(app, "POST", path, content=json.dumps({"apikey": wrong}))
        assert answer.status_code == 403
        assert answer.json()["message"] == "Invalid openalgo apikey"
    assert call(app, "POST", "/api/orders", json={"apikey": KEY}).status_code == 401, "and nowhere else"


def test_the_hash_itself_lets_nobody_in(harness: WebHarness) -> None:
    hashed = f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"
    app = app_of(harness, hashed)
    assert call(app, "POST", "/api/v1/ping", json={"apikey": hashed}).status_code == 403
    assert call(app, "POST", "/api/v1/ping", json={"apikey": hashed.removeprefix("sha256:")}).status_code == 403


def test_who_has_no_key_learns_nothing_of_the_body(harness: WebHarness) -> None:
    app = app_of(harness)
    answer = call(app, "POST", "/api/v1/placeorder", json={"nonsense": 1})
    assert answer.status_code == 400
    assert answer.json()["message"] == "{'apikey': ['Missing data for required field.']}"
    assert call(app, "POST", "/api/v1/placeorder", json={"apikey": "x", "nonsense": 1}).status_code == 403


def test_only_addresses_of_the_allow_list(harness: WebHarness) -> None:
    app = app_of(harness, web=WebSettings(allow_from="10.0.0.0/8"))
    assert call(app, "POST", "/api/v1/ping", json={"apikey": KEY}, client="10.1.2.3").status_code == 200
    answer = call(app, "POST", "/api/v1/ping", json={"apikey": KEY}, client="11.1.2.3")
    assert (answer.status_code, answer.json()["status"]) == (403, "error")


def test_too_many_requests_are_told_as_openalgo_does(harness: WebHarness) -> None:
    app = app_of(harness, requests_per_min=1)
    assert call(app, "POST", "/api/v1/ping", json={"apikey": KEY}).status_code == 200
    answer = call(app, "POST", "/api/v1/ping", json={"apikey": KEY})
    assert answer.status_code == 429
    message = "Rate limit exceeded. Please slow down your requests."
    assert answer.json() == {"status": "error", "message": message, "retry_after": 60, "mode": "analyze"}


def test_paths_and_methods(harness: WebHarness) -> None:
    app = app_of(harness)
    missing = call(app, "POST", "/api/v1/nonsense", json={"apikey": KEY})
    assert missing.status_code == 404
    assert (missing.json()["message"], missing.json()["path"]) == ("Not found", "/api/v1/nonsense")
    assert call(app, "GET", "/api/v1/placeorder", params={"apikey": KEY}).status_code == 405
    assert call(app, "GET", "/api/v1/instruments", params={"apikey": "wrong"}).status_code == 403
    ticker = call(app, "GET", "/api/v1/ticker/NSE:INFY", params={"apikey": KEY})
    assert set(ticker.json()["message"]) == {"from", "to"}
    for path in _NOT_THERE:
        answer = call(app, "POST", f"/api/v1/{path}", json={"apikey": KEY, "anything": 1})
        assert answer.status_code == 501, path
        assert "nothing was done" in answer.json()["message"]
    assert harness.rows.all() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": "0"}, "{'quantity': ['Quantity must be a positive number.']}"),
        ({"quantity": "1.5"}, "{'quantity': ['Not a valid integer.']}"),
        ({"quantity": "ten"}, "{'quantity': ['Not a valid number.']}"),
        ({"action": "Buy"}, "{'action': ['Must be one of: BUY, SELL, buy, sell.']}"),
        ({"product": None}, "{'product': ['Field may not be null.']}"),
        ({"exchange": "nse"}, None),
        ({"stoploss": "1"}, "{'stoploss': ['Unknown field.']}"),
        ({"price": "0"}, "{'price': ['Must be above 0 for this pricetype.']}"),
        ({"trigger_price": 0, "pricetype": "SL"}, "{'trigger_price': ['Must be above 0 for this pricetype.']}"),
        (
            {"disclosed_quantity": "5"},
            "{'disclosed_quantity': ['Sixstep shows the whole quantity of an order; leave it 0.']}",
        ),
        ({"symbol": "NSE:INFY-EQ"}, "{'symbol': ['Not a valid symbol.']}"),
        ({"strategy": "a name that is longer than thirty-two characters"}, None),
        ({"strategy": "caf\u00e9"}, None),
        ({"idempotency_key": ""}, None),
    ],
)
def test_what_is_wrong_with_an_order_is_one_text(
    harness: WebHarness, changes: dict[str, object], message: str | None
) -> None:
    flat(harness)
    answer = call(app_of(harness), "POST", "/api/v1/placeorder", json={**ORDER, **changes})
    assert answer.status_code == 400
    told = answer.json()["message"]
    assert message in (None, told)
    assert f"'{next(iter(changes))}'" in told
    assert harness.rows.all() == []


def test_what_is_wrong_with_a_question_is_an_object(harness: WebHarness) -> None:
    answer = call(app_of(harness), "POST", "/api/v1/quotes", json={"apikey": KEY, "symbol": "INFY"})
    assert answer.status_code == 400
    assert answer.json()["message"] == {"exchange": ["Missing data for required field."]}


@pytest.mark.parametrize("quantity", [10, "10", "10.0", 10.0])
def test_an_order_goes_the_way_of_every_order(harness: WebHarness, quantity: object) -> None:
    flat(harness)
    answer = place(app_of(harness), quantity=quantity, underlying_ltp="1", strategy="My Trend")
    [row] = harness.rows.all()
    expected = {
        **{"strategy": "My_Trend", "execution_type": "ENTRY", "symbol": "INFY-EQ", "side": "BUY", "quantity": 10},
        **{"product": "MIS", "order_type": "LIMIT", "source": "WEBHOOK", "basket": "openalgo"},
    }
    assert {name: row[name] for name in expected} == expected
    told = {"status": "success", "orderid": row["broker_order_id"], "command_id": row["command_id"]}
    assert answer == {**told, "mode": "analyze"}


def test_strategies_are_mapped_or_refused(harness: WebHarness) -> None:
    flat(harness)
    settings = {"strategies": ("TradingView Strategy = tv",), "other_strategies": "refuse"}
    app = app_of(harness, **settings)
    assert place(app, strategy="TradingView Strategy")["status"] == "success"
    assert harness.rows.all()[0]["strategy"] == "tv"
    assert "other is not among those of [openalgo] strategies" in place(app, strategy="other")["message"]
    assert len(harness.rows.all()) == 1


def test_what_the_strategy_holds_says_what_it_is(harness: WebHarness) -> None:
    harness.actor("state").lines = (GuardLine("momentum", "NSE", "INFY-EQ", Product.MIS, 50, 0, None),)
    app = app_of(harness)
    place(app, action="SELL", quantity=20)
    place(app, action="BUY", quantity=20)
    place(app, strategy="another", action="BUY", quantity=20)
    assert [row["execution_type"] for row in harness.rows.all()] == ["EXIT", "ADJUST", "ENTRY"]


def test_a_refusal_is_an_error_with_the_reason_and_the_command(harness: WebHarness) -> None:
    flat(harness)
    answer = call(app_of(harness), "POST", "/api/v1/placeorder", json={**ORDER, "symbol": BLOCKED})
    assert answer.status_code == 400
    [row] = harness.rows.all()
    assert answer.json()["message"] == row["reason"]
    assert answer.json()["command_id"] == row["command_id"]


@pytest.mark.parametrize("symbol", [SILENT, LOST, BROKEN])
def test_no_answer_is_no_success_and_no_error(harness: WebHarness, symbol: str) -> None:
    flat(harness)
    app = app_of(harness)
    answer = call(app, "POST", "/api/v1/placeorder", json={**ORDER, "symbol": symbol, "idempotency_key": "k"})
    told = answer.json()
    if symbol == SILENT:
        # It has the broker's number by now, which the row tells.
        assert (answer.status_code, told["status"]) == (200, "success")
        assert told["orderid"] == harness.rows.all()[0]["broker_order_id"]
        return
    assert (answer.status_code, told["status"]) == (200, "unknown")
    assert "Do not send it again" in told["message"]
    assert told["idempotency_key"] == "k"
    assert "orderid" not in told
    harness.runtime.dead_letters.take()


def test_history_is_told_as_the_clients_read_it(harness: WebHarness) -> None:
    begin = datetime(2026, 11, 23, 9, 15, tzinfo=INDIA)
    minute, rupees = timedelta(minutes=1), Decimal("1500.5")
    candles = tuple(
        Candle(begin + n * minute, begin + (n + 1) * minute, rupees + n, rupees + n + 1, rupees, rupees + n, 10)
        for n in range(4)
    )
    harness.actor("state").history = (candles, None)
    body = {"apikey": KEY, "symbol": "INFY-EQ", "exchange": "NSE", "start_date": "2026-11-23", "end_date": "2026-11-23"}
    found = call(app_of(harness), "POST", "/api/v1/history", json={**body, "interval": "2m"}).json()["data"]
    first = {"open": 1500.5, "high": 1502.5, "low": 1500.5, "close": 1501.5, "volume": 20, "oi": None}
    assert found[0] == {"timestamp": int(begin.timestamp()), **first}
    assert [one["timestamp"] for one in found] == [int(begin.timestamp()), int(begin.timestamp()) + 120]
    harness.actor("state").history = ((), "the broker has none")
    answer = call(app_of(harness), "POST", "/api/v1/history", json={**body, "interval": "D"})
    assert answer.status_code == 503
    assert "the broker has none" in answer.json()["message"]


def test_the_guard_that_does_not_answer_sends_nothing(harness: WebHarness) -> None:
    app = app_of(harness)
    harness.runtime.stop(5)
    answer = call(app, "POST", "/api/v1/placeorder", json=ORDER)
    assert answer.status_code == 503
    harness.runtime.dead_letters.take()
    assert harness.rows.all() == []


def test_a_port_of_its_own_serves_nothing_else(harness: WebHarness) -> None:
    own = OpenAlgoSettings(enabled=True, api_key=SecretStr(KEY), port=15000)
    settings_ = Settings(openalgo=own)
    alone = create_openalgo_app(harness.gateway, settings_)
    assert call(alone, "POST", "/api/v1/ping", json={"apikey": KEY}).status_code == 200  # type: ignore[arg-type]
    assert call(alone, "GET", "/api/orders").status_code == 404
    assert call(alone, "GET", "/").status_code == 404
    assert call(alone, "POST", "/api/v1/ping", content=b"x" * 70_000).status_code == 413
    assert call(create_app(harness.gateway, settings_), "POST", "/api/v1/ping", json={"apikey": KEY}).status_code == 404


_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["BUY", "SELL", "MARKET", "SL", "SL-M", "50", 50, 100.05, "NaN", "1e400", "-0", "\ud800", "1" * 5000]
    )
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
_names = st.sampled_from(sorted({name for one in ENDPOINTS.values() for name in one.fields}))
_paths = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=10)
_changes = st.dictionaries(_names | st.text(max_size=8), _values, max_size=5)
_bodies = st.one_of(
    _changes.map(lambda changes: json.dumps({"apikey": KEY, **changes}).encode()),
    _changes.map(lambda changes: json.dumps({**ORDER, **changes}).encode()),
    _values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
)
_WHOLE = {
    **ORDER,
    "position_size": "5",
    "orders": [{k: v for k, v in ORDER.items() if k not in ("apikey", "strategy")}],
}


@pytest.fixture(scope="module")
def long_lived() -> Iterator[tuple[WebHarness, FastAPI]]:
    harness = WebHarness()
    # Answers of an actor that does not know the question would be waited for; here nothing is.
    yield harness, app_of(harness, requests_per_min=1_000_000)
    harness.stop()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(sorted({*ENDPOINTS, *_NOT_THERE})) | _paths, body=_bodies)
def test_f1_no_body_makes_a_server_error(long_lived: tuple[WebHarness, FastAPI], path: str, body: bytes) -> None:
    _, app = long_lived
    answer = call(app, "POST", f"/api/v1/{quote(path)}", content=body)
    # 501: not there. 503: an actor of this harness has no answer to that question.
    assert answer.status_code in (200, 400, 403, 404, 409, 501, 503), answer.text
    assert answer.json()["status"] in ("success", "error", "unknown", "partial")


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=_names, value=_values)
def test_f1_one_wrong_field_never_makes_a_server_error(
    long_lived: tuple[WebHarness, FastAPI], path: str, name: str, value: object
) -> None:
    _, app = long_lived
    fields = {key: _WHOLE[key] for key in ENDPOINTS[path].fields if key in _WHOLE}
    body = json.dumps({"apikey": KEY, **fields, name: value})
    answer = call(app, "POST", f"/api/v1/{path}", content=body)
    assert answer.status_code in (200, 400, 404, 409, 503), answer.text
