"""Signed webhooks, allow-list and proxies (F3)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.runtime import SystemClock, VirtualClock
from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.origin import Addresses
from core.web.signature import TOLERANCE_S, Replayed, Signatures, Unsigned, signature_of
from tests.web.harness import NOON, ORDER, WebHarness, call

SECRET = "s3cret-\u20b9"
BODY = json.dumps(ORDER).encode()


def app_of(harness: WebHarness, **web: Any) -> FastAPI:
    return create_app(harness.gateway, Settings(web=WebSettings(webhook_secret=SecretStr(SECRET), **web)))


def signed(body: bytes = BODY, *, age_s: int = 0, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(SystemClock().now().timestamp()) - age_s)
    return {"X-Timestamp": timestamp, "X-Signature": signature_of(secret, timestamp, body)}


def post(app: FastAPI, headers: dict[str, str], body: bytes = BODY, **kwargs: Any) -> httpx.Response:
    return call(app, "POST", "/webhook", content=body, headers=headers, **kwargs)


def test_a_signed_order_needs_no_secret_in_it(harness: WebHarness) -> None:
    response = post(app_of(harness), signed())
    assert response.status_code == 202, response.text
    (row,) = harness.rows.all()
    assert row["symbol"] == ORDER["symbol"]


def test_f3_a_signature_is_good_once(harness: WebHarness) -> None:
    app, headers = app_of(harness), signed()
    assert post(app, headers).status_code == 202
    replayed = post(app, headers)
    assert replayed.status_code == 409
    assert "used before" in replayed.json()["error"]
    assert len(harness.rows.all()) == 1


def test_f3_the_case_of_its_digits_makes_no_second_signature(harness: WebHarness) -> None:
    app, headers = app_of(harness), signed()
    assert post(app, headers).status_code == 202
    assert post(app, {**headers, "X-Signature": headers["X-Signature"].upper()}).status_code == 409
    assert len(harness.rows.all()) == 1


def test_f3_a_replay_after_a_restart_finds_the_row_it_made(harness: WebHarness) -> None:
    headers = signed()
    first, second = post(app_of(harness), headers), post(app_of(harness), headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["command_id"] == second.json()["command_id"]
    assert len(harness.rows.all()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        signed(secret="other"),
        signed(b"{}"),
        {"X-Signature": signed()["X-Signature"]},
        {**signed(), "X-Timestamp": "1"},
        {**signed(), "X-Timestamp": "soon"},
        {**signed(), "X-Timestamp": "-5"},
        {**signed(), "X-Signature": ""},
        {**signed(), "X-Signature": "0" * 64},
        {**signed(), "X-Signature": "no hex", "X-Webhook-Secret": "wrong"},
    ],
)
def test_f3_a_bad_signature_is_refused_and_nothing_recorded(harness: WebHarness, headers: dict[str, str]) -> None:
    assert post(app_of(harness), headers).status_code == 401
    assert harness.rows.all() == []


def test_f3_a_bad_signature_is_not_mended_by_the_secret_beside_it(harness: WebHarness) -> None:
    body = json.dumps({**ORDER, "secret": SECRET}).encode()
    assert post(app_of(harness), signed(b"other"), body).status_code == 401
    assert harness.rows.all() == []


@pytest.mark.parametrize(
    ("ahead_s", "taken"), [(0, True), (TOLERANCE_S, True), (-TOLERANCE_S, True), (301, False), (-301, False)]
)
def test_f3_a_signature_is_good_for_five_minutes_either_way(ahead_s: int, taken: bool) -> None:
    clock = VirtualClock(NOON)
    timestamp = str(int(NOON.timestamp()) + ahead_s)
    signature = signature_of(SECRET, timestamp, BODY)
    if taken:
        assert Signatures(clock).check(SecretStr(SECRET), timestamp, signature, BODY).startswith("sig-")
    else:
        with pytest.raises(Unsigned):
            Signatures(clock).check(SecretStr(SECRET), timestamp, signature, BODY)


def test_f3_a_signature_is_remembered_as_long_as_it_would_be_good() -> None:
    clock = VirtualClock(NOON)
    signatures = Signatures(clock)
    timestamp = str(int(NOON.timestamp()) + TOLERANCE_S)
    signature = signature_of(SECRET, timestamp, BODY)
    signatures.check(SecretStr(SECRET), timestamp, signature, BODY)
    clock.advance(2 * TOLERANCE_S)
    with pytest.raises(Replayed):
        signatures.check(SecretStr(SECRET), timestamp, signature, BODY)
    clock.advance(1)
    with pytest.raises(Unsigned):
        signatures.check(SecretStr(SECRET), timestamp, signature, BODY)


# Who may post at all.


@pytest.mark.parametrize(
    ("client", "status"), [("52.89.214.238", 202), ("10.1.2.3", 202), ("::ffff:10.1.2.3", 202), ("10.2.0.1", 401)]
)
def test_f3_only_listed_addresses_may_post(harness: WebHarness, client: str, status: int) -> None:
    app = app_of(harness, allow_from="52.89.214.238, 10.1.0.0/16")
    assert post(app, signed(), client=client).status_code == status
    assert len(harness.rows.all()) == (status == 202)


@pytest.mark.parametrize(
    ("client", "forwarded", "status"),
    [
        ("10.0.0.1", "1.2.3.4", 202),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", 202),
        ("10.0.0.1", "1.2.3.4, 6.6.6.6", 401),
        ("10.0.0.1", "6.6.6.6", 401),
        ("6.6.6.6", "1.2.3.4", 401),
        ("10.0.0.1", "1.2.3.4, nonsense", 401),
    ],
)
def test_f3_a_trusted_proxy_is_believed_and_nobody_else(
    harness: WebHarness, client: str, forwarded: str, status: int
) -> None:
    app = app_of(harness, allow_from="1.2.3.4", trusted_proxies="10.0.0.1")
    assert post(app, {**signed(), "X-Forwarded-For": forwarded}, client=client).status_code == status


def test_an_address_that_is_none_is_in_no_set() -> None:
    assert "testclient" not in Addresses(["10.0.0.0/8"])
    assert "10.9.9.9" in Addresses(["10.0.0.0/8"])
