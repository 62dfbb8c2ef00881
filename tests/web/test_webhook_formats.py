"""Bodies of other platforms in our fields."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.model.order import OrderType, Side
from core.rules.submission import MAX_LEGS, BodyProblem
from core.rules.validation import MAX_KEY
from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.signature import signature_of
from core.web.webhook_formats import in_our_fields, take_secret
from tests.web.conftest import harness as harness
from tests.web.harness import ORDER, WebHarness, call

ADDRESS = {"strategy": "scan", "execution_type": "ENTRY", "exchange": "NSE", "side": "BUY", "quantity": "10"} | {
    "product": "MIS",
    "order_type": "MARKET",
    "symbol_suffix": "-EQ",
}
CHARTINK = {
    "stocks": "SBIN, INFY",
    "trigger_prices": "801.5,1502.3",
    "triggered_at": "2:34 pm",
    "scan_name": "Breakouts",
    "scan_url": "breakouts",
    "alert_name": "Breakouts",
    "webhook_url": "https://orders.example.com/webhook",
}


def app_of(harness: WebHarness) -> FastAPI:
    return create_app(harness.gateway, Settings(web=WebSettings(webhook_secret=SecretStr("hook"))))


def post(harness: WebHarness, body: dict[str, Any], **kwargs: Any) -> Any:
    return call(app_of(harness), "POST", "/webhook", content=json.dumps(body).encode(), **kwargs)


def problem_of(found: object) -> str:
    assert isinstance(found, BodyProblem)
    return found.problem.field


def test_an_alert_of_chartink_is_a_basket_of_its_stocks() -> None:
    found = in_our_fields(CHARTINK, ADDRESS)
    assert isinstance(found, dict)
    assert found["legs"] == [{"symbol": "SBIN-EQ"}, {"symbol": "INFY-EQ"}]
    assert set(found) == {"legs", *ADDRESS} - {"symbol_suffix"}


def test_one_stock_is_one_order() -> None:
    found = in_our_fields({**CHARTINK, "stocks": "M&M"}, ADDRESS)
    assert isinstance(found, dict)
    assert found["symbol"] == "M&M-EQ"
    assert "legs" not in found


@pytest.mark.parametrize(
    "stocks", ["", ",", "SBIN,,INFY", "SBIN,SBIN", 5, None, ["SBIN"], ",".join("ABCDEFGHIJKLMNOPQRSTUVWXY")]
)
def test_f1_stocks_that_are_no_list_are_refused(stocks: object) -> None:
    assert MAX_LEGS < 25
    assert problem_of(in_our_fields({**CHARTINK, "stocks": stocks}, ADDRESS)) == "stocks"


@pytest.mark.parametrize(("body", "address"), [("qty", "quantity"), ("quantity", "qty"), ("side", "action")])
def test_f1_what_stands_in_both_places_is_refused(body: str, address: str) -> None:
    assert problem_of(in_our_fields({body: "1"}, {address: "2"})) == address


def test_f1_a_suffix_is_for_chartink_only() -> None:
    assert problem_of(in_our_fields({"symbol": "SBIN"}, {"symbol_suffix": "-EQ"})) == "symbol_suffix"


@pytest.mark.parametrize("name", ["secret", "apikey", "passphrase"])
def test_the_secret_is_taken_out_under_each_of_its_names(name: str) -> None:
    fields: dict[str, object] = {name: "hook", "symbol": "A"}
    assert take_secret(fields, {}) == "hook"
    assert fields == {"symbol": "A"}


def test_g8_the_documented_template_has_a_key_that_tells_its_orders_apart() -> None:
    """Two alerts of one second on one ticker must differ in their keys if they differ in anything else."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    (template,) = [
        block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "{{strategy.order.action}}" in block
    ]
    body = json.loads(template)
    key = body["idempotency_key"]
    for part in (body["strategy"], body["execution_type"], "{{ticker}}", "{{timenow}}", body["action"]):
        assert part in key
    assert "{{strategy.order.id}}" in key
    longest = {"ticker": "BANKNIFTY24NOV26C124000", "interval": "1D", "timenow": "2026-11-28T09:20:00Z"}
    longest |= {"strategy.order.action": "sell", "strategy.order.id": "Short Entry 2", "strategy.position_size": "-50"}
    for name, value in longest.items():
        key = key.replace("{{" + name + "}}", value)
    assert "{{" not in key
    assert len(key) <= MAX_KEY


# The dialects of docs/webhooks.md, through the door.

DIALECTS: dict[str, dict[str, Any]] = {
    "tradingview": {
        "secret": "hook",
        "strategy": "momentum",
        "execution_type": "ENTRY",
        "exchange": "NSE",
        "tradingsymbol": "RELIANCE-EQ",
        "action": "buy",
        "qty": "50",
        "product": "MIS",
        "pricetype": "MARKET",
    },
    "openalgo": {
        "apikey": "hook",
        "strategy": "momentum",
        "execution_type": "ENTRY",
        "symbol": "RELIANCE-EQ",
        "action": "BUY",
        "exchange": "NSE",
        "pricetype": "MARKET",
        "product": "MIS",
        "quantity": "50",
    },
    "direction": {
        "passphrase": "hook",
        "strategy": "momentum",
        "execution_type": "ENTRY",
        "exchange": "NSE",
        "symbol": "RELIANCE-EQ",
        "direction": "BUY",
        "quantity": 50,
        "product": "I",
        "order_type": "MKT",
    },
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_one_order_in_our_fields(harness: WebHarness, name: str) -> None:
    response = post(harness, DIALECTS[name])
    assert response.status_code == 202, response.text
    (row,) = harness.rows.all()
    assert (row["symbol"], row["side"], row["quantity"]) == ("RELIANCE-EQ", Side.BUY, 50)
    assert row["order_type"] is OrderType.MARKET


def test_chartink_through_the_door(harness: WebHarness) -> None:
    response = post(harness, CHARTINK, params={**ADDRESS, "secret": "hook"})
    assert response.status_code == 202, response.text
    assert [row["symbol"] for row in harness.rows.all()] == ["SBIN-EQ", "INFY-EQ"]
    assert "hook" not in str(harness.rows.all())


def test_f3_a_wrong_secret_in_the_address_opens_nothing(harness: WebHarness) -> None:
    assert post(harness, CHARTINK, params={**ADDRESS, "secret": "guess"}).status_code == 401
    assert post(harness, CHARTINK, params=ADDRESS).status_code == 401
    assert harness.rows.all() == []


def test_f3_what_a_signature_does_not_cover_is_refused(harness: WebHarness) -> None:
    body = json.dumps({name: value for name, value in ORDER.items() if name != "quantity"}).encode()
    timestamp = str(int(harness.clock.now().timestamp()))
    headers = {"X-Timestamp": timestamp, "X-Signature": signature_of("hook", timestamp, body)}
    response = call(app_of(harness), "POST", "/webhook", content=body, headers=headers, params={"quantity": "5000"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "quantity"
    assert harness.rows.all() == []
