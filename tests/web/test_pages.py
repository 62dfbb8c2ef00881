"""The pages as a browser asks for them: who is let in, what is shown, what forms do (F1, F4, F5, law 11)."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from core.messages import Alert, CancelStatus, FeedState, FeedStatus, Severity
from core.model.alerts import AlertKind
from core.model.order import Product, Source
from core.model.positions import GuardLine
from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.sessions import COOKIE, Password
from tests.rules.test_protection import protection
from tests.web.harness import ADOPTED, BLOCKED, EXTERNAL, NOON, ORDER, PATIENCE_S, WebHarness, call

PASSWORD = "correct horse \u20b9"
# A hash that is cheap to try, so that many tries take no time.
QUICK = SecretStr(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))
PAGES = ["/", "/orders", "/positions", "/risk", "/new", "/system", "/halt", "/resume", "/squareoff", "/orders.csv"]
FORMS = [
    "/new",
    "/halt",
    "/resume",
    "/squareoff",
    "/orders/261123-test-1/cancel",
    "/orders/261123-test-1/modify",
    "/logout",
]
FORM = "application/x-www-form-urlencoded"


class Browser:
    """Keeps cookies, and sends what a browser would send with a form."""

    def __init__(self, app: FastAPI, **headers: str) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self.headers = {"Sec-Fetch-Site": "same-origin", **headers}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._call("GET", path, headers=headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        origin = {"Origin": "http://127.0.0.1:8787"}
        encoded = str(httpx.QueryParams(fields)).encode()
        return self._call("POST", path, headers={"Content-Type": FORM, **origin, **headers}, content=encoded)

    def csrf(self, path: str = "/") -> str:
        found = re.search(r'data-csrf="([^"]+)"', self.get(path).text)
        assert found is not None
        return found.group(1)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        return self.post(path, {"csrf": self.csrf(), **fields})

    def log_in(self, password: str = PASSWORD, **fields: str) -> httpx.Response:
        return self.post("/login", {"password": password, **fields})

    def _call(self, method: str, path: str, headers: dict[str, str], **kwargs: Any) -> httpx.Response:
        cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
        response = call(self.app, method, path, headers={**self.headers, **cookie, **headers}, **kwargs)
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return response


def app_of(harness: WebHarness, **web: Any) -> FastAPI:
    return create_app(harness.gateway, Settings(web=WebSettings(**web)))


def locked(harness: WebHarness, **web: Any) -> FastAPI:
    return app_of(harness, dashboard_password=SecretStr(PASSWORD), **web)


def order(app: FastAPI, **changes: Any) -> str:
    response = call(app, "POST", "/webhook", content=json.dumps({**ORDER, **changes}).encode())
    assert response.status_code == 202, response.text
    return str(response.json()["command_id"])


# Who is let in.


@pytest.mark.parametrize("path", [*PAGES, "/orders/x", "/live?page=/", "/instruments?exchange=NSE&q=IN"])
def test_without_the_password_every_page_leads_to_the_login(harness: WebHarness, path: str) -> None:
    response = Browser(locked(harness)).get(path)
    if path.startswith("/live"):
        assert response.status_code == 401
    else:
        assert response.status_code == 303
        assert response.headers["location"].startswith("/login?next=%2F")


def test_the_password_opens_the_page_that_was_wanted(harness: WebHarness) -> None:
    browser = Browser(locked(harness))
    wanted = browser.get("/orders?status=FAILED").headers["location"]
    assert wanted == "/login?next=%2Forders%3Fstatus%3DFAILED"
    response = browser.log_in(next="/orders?status=FAILED")
    assert (response.status_code, response.headers["location"]) == (303, "/orders?status=FAILED")
    cookie = response.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie
    assert browser.get("/orders").status_code == 200


def test_by_tls_the_cookie_stays_on_tls(harness: WebHarness) -> None:
    response = Browser(locked(harness), **{"X-Forwarded-Proto": "https"}).log_in()
    assert "secure" in response.headers["set-cookie"].lower()


@pytest.mark.parametrize("wrong", ["", "correct horse", PASSWORD + " ", "$argon2id$v=19$m=8,t=1,p=1$a$b", "\x00"])
def test_a_wrong_password_opens_nothing(harness: WebHarness, wrong: str) -> None:
    browser = Browser(locked(harness))
    response = browser.log_in(wrong)
    assert response.status_code == 401
    assert COOKIE not in browser.cookies
    assert browser.get("/").status_code == 303


def test_f3_passwords_cannot_be_tried_at_will(harness: WebHarness) -> None:
    browser = Browser(app_of(harness, dashboard_password=QUICK))
    # Ten and twenty at once; on a slow machine further ones become free meanwhile.
    tried = next(number for number in range(200) if browser.log_in("guess").status_code == 429)
    assert tried >= 30


def test_the_settings_may_hold_the_hash_instead(harness: WebHarness) -> None:
    app = app_of(harness, dashboard_password=SecretStr(Password.hash_of(PASSWORD)))
    assert Browser(app).log_in().status_code == 303
    assert Browser(app).log_in("other").status_code == 401


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_a_login_never_leads_elsewhere(harness: WebHarness, next_page: str) -> None:
    assert Browser(locked(harness)).log_in(next=next_page).headers["location"] == "/"


def test_log_out_ends_the_session_everywhere(harness: WebHarness) -> None:
    browser = Browser(locked(harness))
    browser.log_in()
    cookies = dict(browser.cookies)
    assert browser.submit("/logout").headers["location"] == "/login"
    browser.cookies = cookies
    assert browser.get("/").status_code == 303


def test_with_a_token_and_no_password_the_pages_are_closed(harness: WebHarness) -> None:
    assert Browser(app_of(harness, api_token=SecretStr("token"))).get("/").status_code == 401


def test_without_password_and_token_only_this_machine_sees_the_pages(harness: WebHarness) -> None:
    app = app_of(harness)
    assert call(app, "GET", "/").status_code == 200
    assert call(app, "GET", "/", client="10.0.0.5").status_code == 401
    assert call(app, "GET", "/", host="evil.example:8787").status_code == 401


def test_a_page_that_is_logged_in_may_read_and_with_its_token_use_the_api(harness: WebHarness) -> None:
    app = locked(harness)
    browser = Browser(app)
    assert browser.get("/api/risk").status_code == 401
    browser.log_in()
    assert browser.get("/api/risk").status_code == 200
    cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    halt = {"content": b'{"reason": "x"}'}
    kind = {"Content-Type": "application/json"}
    assert call(app, "POST", "/api/halt", headers={**cookie, **kind}, **halt).status_code == 401
    token = {"X-CSRF-Token": browser.csrf()}
    assert call(app, "POST", "/api/halt", headers={**cookie, **kind, **token}, **halt).status_code == 200


# F5: pages of other origins.


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("with_password", [True, False])
def test_f5_a_form_without_the_sessions_token_does_nothing(harness: WebHarness, path: str, with_password: bool) -> None:
    app = locked(harness) if with_password else app_of(harness)
    browser = Browser(app)
    if with_password:
        browser.log_in()
    right = browser.csrf()
    other = Browser(app)
    if with_password:
        other.log_in()
    for fields in ({}, {"csrf": ""}, {"csrf": other.csrf()}, {"csrf": right[:-1]}):
        response = browser.post(path, {"reason": "x", **fields})
        assert response.status_code == 403, (fields, response.text)
    state = harness.actor("state")
    assert (state.halt, state.cancelled, state.squared_off, harness.rows.all()) == (None, [], [], [])
    assert state.modified == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
@pytest.mark.parametrize("with_password", [True, False])
def test_f5_a_page_of_another_origin_is_refused(
    harness: WebHarness, headers: dict[str, str], with_password: bool
) -> None:
    app = locked(harness) if with_password else app_of(harness)
    browser = Browser(app)
    if with_password:
        browser.log_in()
    csrf = browser.csrf()
    for path in FORMS:
        assert browser.post(path, {"csrf": csrf, "reason": "x"}, **headers).status_code == 401
    assert browser.post("/login", {"password": PASSWORD}, **headers).status_code in (401, 303)
    assert harness.actor("state").halt is None


def test_f5_a_link_from_elsewhere_may_open_a_page_but_not_embed_or_read_it(harness: WebHarness) -> None:
    app = app_of(harness)
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert call(app, "GET", "/", headers=opened).status_code == 200
    assert call(app, "GET", "/", headers={**opened, "Sec-Fetch-Mode": "no-cors"}).status_code == 401


@pytest.mark.parametrize("path", [*PAGES, "/login", "/docs", "/healthz", "/api/risk", "/none"])
def test_f5_every_answer_forbids_what_no_page_needs(harness: WebHarness, path: str) -> None:
    headers = Browser(app_of(harness)).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PAGES[:-1], "/docs", "/orders/261123-test-1"])
def test_nothing_on_a_page_comes_from_elsewhere_or_runs_inline(harness: WebHarness, path: str) -> None:
    app = app_of(harness)
    order(app)
    text = Browser(app).get(path).text
    assert re.findall(r"(?:src|href|action)=\"(?:https?:)?//", text) == []
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text) == []


# F4: text that means something elsewhere.

NASTY = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "a&jKey=x", "\u202e\U0001f680", "{{ 7 * 7 }}"]


def test_g27_the_page_shows_what_was_not_delivered_and_keeps_critical_alerts_in_sight(harness: WebHarness) -> None:
    browser, state = Browser(app_of(harness)), harness.actor("state")
    assert "not delivered" not in Browser(app_of(harness)).get("/").text
    state.alerts += [Alert(Severity.INFO, AlertKind.EXECUTED, f"fill {number}") for number in range(40)]
    state.alerts.append(Alert(Severity.CRITICAL, AlertKind.MAX_LOSS, "the loss of the day"))
    state.undelivered = "3 alert(s) wait for Telegram: HTTP 502"
    page = browser.get("/").text
    assert "3 alert(s) wait for Telegram: HTTP 502" in page
    assert "the loss of the day" in page
    assert page.count("fill ") == 11


@pytest.mark.parametrize("text", NASTY)
def test_f4_what_comes_from_outside_is_shown_as_text(harness: WebHarness, text: str) -> None:
    app = app_of(harness)
    browser = Browser(app)
    command_id = order(app)
    with harness.rows.lock:
        harness.rows.rows[0] |= {"reason": text, "symbol": text, "tag": "BROKER_REJECTED", "status": "FAILED"}
    harness.actor("state").alerts.append(Alert(Severity.CRITICAL, AlertKind.ODD_STATUS, text))
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
    for path in ("/", "/orders", f"/orders/{command_id}"):
        page = browser.get(path).text
        assert escaped in page
        if escaped != text:
            assert text not in page


def test_f4_a_rejected_form_shows_what_was_written_as_text(harness: WebHarness) -> None:
    nasty = NASTY[1]
    response = Browser(app_of(harness)).submit("/new", strategy=nasty, symbol=nasty)
    assert response.status_code == 422
    assert nasty not in response.text
    assert "&lt;img" in response.text


def test_f4_csv_cells_are_no_formulas(harness: WebHarness) -> None:
    app = app_of(harness)
    order(app)
    with harness.rows.lock:
        harness.rows.rows[0] |= {"reason": "=HYPERLINK(1)", "symbol": "+1+1", "average_price": "-5.5"}
    (row,) = csv.DictReader(io.StringIO(Browser(app).get("/orders.csv").text))
    assert (row["reason"], row["symbol"], row["average_price"]) == ("'=HYPERLINK(1)", "'+1+1", "-5.5")


def test_law11_no_secret_is_on_a_page(harness: WebHarness) -> None:
    app = locked(harness, webhook_secret=SecretStr("hook-secret"), api_token=SecretStr("token-secret"))
    browser = Browser(app)
    browser.log_in()
    for path in [*PAGES, "/docs"]:
        text = browser.get(path).text
        assert PASSWORD not in text
        assert "hook-secret" not in text
        assert "token-secret" not in text


# What pages show and do.


def test_e9_a_strategy_halted_alone_is_named_and_can_be_resumed(harness: WebHarness) -> None:
    assert "Resume strategies" not in Browser(app_of(harness)).get("/").text
    harness.actor("state").halted_strategies = (("breakout", "it failed 6 times in 60 s"),)
    browser = Browser(app_of(harness))
    for path in ("/", "/risk", "/resume"):
        text = browser.get(path).text
        assert "Strategy breakout is halted" in text
        assert "it failed 6 times in 60 s" in text
    assert 'href="/resume">Resume strategies' in browser.get("/").text
    assert browser.get("/api/risk").json()["halted_strategies"] == [["breakout", "it failed 6 times in 60 s"]]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_shown_with_and_without_orders(harness: WebHarness, path: str) -> None:
    app = app_of(harness)
    assert Browser(app).get(path).status_code == 200
    order(app)
    order(app, symbol=BLOCKED)
    assert Browser(app).get(path).status_code == 200


def test_an_order_nobody_made_has_no_page(harness: WebHarness) -> None:
    response = Browser(app_of(harness)).get("/orders/none")
    assert response.status_code == 404
    assert "there is no order none" in response.text


def test_a_wrong_address_shows_the_frame_with_the_kill_switch_to_a_browser_and_json_to_a_program(
    harness: WebHarness,
) -> None:
    browser = Browser(app_of(harness))
    page = browser.get("/nope", Accept="text/html,*/*;q=0.8")
    assert page.status_code == 404
    assert "There is no such page." in page.text
    assert 'href="/halt"' in page.text
    assert browser.get("/nope").json() == {"error": "Not Found"}
    assert browser.get("/api/nope", Accept="text/html").json() == {"error": "Not Found"}
    form = browser.post("/halt", {}, Accept="text/html")
    assert form.status_code == 403
    assert "open the page again" in form.text
    # Who is not logged in is asked to, and learns of no address whether it exists.
    assert Browser(locked(harness)).get("/nope", Accept="text/html").status_code == 303


def test_pages_are_shown_when_nobody_answers(harness: WebHarness) -> None:
    harness.runtime.stop(PATIENCE_S)
    for path in ("/", "/positions", "/risk", "/system"):
        assert Browser(app_of(harness)).get(path).status_code == 200
    harness.runtime.dead_letters.take()


def test_a_record_that_cannot_be_read_is_said(harness: WebHarness) -> None:
    harness.rows.unreadable = True
    response = Browser(app_of(harness)).get("/orders")
    assert response.status_code == 503
    assert "cannot be read" in response.text


def test_filters_stand_in_the_address_and_narrow_the_table(harness: WebHarness) -> None:
    app = app_of(harness)
    order(app)
    order(app, symbol=BLOCKED)
    text = Browser(app).get("/orders?status=FAILED&strategy=momentum").text
    assert "o-261123-test-2" in text
    assert "o-261123-test-1" not in text
    assert 'href="/orders.csv?status=FAILED&amp;strategy=momentum"' in text
    assert "not understood" in Browser(app).get("/orders?status=OPEN").text


def test_older_orders_are_a_page_away(harness: WebHarness) -> None:
    app = app_of(harness, requests_per_min=100000)
    for _ in range(101):
        order(app)
    text = Browser(app).get("/orders").text
    assert text.count('<tr id="o-') == 100
    older = re.search(r'href="(/orders\?before=[^"]+)">Older', text)
    assert older is not None
    assert Browser(app).get(older.group(1)).text.count('<tr id="o-') == 1


def test_the_form_is_the_webhook_with_errors_beside_the_fields(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    fields = {name: str(value) for name, value in ORDER.items()}
    wrong = browser.submit("/new", **{**fields, "quantity": "1.5", "price": ""})
    assert wrong.status_code == 422
    assert 'id="wrong-quantity">must be a whole number' in wrong.text
    assert 'id="wrong-price">is missing' in wrong.text
    assert 'value="RELIANCE-EQ"' in wrong.text
    right = browser.submit("/new", **fields, idempotency_key="form-1")
    assert right.status_code == 303
    row = harness.rows.all()[-1]
    assert right.headers["location"] == f"/orders/{row['command_id']}"
    assert row["source"] is Source.DASHBOARD
    again = browser.submit("/new", **fields, idempotency_key="form-1")
    assert again.headers["location"] == right.headers["location"]


def test_halt_and_resume_are_confirmed_on_a_page_and_told(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    assert "Halt trading?" in browser.get("/halt").text
    assert harness.actor("state").halt is None
    assert browser.submit("/halt", reason="lunch").status_code == 303
    assert harness.actor("state").halt.reason == "lunch"
    assert "Trading is halted" in browser.get("/").text
    assert "Trading is halted" not in browser.get("/").text
    browser.submit("/resume")
    assert harness.actor("state").halt is None


@pytest.mark.parametrize("standing", list(CancelStatus))
def test_a_cancel_tells_what_became_of_it(harness: WebHarness, standing: CancelStatus) -> None:
    app = app_of(harness)
    command_id = order(app)
    harness.actor("state").cancel_standing = standing
    browser = Browser(app)
    assert command_id in browser.get(f"/orders/{command_id}/cancel").text
    response = browser.submit(f"/orders/{command_id}/cancel")
    assert harness.actor("state").cancelled == [(command_id, "dashboard")]
    assert "in its own words" in browser.get(response.headers["location"]).text


def test_a_modification_asks_for_what_the_person_changed_alone(harness: WebHarness) -> None:
    app = app_of(harness)
    command_id = order(app)
    browser = Browser(app)
    assert f"/orders/{command_id}/modify" in browser.get("/orders").text
    page = browser.get(f"/orders/{command_id}/modify").text
    was = dict(re.findall(r'name="(was_\w+)" value="([^"]*)"', page))
    shown = {name.removeprefix("was_"): value for name, value in was.items() if name != "was_filled_quantity"}
    response = browser.submit(f"/orders/{command_id}/modify", **{**shown, **was, "price": "2841.25"})
    (wanted,) = harness.actor("state").modified
    assert (wanted.command_id, wanted.fields, wanted.by) == (command_id, (("price", "2841.25"),), "dashboard")
    assert wanted.seen.filled_quantity == 0
    assert "in its own words" in browser.get(response.headers["location"]).text
    assert browser.get("/orders/nobody-1/modify").status_code == 404


def test_exits_are_asked_for_by_strategy_or_symbol(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    assert "momentum: +50 RELIANCE-EQ MIS" in browser.get("/squareoff?strategy=momentum").text
    assert "did you mean" not in browser.get("/squareoff").text
    browser.submit("/squareoff", strategy="momentum", symbol="")
    (wanted,) = harness.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol, wanted.source) == ("momentum", None, Source.DASHBOARD)
    assert "SELL 50 RELIANCE-EQ" in browser.get("/positions").text


def test_what_an_exit_opened_is_flattened_after_a_confirmation(harness: WebHarness) -> None:
    opened = GuardLine("momentum", "NSE", "RELIANCE-EQ", Product.MIS, -100, 0, None, unintended=True)
    harness.actor("state").lines = (opened,)
    browser = Browser(app_of(harness))
    page = browser.get("/positions").text
    assert "opened by an EXIT" in page
    [link] = re.findall(r'href="(/positions/flatten[^"]*)"', page)
    confirm = browser.get(unescape(link)).text
    assert "Flatten -100 RELIANCE-EQ MIS?" in confirm
    fields = {"exchange": "NSE", "symbol": "RELIANCE-EQ", "product": "MIS"}
    for quantity, told in (
        ("many", "Nothing was sent: quantity is no whole number"),
        ("-50", "-100 can be flattened"),
        ("-100", "Exit sent: SELL 50 RELIANCE-EQ."),
        ("-100", "It is being closed already: 261123-test-7."),
    ):
        browser.submit("/positions/flatten", **fields, quantity=quantity)
        assert told in browser.get("/positions").text
    harness.actor("state").lines = (replace(opened, unintended=False),)
    assert "/positions/flatten" not in Browser(app_of(harness)).get("/positions").text


def test_g24_the_page_refuses_an_unknown_strategy_and_tells_what_it_leaves(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    page = browser.get("/squareoff?strategy=momentun").text
    assert "No strategy momentun is known" in page
    assert "did you mean momentum?" in page
    assert "Exit now" not in page
    assert "Not touched: +20 INFY-EQ (unattributed: no strategy owns it)" in browser.get("/squareoff").text
    browser.submit("/squareoff", strategy="momentun", symbol="")
    assert "did you mean momentum?" in browser.get("/positions").text
    assert harness.actor("state").squared_off == []
    browser.submit("/squareoff", strategy="momentum", symbol="")
    assert "Not touched: +20 INFY-EQ" in browser.get("/positions").text


def test_g9_a_position_is_adopted_on_its_page_and_a_refusal_is_told(harness: WebHarness) -> None:
    state = harness.actor("state")
    browser = Browser(app_of(harness))
    asked = {"exchange": "NSE", "symbol": "INFY-EQ", "product": "MIS", "quantity": "50", "strategy": "alpha"}
    confirm = browser.get(f"/positions/adopt?{httpx.QueryParams(asked)}").text
    assert all(f'value="{value}"' in confirm for value in ("INFY-EQ", "50", "alpha"))
    assert state.adopted == []
    assert browser.submit("/positions/adopt", **asked).status_code == 303
    assert "Nothing was recorded: nothing of it is unattributed" in browser.get("/positions").text
    state.adoption = ADOPTED
    browser.submit("/positions/adopt", **asked, write_off="1")
    assert "Recorded: +50 INFY-EQ for alpha (ADOPTED)." in browser.get("/positions").text
    assert [(one.quantity, one.write_off, one.strategy, one.by) for one in state.adopted] == [
        (50, False, "alpha", "dashboard"),
        (50, True, "alpha", "dashboard"),
    ]
    browser.submit("/positions/adopt", **{**asked, "quantity": "0"})
    assert "Nothing was recorded" in browser.get("/positions").text
    assert len(state.adopted) == 2


def test_one_can_be_exited_of_one_strategy_or_of_all(harness: WebHarness) -> None:
    def held(strategy: str, symbol: str, quantity: int, product: Product = Product.MIS) -> GuardLine:
        return GuardLine(strategy, "NSE", symbol, product, quantity, 0, None)

    harness.actor("state").lines = (
        held("alpha", "M&M-EQ", 50),
        # Together they hold nothing, and each of them can be exited all the same.
        held("beta", "M&M-EQ", -50),
        held("alpha", "TCS-EQ", 10),
        held("gamma", "ITC-EQ", 5, Product.CNC),
    )
    browser = Browser(app_of(harness))
    links = re.findall(r'href="(/squareoff[^"]*)"', browser.get("/positions").text)
    assert [unescape(link) for link in links] == [
        "/squareoff?strategy=alpha&symbol=M%26M-EQ",
        "/squareoff?strategy=beta&symbol=M%26M-EQ",
        "/squareoff?symbol=M%26M-EQ",
        "/squareoff?strategy=alpha&symbol=TCS-EQ",
        "/squareoff?strategy=alpha",
        "/squareoff?strategy=beta",
        "/squareoff",
    ]
    one = browser.get("/squareoff?strategy=beta&symbol=M%26M-EQ").text
    assert "Exit M&amp;M-EQ of beta?" in one
    assert re.findall(r"<li>(.*?)</li>", one) == ["beta: -50 M&amp;M-EQ MIS"]
    assert "Exit M&amp;M-EQ of all strategies?" in browser.get("/squareoff?symbol=M%26M-EQ").text
    browser.submit("/squareoff", strategy="beta", symbol="M&M-EQ")
    (wanted,) = harness.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol) == ("beta", "M&M-EQ")


def test_b9_external_orders_stand_labelled_on_the_positions_page(harness: WebHarness) -> None:
    assert "Every order in the broker's book today is ours" in Browser(app_of(harness)).get("/positions").text
    harness.actor("state").external = (
        EXTERNAL,
        replace(EXTERNAL, raw_status=NASTY[0], side=None, filled_quantity=None),
    )
    text = Browser(app_of(harness)).get("/positions").text.partition("External orders")[2]
    assert "not placed by Sixstep" in text
    assert text.count("26112300000077") == 2
    assert "<b>M&amp;M-EQ</b>" in text
    assert "2950.50" in text
    assert NASTY[0] not in text


@pytest.mark.parametrize("field", ["strategy", "symbol"])
def test_f1_a_form_that_cannot_be_read_exits_nothing_and_names_the_field(harness: WebHarness, field: str) -> None:
    browser = Browser(app_of(harness))
    browser.submit("/squareoff", **{field: "\u20b9"})
    assert harness.actor("state").squared_off == []
    assert f"Nothing was exited: {field} cannot be read" in browser.get("/positions").text


@pytest.mark.parametrize("path", ["/", "/system"])
@pytest.mark.parametrize(
    ("state", "told"),
    [
        (
            FeedState(FeedStatus.CONNECTED, NOON, "", NOON),
            ["connected", "since 12:00:00", f'data-since="{NOON.isoformat()}"'],
        ),
        (FeedState(FeedStatus.DOWN, NOON, "no frame", NOON), ["not connected", "since 12:00:00", "no frame"]),
        (FeedState(FeedStatus.WAITING, NOON, "connecting", None), ["not connected yet", "none yet"]),
        (FeedState(FeedStatus.OFF, NOON, "", None), ["switched off by settings"]),
    ],
)
def test_the_push_feed_is_told(harness: WebHarness, path: str, state: FeedState, told: list[str]) -> None:
    harness.actor("state").feed = state
    text = Browser(app_of(harness)).get(path).text
    assert [words for words in ("Push feed", *told) if words not in text] == []


def test_instruments_are_found_by_what_was_typed(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    (found,) = browser.get("/instruments?exchange=NSE&q=inf").json()["instruments"]
    assert found["symbol"] == "INF-EQ"
    for query in ("exchange=NSE&q=I", "exchange=NOPE&q=INF", "exchange=NSE&q=%0AINF"):
        assert browser.get(f"/instruments?{query}").json()["instruments"] == []


def test_assets_are_kept_by_browsers_and_have_the_right_kind(harness: WebHarness) -> None:
    app = app_of(harness)
    sheet = re.search(r'href="(/assets/[^"]+\.css)"', Browser(app).get("/").text)
    assert sheet is not None
    response = call(app, "GET", sheet.group(1), client="10.0.0.5")
    assert response.headers["content-type"].startswith("text/css")
    assert "immutable" in response.headers["cache-control"]
    assert call(app, "GET", "/assets/0/app.css").status_code == 404
    assert call(app, "GET", "/assets/0/..%2f..%2f__init__.py").status_code == 404


@pytest.mark.parametrize("body", [b"csrf", b"a=1&a=2", b"\xff=1", b"=&=", b"a=%ff"])
def test_what_is_no_form_is_refused(harness: WebHarness, body: bytes) -> None:
    response = call(app_of(harness), "POST", "/halt", content=body, headers={"Content-Type": FORM})
    assert response.status_code in (400, 403)


def test_the_now_page_shows_levels_beside_the_position_and_for_how_long_it_stands_naked(harness: WebHarness) -> None:
    browser = Browser(app_of(harness))
    assert "naked 12 s" in browser.get("/").text
    one = protection(1, "100", stop={"points": 5}, target={"percent": 2})
    harness.actor("state").protections = ((replace(one, strategy="momentum", symbol="RELIANCE-EQ"), None),)
    text = Browser(app_of(harness)).get("/").text
    assert "stop 95.00" in text
    assert "target 102.00" in text
