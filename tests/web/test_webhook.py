"""POST /webhook: what is taken, what is answered, and what is refused without a trace (F1 to F4, A13, D4)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.model.order import Source, Status
from core.rules.submission import MAX_BODY
from core.settings import LimitSettings, Settings, WebSettings
from core.web import create_app
from tests.web.harness import BLOCKED, BROKEN, LOST, ORDER, PATIENCE_S, SILENT, WebHarness, call

SECRET = "s3cret-\u20b9"
HEADER = {"X-Webhook-Secret": SECRET.encode()}


def app_of(harness: WebHarness, *, secret: str | None = SECRET, wait_s: float = 10.0, waiting: int = 500) -> FastAPI:
    web = WebSettings(webhook_secret=SecretStr(secret) if secret else None, wait_s=wait_s)
    return create_app(harness.gateway, Settings(web=web, limits=LimitSettings(waiting_orders=waiting)))


def post(app: FastAPI, body: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(app, "POST", "/webhook", content=content, headers=HEADER if headers is None else headers, **kwargs)


def fields_of(response: httpx.Response) -> set[str]:
    assert response.status_code == 422, response.text
    assert all(set(error) == {"field", "message"} for error in response.json()["errors"])
    return {error["field"] for error in response.json()["errors"]}


def test_an_order_is_answered_after_step_5(harness: WebHarness) -> None:
    response = post(app_of(harness), ORDER)
    assert response.status_code == 202
    assert response.json() == {
        "command_id": "261123-test-1",
        "status": "SENT_TO_BROKER",
        "tag": None,
        "reason": None,
        "broker_order_id": "26112300000001",
        "unknown": False,
    }
    (row,) = harness.rows.all()
    assert row["source"] is Source.WEBHOOK
    assert str(row["price"]) == "2840.5"


def test_a_blocked_order_is_answered_with_its_tag_and_reason(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "symbol": BLOCKED})
    assert response.status_code == 202
    assert response.json()["tag"] == "EXECUTION_GUARD_BLOCKED"
    assert response.json()["reason"] == "in the guard's words"


# F1: bad orders.


def test_f1_every_bad_field_is_named_as_it_was_sent_and_the_refusal_is_a_row(harness: WebHarness) -> None:
    body = {name: value for name, value in ORDER.items() if name != "quantity"} | {"qty": 1.5, "side": "HOLD", "x": 1}
    response = post(app_of(harness), body)
    assert fields_of(response) == {"qty", "side", "x"}
    (row,) = harness.rows.all()
    assert row["command_id"] == response.json()["command_id"]
    assert row["status"] is Status.FAILED


def test_f1_not_a_number_is_refused_by_its_field(harness: WebHarness) -> None:
    body = json.dumps(ORDER).replace("2840.5", "NaN").encode()
    assert fields_of(post(app_of(harness), body)) == {"price"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"strategy=a", b"\xff", b"[" * 30_000, b'{"a":1,"a":2}'])
def test_f1_what_is_no_json_object_is_refused_and_not_recorded(harness: WebHarness, body: bytes) -> None:
    response = post(app_of(harness), body)
    assert fields_of(response) in ({"body"}, {"a"})
    assert response.json()["command_id"] is None
    assert harness.rows.all() == []


# F2, A13: the same order again.


@pytest.mark.parametrize("by", ["header", "body"])
def test_f2_a13_the_same_key_twice_is_one_order_with_the_same_answer(harness: WebHarness, by: str) -> None:
    app = app_of(harness)
    headers = {**HEADER, "Idempotency-Key": "k-1"} if by == "header" else HEADER
    body = {**ORDER, "idempotency_key": "k-1"} if by == "body" else ORDER
    first, second = post(app, body, headers), post(app, body, headers)
    assert first.json() == second.json()
    (row,) = harness.rows.all()
    assert row["idempotency_key"] == "k-1"


def test_f2_two_different_keys_in_one_request_are_refused(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "idempotency_key": "a"}, {**HEADER, "Idempotency-Key": "b"})
    assert fields_of(response) == {"Idempotency-Key"}
    assert harness.rows.all() == []


def test_orders_without_a_key_are_different_orders(harness: WebHarness) -> None:
    app = app_of(harness)
    assert post(app, ORDER).json()["command_id"] != post(app, ORDER).json()["command_id"]


# When the answer does not come in time.


def test_when_the_wait_runs_out_the_answer_is_the_row_as_it_stands(harness: WebHarness) -> None:
    response = post(app_of(harness, wait_s=0), {**ORDER, "symbol": SILENT})
    assert response.status_code == 202
    assert response.json()["command_id"] == "261123-test-1"
    assert response.json()["status"] == "SENT_TO_BROKER"


def test_when_there_is_no_row_yet_the_answer_names_the_key_to_look_for(harness: WebHarness) -> None:
    response = post(app_of(harness, wait_s=0), {**ORDER, "symbol": LOST, "idempotency_key": "k-9"})
    assert response.status_code == 202
    assert response.json()["command_id"] is None
    assert "k-9" in response.json()["reason"]


def test_when_the_record_cannot_be_read_either_the_answer_says_so(harness: WebHarness) -> None:
    harness.rows.unreadable = True
    response = post(app_of(harness, wait_s=0), {**ORDER, "symbol": SILENT})
    assert response.status_code == 202
    assert "database" in response.json()["reason"]


def test_e4_an_error_in_the_cast_is_told_at_once(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "symbol": BROKEN, "idempotency_key": "k-1"})
    assert response.status_code == 503
    assert "k-1" in response.json()["error"]
    assert len(harness.runtime.dead_letters.take()) == 1


def test_orders_beyond_the_bound_are_refused_at_once(harness: WebHarness) -> None:
    response = post(app_of(harness, waiting=1), {**ORDER, "legs": [{}, {"symbol": "INFY-EQ"}]})
    assert response.status_code == 429
    assert harness.rows.all() == []


# Baskets.


def test_d6_a_basket_is_answered_leg_by_leg_and_shares_one_basket(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "legs": [{"symbol": "A-EQ"}, {"symbol": "B-EQ", "qty": 5}]})
    assert response.status_code == 202
    assert [leg["status"] for leg in response.json()] == ["SENT_TO_BROKER"] * 2
    first, second = harness.rows.all()
    assert (first["symbol"], first["quantity"]) == ("A-EQ", 50)
    assert (second["symbol"], second["quantity"]) == ("B-EQ", 5)
    assert first["basket"] == second["basket"] is not None


def test_a_basket_with_a_bad_leg_is_refused_whole(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "legs": [{"symbol": "A-EQ"}, {"symbol": "B-EQ", "qty": 0}]})
    assert fields_of(response) == {"legs[1].qty"}
    (row,) = harness.rows.all()
    assert (row["symbol"], row["status"]) == ("B-EQ", Status.FAILED)
    assert response.json()["command_id"] == row["command_id"]


# F3: who may not.


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, None),
        ({}, "wrong"),
        ({}, 5),
        ({"X-Webhook-Secret": "wrong"}, None),
        ({"X-Webhook-Secret": ""}, None),
        ({"X-Webhook-Secret": "wrong"}, SECRET),
        ({"Authorization": "Bearer s3cret"}, None),
    ],
)
def test_f3_a_wrong_or_missing_secret_is_refused_and_nothing_recorded(
    harness: WebHarness, headers: dict[str, str], field: object
) -> None:
    body = dict(ORDER) if field is None else {**ORDER, "secret": field}
    assert post(app_of(harness), body, headers).status_code == 401
    assert harness.rows.all() == []


def test_f3_the_secret_may_stand_in_the_body_and_goes_no_further(harness: WebHarness) -> None:
    response = post(app_of(harness), {**ORDER, "secret": SECRET, "idempotency_key": "k"}, {})
    assert response.status_code == 202
    assert harness.runtime.wait_idle(PATIENCE_S)
    traced = str(harness.runtime.tracer.recent())
    assert "RELIANCE-EQ" in traced
    assert "s3cret" not in traced + response.text + str(harness.rows.all())


def test_f3_who_may_not_learns_nothing_about_the_body(harness: WebHarness) -> None:
    assert post(app_of(harness), b"no json", {}).status_code == 401


@pytest.mark.parametrize("client", ["10.0.0.7", "203.0.113.9", "::ffff:10.0.0.7"])
def test_f3_without_a_secret_only_this_machine_may_post(harness: WebHarness, client: str) -> None:
    app = app_of(harness, secret=None)
    assert post(app, ORDER, {}, client=client).status_code == 401
    assert harness.rows.all() == []
    assert post(app, ORDER, {}).status_code == 202
    assert post(app, ORDER, {}, client="::1", host="[::1]:8787").status_code == 202


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"Origin": "https://evil.example"}, "127.0.0.1:8787"),
        ({"Origin": "null"}, "127.0.0.1:8787"),
        ({"Origin": "http://evil.example:8787"}, "evil.example:8787"),
        ({}, "evil.example:8787"),
        ({"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1:8787"),
        ({"Forwarded": "for=127.0.0.1"}, "127.0.0.1:8787"),
        ({"Origin": "http://[bad"}, "127.0.0.1:8787"),
    ],
)
def test_f5_without_a_secret_neither_other_pages_nor_proxies_may_post(
    harness: WebHarness, headers: dict[str, str], host: str
) -> None:
    assert post(app_of(harness, secret=None), ORDER, headers, host=host).status_code == 401
    assert harness.rows.all() == []


def test_f3_a_body_over_the_limit_is_refused_with_or_without_its_length(harness: WebHarness) -> None:
    app = app_of(harness)
    long = b'{"x":"' + b"a" * MAX_BODY + b'"}'
    assert post(app, long).status_code == 413

    async def parts() -> Any:
        for _ in range(9):
            yield b"a" * (MAX_BODY // 8)

    assert call(app, "POST", "/webhook", content=parts(), headers=HEADER).status_code == 413
    assert harness.rows.all() == []


def test_a_body_just_within_the_limit_is_read(harness: WebHarness) -> None:
    body = json.dumps(ORDER).encode().ljust(MAX_BODY)
    assert post(app_of(harness), body).status_code == 202


def test_f3_a_flood_from_one_address_is_refused_and_nothing_recorded(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings(web=WebSettings(webhook_secret=SecretStr(SECRET), requests_per_min=2)))
    assert [post(app, ORDER).status_code for _ in range(3)] == [202, 202, 429]
    refused = post(app, ORDER)
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert len(harness.rows.all()) == 2
    assert post(app, ORDER, client="10.0.0.8").status_code == 202


def test_f3_secrets_cannot_be_tried_at_will(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings(web=WebSettings(webhook_secret=SecretStr(SECRET), requests_per_min=1)))
    assert post(app, ORDER, {"X-Webhook-Secret": "guess"}).status_code == 401
    assert post(app, ORDER).status_code == 429


# F4: text that means something elsewhere.


@pytest.mark.parametrize("text", ["a&jKey=x", 'a","b":"', "a\nb", "\U0001f680", "<script>", "\ud800", "\x00"])
def test_f4_text_that_could_change_another_document_is_refused_and_not_echoed_raw(
    harness: WebHarness, text: str
) -> None:
    response = post(app_of(harness), {**ORDER, "strategy": text, text: 1})
    assert fields_of(response) >= {"strategy"}
    assert response.content.isascii()
    assert b"\n" not in response.content
    (row,) = harness.rows.all()
    assert row["strategy"] is None


def test_f4_an_ampersand_in_a_symbol_is_taken_as_it_is(harness: WebHarness) -> None:
    assert post(app_of(harness), {**ORDER, "symbol": "M&M-EQ"}).status_code == 202
    assert harness.rows.all()[0]["symbol"] == "M&M-EQ"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_webhook_takes_posts_only(harness: WebHarness, method: str) -> None:
    assert call(app_of(harness), method, "/webhook").status_code == 405


def test_a_field_that_stands_twice_in_the_address_is_refused(harness: WebHarness) -> None:
    body = {name: value for name, value in ORDER.items() if name != "quantity"}
    path = "/webhook?quantity=1&quantity=50"
    response = call(app_of(harness), "POST", path, content=json.dumps(body).encode(), headers=HEADER)
    assert fields_of(response) == {"quantity"}
    assert harness.rows.all() == []
