"""S11: no value of a configured secret reaches trace, rows, alerts, answers, pages or exports."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from core.messages import GetRecentAlerts, HaltChanged, SetHalt
from core.model.order import Source
from tests.scenarios.orders import body, resting
from tests.support import wait_until
from tests.support_service import Running, running

PASSWORD = "Dash bo/rd&7"
SECRET = "hook-secret/1234%5"
TOKEN = "api-token-with-24-letters"
SECRETS = {
    "SIXSTEP_WEB__WEBHOOK_SECRET": SECRET,
    "SIXSTEP_WEB__API_TOKEN": TOKEN,
    "SIXSTEP_WEB__DASHBOARD_PASSWORD": PASSWORD,
}
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
API = {"Authorization": f"Bearer {TOKEN}"}
# What must stand nowhere: a piece of each secret in each form it was sent in.
PIECES = ("hook-secret", "api-token", "Dash bo", "Dash%20bo", BASIC[4:-4])

LEAKS: list[tuple[str, dict[str, Any]]] = [
    ("strategy", {"strategy": TOKEN}),
    ("basket", {"basket": SECRET}),
    ("idempotency_key", {"idempotency_key": f"{SECRET}-{{{{timenow}}}}"}),
    ("symbol", {"symbol": PASSWORD}),
    ("note", {"note": f"sent with {quote(PASSWORD, safe='')}"}),
    ("comment", {"comment": {"headers": [f"Basic {BASIC}"]}}),
    ("***", {TOKEN: 1}),
    ("quantity", {"quantity": json.dumps({"key": SECRET})}),
]


@pytest.fixture
def guarded(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    with running(tmp_path, failing=("OrderRegistered",), **SECRETS) as run:
        run.set_price("1500")
        yield run


def url(run: Running) -> str:
    assert run.service.web is not None
    return run.service.web.url


def everything(run: Running) -> str:
    """All that people and programs can read, and all files but the settings."""
    run.service.runtime.tracer.flush()
    alerts = run.ask("notifier", GetRecentAlerts())
    rows = [run.row(row["command_id"]) for row in run.rows()]
    read = [requests.get(f"{url(run)}{path}", headers=API, timeout=10).text for path in ("/api/orders", "/api/risk")]
    traces = "".join(file.read_text() for file in run.service.settings.trace_dir.glob("*.jsonl"))
    assert traces
    with requests.Session() as browser:
        page = browser.post(f"{url(run)}/login", data={"password": PASSWORD}, timeout=10)
        assert page.url.rstrip("/") == url(run), "logged in"
        pages = [
            browser.get(f"{url(run)}{path}", timeout=10).text for path in ("/", "/orders", "/orders.csv", "/system")
        ]
        pages += [browser.get(f"{url(run)}/orders/{row['command_id']}", timeout=10).text for row in rows]
    return "\n".join([repr(alerts), repr(rows), *read, *pages, traces, repr(run.service.runtime.tracer.recent())])


def test_s11_a_secret_in_any_field_is_refused_by_name_and_written_nowhere(guarded: Running) -> None:
    for field, change in LEAKS:
        answer = requests.post(
            f"{url(guarded)}/webhook", json=body() | change, headers={"X-Webhook-Secret": SECRET}, timeout=10
        )
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert not any(piece in answer.text for piece in PIECES)
    leg = {"quantity": 5, "secret": SECRET}
    basket = requests.post(
        f"{url(guarded)}/webhook",
        json=body() | {"legs": [leg, {"quantity": 6, "symbol": "TCS-EQ"}]},
        headers={"X-Webhook-Secret": SECRET},
        timeout=10,
    )
    assert "secret" in basket.text
    by_strategy = guarded.submit(resting(basket=SECRET), Source.STRATEGY)
    assert (by_strategy.success, [problem.field for problem in by_strategy.problems]) == (False, ["basket"])
    assert len(guarded.rows()) == len(LEAKS) + 2, "of the basket the leg that was wrong"
    assert guarded.sent() == []
    kept = guarded.rows()
    assert {row["symbol"] for row in kept} == {"INFY-EQ", None}, "what is harmless is recorded"
    told = everything(guarded)
    assert [piece for piece in PIECES if piece in told] == []


def test_s11_words_of_people_and_errors_reach_nobody_with_a_secret(guarded: Running) -> None:
    runtime = guarded.service.runtime
    halt = runtime.open_reply()
    runtime.tell("order_repo", SetHalt(f"as {SECRET} is out", PASSWORD, halt.name))
    told = halt.future.result(10)
    assert isinstance(told, HaltChanged)
    assert told.halt is not None
    assert (told.halt.reason, told.halt.by) == ("as *** is out", "***")

    class Broken(RuntimeError):
        def __init__(self) -> None:
            super().__init__(f"cannot reach https://me:{quote(PASSWORD, safe='')}@host with {BASIC}")

    def fail(_: object) -> None:
        raise Broken

    repo: Any = runtime._actors["trading_bot"]
    repo._cell._handlers = dict.fromkeys(repo._cell._handlers, fail)
    answer = guarded.submit(resting())
    assert not answer.success
    wait_until(lambda: "Broken: cannot reach" in repr(guarded.ask("notifier", GetRecentAlerts())))
    found = everything(guarded)
    assert "cannot reach https://" in found
    assert [piece for piece in PIECES if piece in found] == []
