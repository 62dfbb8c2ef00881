"""S3 to S13 of what strangers tried: each way in, or way to be in the way, that was open once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from loguru import logger
from pydantic import SecretStr

from core.model.order import RawIntent
from core.rules.submission import BodyProblem, read_object
from core.rules.validation import MAX_PROBLEMS, Refused, read_intent
from core.runtime.clock import VirtualClock
from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.guesses import Guesses
from core.web.rate import Flood, RateLimit
from core.web.sessions import COOKIE, Sessions
from core.web.signature import signature_of
from tests.web.harness import NOON, ORDER, WebHarness, call
from tests.web.test_pages import PASSWORD, QUICK, Browser

SECRET = "a webhook secret"
PASSWORDED = {"dashboard_password": SecretStr(PASSWORD)}


def app_of(harness: WebHarness, **web: Any) -> FastAPI:
    return create_app(harness.gateway, Settings(web=WebSettings(**web)))


# S3


def test_s3_a_name_that_stands_twice_is_found_without_counting_each() -> None:
    class Counting(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counting.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    from core.rules import submission

    pairs = [(Counting(f"k{number}"), 1) for number in range(5000)]
    with pytest.raises(ValueError, match="k4999"):
        submission._once([*pairs, (Counting("k4999"), 2)])
    assert Counting.compared < 50_000
    body = json.dumps({f"k{number}": 1 for number in range(3000)})[:-1] + ', "k2999": 2}'
    found = read_object(body.encode())
    assert isinstance(found, BodyProblem)
    assert found.problem.field == "k2999"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"X-Webhook-Secret": "wrong"}, {}),
        ({"X-Signature": "0" * 64, "X-Timestamp": "1"}, {}),
        ({}, {"secret": "wrong"}),
    ],
)
def test_s3_who_may_not_post_has_no_body_read(
    harness: WebHarness, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], query: dict[str, str]
) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("core.web.webhook.read_object", read.append)
    app = app_of(harness, webhook_secret=SecretStr(SECRET))
    assert call(app, "POST", "/webhook", content=b"{}", headers=headers, params=query).status_code == 401
    assert read == []


# S4


def test_s4_a_signed_request_takes_no_key_that_the_signature_does_not_cover(harness: WebHarness) -> None:
    app = app_of(harness, webhook_secret=SecretStr(SECRET))
    timestamp = str(int(harness.clock.now().timestamp()))
    body = json.dumps(ORDER).encode()
    headers = {"X-Timestamp": timestamp, "X-Signature": signature_of(SECRET, timestamp, body)}
    refused = call(app, "POST", "/webhook", content=body, headers={**headers, "Idempotency-Key": "another"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert harness.rows.all() == []


def test_s4_a_signed_request_replayed_after_a_restart_is_the_same_order(harness: WebHarness) -> None:
    timestamp = str(int(harness.clock.now().timestamp()))
    body = json.dumps(ORDER).encode()
    headers = {"X-Timestamp": timestamp, "X-Signature": signature_of(SECRET, timestamp, body)}
    answers = [
        call(app_of(harness, webhook_secret=SecretStr(SECRET)), "POST", "/webhook", content=body, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(harness.rows.all()) == 1


# S5


@pytest.mark.parametrize(
    "name",
    [
        *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"),
        *("CF-Connecting-IP", "CF-Ray", "True-Client-IP", "X-Original-Forwarded-For", "X-Client-IP"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/halt"), ("POST", "/webhook"), ("GET", "/")])
def test_s5_without_secrets_nothing_is_let_in_that_a_proxy_has_touched(
    harness: WebHarness, name: str, method: str, path: str
) -> None:
    content = json.dumps(ORDER).encode() if method == "POST" else None
    assert call(app_of(harness), method, path, headers={name: "1"}, content=content).status_code == 401
    assert harness.rows.all() == []


# S6


def test_s6_wrong_guesses_wait_longer_each_time_and_are_logged_once_for_each_source() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    clock = VirtualClock(NOON)
    guesses = Guesses(clock, sleep)

    async def guess(*addresses: str) -> None:
        for address in addresses:
            await guesses.wrong(address, "API token")

    asyncio.run(guess(*["203.0.113.7"] * 20))
    assert waited == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2] + [5.0] * 9)
    assert len(lines) == 1
    # One IPv6 client has a whole /64 of addresses.
    waited.clear()
    asyncio.run(guess(*[f"2001:db8::{number:x}" for number in range(1, 8)]))
    assert waited == pytest.approx([0.1, 0.2])
    assert len(lines) == 2
    waited.clear()
    clock.advance(1000)
    asyncio.run(guess("203.0.113.7"))
    assert waited == []
    logger.remove(sink)


def test_s6_a_wrong_token_is_logged_and_the_right_one_is_never_kept_waiting(harness: WebHarness) -> None:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    app = app_of(harness, api_token=SecretStr("the right token"))
    for _ in range(4):
        assert call(app, "GET", "/api/risk", headers={"Authorization": "Bearer letmein"}).status_code == 401
    logger.remove(sink)
    assert len([line for line in lines if "wrong API token" in line]) == 1
    assert "letmein" not in "".join(lines)
    assert call(app, "GET", "/api/risk", headers={"Authorization": "Bearer the right token"}).status_code == 200


# S9


def test_s9_of_thousands_of_mistakes_the_first_are_told(harness: WebHarness) -> None:
    fields = {**ORDER, **{f"field{number}": "x" * 10 for number in range(2000)}}
    refused = read_intent(RawIntent(tuple(fields.items())))
    assert isinstance(refused, Refused)
    assert len(refused.problems) == MAX_PROBLEMS
    assert "1981 further" in refused.problems[-1].message
    legs = [{"symbol": f"S{number}-EQ"} for number in range(20)]
    del fields["symbol"]
    answer = call(app_of(harness), "POST", "/webhook", content=json.dumps({**fields, "legs": legs}).encode())
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= MAX_PROBLEMS
    assert len(answer.content) < 16_000


# S11


def test_s11_a_secret_in_a_leg_is_in_no_trace_row_or_answer(harness: WebHarness) -> None:
    app = app_of(harness, webhook_secret=SecretStr(SECRET))
    leg = {"secret": "in-a-leg-1", "api_token": "in-a-leg-2", **ORDER}
    shared = {"legs": [leg, {**leg, "symbol": "TCS-EQ"}]}
    answer = call(app, "POST", "/webhook", content=json.dumps(shared).encode(), headers={"X-Webhook-Secret": SECRET})
    assert answer.status_code == 422
    seen = [answer.text, str(harness.rows.all()), *(record.text for record in harness.runtime.tracer.recent())]
    assert any("SubmitOrder" in text for text in seen)
    assert "in-a-leg" not in "".join(seen)


# S13


def test_s13_a_new_login_ends_the_session_it_came_with(harness: WebHarness) -> None:
    browser = Browser(app_of(harness, **PASSWORDED))
    browser.log_in()
    old = browser.cookies[COOKIE]
    browser.log_in()
    assert browser.get("/").status_code == 200
    browser.cookies[COOKIE] = old
    assert browser.get("/").status_code == 303


def test_s13_all_browsers_can_be_logged_out(harness: WebHarness) -> None:
    app = app_of(harness, **PASSWORDED)
    here, there = Browser(app), Browser(app)
    here.log_in()
    there.log_in()
    here.submit("/logout", everywhere="1")
    assert there.get("/").status_code == 303


def test_s13_a_session_ends_however_much_it_is_used() -> None:
    clock = VirtualClock(NOON)
    sessions = Sessions(clock)
    cookie, _ = sessions.begin()
    request = _request({"cookie": f"{COOKIE}={cookie}"})
    for _ in range(11):
        clock.advance(3600)
        assert sessions.of(request) is not None
    clock.advance(3601)
    assert sessions.of(request) is None


@pytest.mark.parametrize("proto", ["https", "https, http", "HTTPS,http"])
def test_s13_over_tls_the_cookie_is_secure_and_for_this_host_alone(harness: WebHarness, proto: str) -> None:
    browser = Browser(app_of(harness, trusted_proxies="127.0.0.1", **PASSWORDED), **{"X-Forwarded-Proto": proto})
    answer = browser.log_in()
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all(cookie.startswith("__Host-") and "secure" in cookie.lower() for cookie in cookies)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert browser.get("/").status_code == 200


def test_s13_without_tls_there_is_neither(harness: WebHarness) -> None:
    answer = Browser(app_of(harness, **PASSWORDED)).log_in()
    assert "strict-transport-security" not in answer.headers
    assert not any("secure" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))


def test_s13_a_stranger_at_the_same_address_does_not_lock_the_owner_out(harness: WebHarness) -> None:
    app = app_of(harness, dashboard_password=QUICK)
    owner, stranger = Browser(app), Browser(app)
    owner.log_in()
    owner.submit("/logout")
    assert 429 in (stranger.log_in("a guess").status_code for _ in range(200))
    assert owner.log_in().status_code == 303


def test_s13_a_guesser_behind_the_same_proxy_does_not_lock_a_new_browser_of_the_owner_out(harness: WebHarness) -> None:
    app = app_of(harness, dashboard_password=QUICK)
    for _ in range(15):
        assert Browser(app).log_in("a guess").status_code == 401
    assert Browser(app).log_in().status_code == 303


def test_s13_an_ipv6_client_has_one_bucket_for_its_network() -> None:
    rate = RateLimit(VirtualClock(NOON), 2)
    rate.take("2001:db8::1")
    rate.take("2001:db8::2")
    with pytest.raises(Flood):
        rate.take("2001:db8::3")
    rate.take("2001:db8:0:1::3")


def _request(headers: dict[str, str]) -> Any:
    from starlette.requests import HTTPConnection

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "scheme": "http", "headers": raw})
