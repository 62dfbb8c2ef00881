"""The keys of /api/v1 that `run.py keys` makes, and the alerts that are pasted with and without the prefix."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.cli import keys
from core.cli.client import CliError
from core.files.instance import InstanceLock
from core.model.order import Product
from core.model.positions import GuardLine
from core.process.api_keys import ApiKey, Right, change_keys, digest_of
from core.settings import OpenAlgoSettings, ServiceSettings, Settings, WebSettings
from core.web import create_app
from tests.support_process import run_py
from tests.web.harness import WebHarness, call

OWN = "the key of the settings 0123456789"
KEY = "k" * 40
# As OpenAlgo's page gives it out, once TradingView has filled it in.
TEMPLATE = """{
  "apikey": "%s",
  "strategy": "TradingView Strategy",
  "symbol": "INFY-EQ",
  "action": "%s",
  "exchange": "NSE",
  "pricetype": "MARKET",
  "product": "MIS",
  "quantity": "10",
  "position_size": "%s"
}"""


def add(directory: Path, **fields: Any) -> None:
    made = ApiKey(**{"name": "mine", "digest": digest_of(KEY), **fields})
    change_keys(directory, lambda found: (*found, made))


def app_of(harness: WebHarness, directory: Path, **web: Any) -> FastAPI:
    settings = Settings(
        service=ServiceSettings(data_dir=directory),
        web=WebSettings(wait_s=0.2, **web),
        openalgo=OpenAlgoSettings(enabled=True, api_key=SecretStr(OWN)),
    )
    return create_app(harness.gateway, settings)


def post(app: FastAPI, endpoint: str, *, key: str = KEY, client: str = "127.0.0.1", **fields: Any) -> Any:
    return call(app, "POST", f"/api/v1/{endpoint}", json={"apikey": key, **fields}, client=client)


def holding(harness: WebHarness, quantity: int, strategy: str, symbol: str = "INFY-EQ") -> None:
    line = GuardLine(strategy, "NSE", symbol, Product.MIS, quantity, 0, None)
    harness.actor("state").lines = (line,) if quantity else ()


ORDER: dict[str, Any] = {"strategy": "a", "symbol": "INFY-EQ", "exchange": "NSE", "action": "BUY", "quantity": 1}
ASKED: dict[str, dict[str, Any]] = {
    "placeorder": ORDER,
    "basketorder": {"strategy": "a", "orders": [{k: v for k, v in ORDER.items() if k != "strategy"}]},
    "closeposition": {"strategy": "a"},
    "cancelallorder": {"strategy": "a"},
    "orderstatus": {"strategy": "a", "orderid": "1"},
    "funds": {},
    "ping": {},
}


@pytest.mark.parametrize(
    ("rights", "refused"),
    [
        ("read", {"placeorder", "basketorder", "closeposition", "cancelallorder"}),
        ("trade", {"closeposition", "funds"}),
        ("square-off", {"placeorder", "basketorder", "orderstatus", "funds"}),
        ("read,trade,square-off", set()),
    ],
)
def test_a_key_does_what_it_has_the_right_to(
    harness: WebHarness, tmp_path: Path, rights: str, refused: set[str]
) -> None:
    holding(harness, 0, "a")
    add(tmp_path, rights=tuple(Right(one) for one in rights.split(",")))
    app = app_of(harness, tmp_path)
    answers = {endpoint: post(app, endpoint, **fields) for endpoint, fields in ASKED.items()}
    assert {endpoint for endpoint, answer in answers.items() if answer.status_code == 403} == refused
    for endpoint in refused:
        message = answers[endpoint].json()["message"]
        assert (
            message == f"the key mine may not do this: it has the rights {rights.replace(',', ', ')}; nothing was done"
        )
    if "placeorder" in refused:
        assert harness.rows.all() == []


def test_a_revoked_key_lets_nobody_in_from_the_next_request_on(harness: WebHarness, tmp_path: Path) -> None:
    app = app_of(harness, tmp_path)
    assert post(app, "ping").status_code == 403
    add(tmp_path)
    add(tmp_path, name="other", digest=digest_of("o" * 40))
    assert post(app, "ping").status_code == 200
    assert post(app, "ping", key=OWN).status_code == 200, "the key of the settings goes on"
    change_keys(tmp_path, lambda found: tuple(one for one in found if one.name != "mine"))
    assert post(app, "ping").status_code == 403
    assert post(app, "ping", key="o" * 40).status_code == 200
    assert post(app, "ping", key=digest_of("o" * 40)).status_code == 403, "its hash is no key"


def test_a_file_of_keys_that_cannot_be_read_lets_nobody_in(harness: WebHarness, tmp_path: Path) -> None:
    add(tmp_path)
    app = app_of(harness, tmp_path)
    (tmp_path / "api-keys.json").write_text('[{"name": "mine"')
    assert post(app, "ping").status_code == 403
    assert post(app, "ping", key=OWN).status_code == 200


def test_limits_and_addresses_are_each_keys_own(harness: WebHarness, tmp_path: Path) -> None:
    holding(harness, 0, "a")
    add(tmp_path, per_min=3, orders_per_min=2, allow_from=("10.0.0.0/8",))
    app = app_of(harness, tmp_path)
    elsewhere = post(app, "ping")
    assert (elsewhere.status_code, elsewhere.json()["message"]) == (403, "the key mine is not taken from this address")
    basket = [{"symbol": f"S{n}-EQ", "exchange": "NSE", "action": "BUY", "quantity": 1} for n in range(3)]
    near = {"client": "10.1.2.3"}
    assert post(app, "basketorder", **near, strategy="a", orders=basket[:2]).status_code == 200
    over = post(app, "placeorder", **near, **ORDER)
    assert (over.status_code, over.json()["retry_after"]) == (429, 60)
    assert len(harness.rows.all()) == 2
    assert post(app, "ping", **near).status_code == 200
    assert post(app, "ping", **near).status_code == 429
    assert post(app, "ping", key=OWN).status_code == 200, "other keys have their own"


@pytest.mark.parametrize("prefix", ["/api/v1", ""])
def test_tradingviews_templates_are_taken_as_they_are_pasted(harness: WebHarness, tmp_path: Path, prefix: str) -> None:
    add(tmp_path)
    app = app_of(harness, tmp_path, api_token=SecretStr("a token of some length"))
    holding(harness, 0, "TradingView_Strategy")
    alert = TEMPLATE % (KEY, "buy", "10")
    line = {"content-type": "text/plain; charset=utf-8"}
    smart = call(app, "POST", f"{prefix}/placesmartorder", content=alert, headers=line)
    assert smart.json()["status"] == "success", smart.text
    plain = json.dumps({**json.loads(alert), "symbol": "TCS-EQ", "quantity": "5"}).replace('"position_size": "10"', "")
    plain = plain.replace(", }", "}")
    assert call(app, "POST", f"{prefix}/placeorder", content=plain, headers=line).json()["status"] == "success"
    rows = [(row["strategy"], row["execution_type"], row["side"], row["quantity"]) for row in harness.rows.all()]
    assert rows == [("TradingView_Strategy", "ENTRY", "BUY", 10), ("TradingView_Strategy", "ENTRY", "BUY", 5)]
    holding(harness, 10, "TradingView_Strategy")
    call(app, "POST", f"{prefix}/placesmartorder", content=TEMPLATE % (KEY, "sell", "0"))
    assert [harness.rows.all()[-1][name] for name in ("execution_type", "side", "quantity")] == ["EXIT", "SELL", 10]
    assert call(app, "POST", f"{prefix}/placeorder", json={**ORDER, "apikey": "x"}).status_code == 403
    assert call(app, "POST", "/placeorders", json={}).status_code == 404


@pytest.mark.parametrize("prefix", ["/api/v1", ""])
def test_chartinks_alert_is_an_order_for_each_share(harness: WebHarness, tmp_path: Path, prefix: str) -> None:
    add(tmp_path, rights=(Right.TRADE,))
    app = app_of(harness, tmp_path)
    holding(harness, 0, "mine")
    alert = {
        **{"stocks": "INFY-EQ, TCS-EQ", "trigger_prices": "1500,3000", "triggered_at": "2:34 pm"},
        **{"scan_name": "Intraday BUY", "scan_url": "intraday-buy", "alert_name": "Alert"},
        "webhook_url": "http://127.0.0.1/",
    }
    url = f"{prefix}/chartink/webhook/{KEY}"
    bought = call(app, "POST", url, params={"quantity": "5"}, json=alert).json()
    assert (bought["status"], bought["message"]) == ("success", "Orders queued for symbols: INFY-EQ, TCS-EQ")
    rows = {row["symbol"]: row for row in harness.rows.all()}
    assert set(rows) == {"INFY-EQ", "TCS-EQ"}
    assert {row["strategy"] for row in rows.values()} == {"mine"}, "the key's name, unless the address has another"
    assert [rows["INFY-EQ"][name] for name in ("execution_type", "side", "quantity")] == ["ENTRY", "BUY", 5]
    holding(harness, 5, "cash")
    exits = {**alert, "scan_name": "time to sell", "stocks": "INFY-EQ"}
    call(app, "POST", url, params={"quantity": "5", "strategy": "cash"}, json=exits)
    assert [harness.rows.all()[-1][name] for name in ("strategy", "execution_type", "quantity")] == ["cash", "EXIT", 5]
    before = len(harness.rows.all())
    cover = call(app, "POST", url, params={"quantity": "5", "strategy": "cash"}, json={**exits, "scan_name": "cover"})
    assert cover.json()["results"][0]["message"] == "Positions Already Matched. No Action needed."
    for wrong in ({"scan_name": "breakouts"}, {"scan_name": "buy or sell"}, {"stocks": "A,A"}, {"stocks": "A,,B"}):
        assert call(app, "POST", url, params={"quantity": "5"}, json={**alert, **wrong}).status_code == 400
    assert "quantity" in call(app, "POST", url, json=alert).json()["message"]
    assert call(app, "POST", f"{prefix}/chartink/webhook/{'x' * 40}", json=alert).status_code == 403
    assert len(harness.rows.all()) == before


# run.py keys


def settings_of(directory: Path) -> Settings:
    return Settings(service=ServiceSettings(data_dir=directory))


def test_keys_are_made_listed_and_revoked_from_the_command_line(harness: WebHarness, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        empty = tmp_path / "empty.toml"
        empty.write_text("")
        environ = {"SIXSTEP_SERVICE__DATA_DIR": str(tmp_path / "data")}
        return run_py("--settings", str(empty), "keys", *arguments, environ=environ)

    made = json.loads(run("new", "tv", "--rights", "trade", "--from", "10.0.0.7", "--per-min", "9", "--json").stdout)
    file = tmp_path / "data" / "api-keys.json"
    assert made["key"] not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    app = app_of(harness, tmp_path / "data")
    assert post(app, "ping", key=made["key"], client="10.0.0.7").status_code == 200
    assert "tv" in (found := keys.listed(settings_of(tmp_path / "data"), as_json=False))
    assert "10.0.0.7/32" in found
    assert keys.revoke(settings_of(tmp_path / "data"), "tv") == "tv is revoked"
    assert post(app, "ping", key=made["key"], client="10.0.0.7").status_code == 403


def test_what_cannot_be_a_key_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)

    def new(name: str = "a", rights: str = "read", source: str = "") -> str:
        return keys.new(settings, name, rights, None, None, source, as_json=False)

    new()
    with pytest.raises(CliError, match="there is a key a already"):
        new()
    with pytest.raises(CliError, match="NAME must be"):
        new("a b")
    with pytest.raises(CliError, match="read, trade and square-off"):
        new("b", "write")
    with pytest.raises(CliError, match="addresses or networks"):
        new("b", "read", "nowhere")
    with pytest.raises(CliError, match="there is no key b"):
        keys.revoke(settings, "b")
    lock = InstanceLock(tmp_path / "api-keys.lock")
    lock.acquire()
    with pytest.raises(CliError, match="being changed"):
        new("b")
    lock.release()
    assert len(json.loads(keys.listed(settings, as_json=True))) == 1
