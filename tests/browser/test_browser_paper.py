"""The paper exchange's live page and login page in a real browser: what happens appears by itself, buttons work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pyotp
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from core.paper.config import AccountConfig, ExchangeConfig, PriceSource
from core.paper.server import PaperServer
from core.runtime.clock import SystemClock
from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.conftest import PATIENCE_MS, STATUS, WATCHED
from tests.paper.faces.clients import BOUND_S

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a fresh profile, of a phone's width unless a desk's is asked for.

    What the browser complains of, asks of others or cannot fit fails the test.
    """
    context = browser.new_context(viewport=getattr(request, "param", PHONE))
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type in WATCHED else None)
    opened.on("request", lambda asked: complaints.append(asked.url) if "127.0.0.1" not in asked.url else None)
    yield opened
    wide = opened.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    assert [said for said in complaints if not said.startswith((STATUS, "data:"))] == []
    assert wide <= 0, "the page is wider than the screen"


@pytest.fixture
def server() -> Iterator[PaperServer]:
    """A paper exchange whose prices stand still."""
    with serving(ExchangeConfig(price_source=PriceSource.MANUAL)) as started:
        yield started


@contextmanager
def serving(config: ExchangeConfig) -> Iterator[PaperServer]:
    server = PaperServer(config, clock=SystemClock())
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Client:
    """The least that places an order."""

    def __init__(self, server: PaperServer, uid: str = "FA00001") -> None:
        self._server = server
        self.uid = uid
        login = {"uid": uid, "pwd": hashlib.sha256(b"x").hexdigest(), "factor2": "1"}
        self._token = self.call("QuickAuth", login).json()["susertoken"]

    def call(self, path: str, fields: dict[str, str]) -> requests.Response:
        key = "" if path == "QuickAuth" else f"&jKey={self._token}"
        url = f"{self._server.rest_url}/NorenWClientTP/{path}"
        return requests.post(url, data=f"jData={json.dumps(fields)}{key}", timeout=BOUND_S)

    def place(self, price: str, remarks: str) -> requests.Response:
        order = {"uid": self.uid, "actid": self.uid, "exch": "NSE", "tsym": "RELIANCE-EQ", "qty": "2", "prc": price,
                 "prd": "I", "trantype": "B", "prctyp": "LMT", "ret": "DAY", "remarks": remarks}  # fmt: skip
        return self.call("PlaceOrder", order)


@pytest.mark.parametrize("page", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)
def test_prices_orders_and_positions_appear_by_themselves(page: Page, server: PaperServer) -> None:
    page.goto(server.control_url)
    expect(page.locator("#link")).to_have_text("live")
    share = {"exch": "NSE", "tsym": "RELIANCE-EQ"}
    server.control("set_price", {**share, "price": "1450.00"})
    expect(page.locator("#prices tbody tr", has_text="RELIANCE-EQ")).to_contain_text("1450.00")
    client = Client(server)
    client.place("1400.00", "seen live")
    order = page.locator("#orders tbody tr", has_text="seen live")
    expect(order).to_contain_text("OPEN")
    expect(page.locator("#books tbody tr", has_text="RELIANCE-EQ")).to_be_visible()
    order.get_by_role("button", name="Fill").click()
    expect(order).to_contain_text("COMPLETE")
    expect(page.locator("#positions tbody tr", has_text="RELIANCE-EQ")).to_contain_text("1400.00")
    expect(page.locator("#accounts tbody tr", has_text=client.uid)).to_be_visible()


def test_a_fault_is_made_and_taken_away_by_buttons(page: Page, server: PaperServer) -> None:
    client = Client(server)
    page.goto(server.control_url)
    page.get_by_role("button", name="drop_502", exact=True).click()
    expect(page.locator("#said")).to_have_text('drop_502: {"id":1}')
    fault = page.locator("#faults tbody tr", has_text="drop_502")
    expect(fault).to_contain_text("PlaceOrder")
    assert client.place("1400.00", "lost").status_code == 502
    expect(fault).to_have_count(0)
    lag = page.locator("form", has_text="OrderBook and TradeBook show the state")
    lag.locator("input[name=seconds]").fill("1.5")
    lag.get_by_role("button").click()
    expect(page.locator("#faults tbody tr", has_text="book_lag")).to_contain_text("seconds=1.5")
    page.locator("#faults").get_by_role("button", name="Remove").click()
    expect(page.locator("#faults .none")).to_be_visible()


def test_what_is_wrong_with_a_command_is_said_on_the_page(page: Page, server: PaperServer) -> None:
    page.goto(server.control_url)
    form = page.locator('form[action="/control/set_price"]')
    form.locator("input[name=tsym]").fill("NOBODY-EQ")
    form.locator("input[name=price]").fill("1")
    with page.expect_response("**/control/set_price") as answered:
        form.get_by_role("button").click()
    assert answered.value.status == 422
    expect(page.locator("#said")).to_have_text("exch/tsym: NSE:NOBODY-EQ is not listed here")


def test_a_wrong_login_shows_the_form_with_the_reason_and_a_right_one_leads_back(page: Page) -> None:
    account = AccountConfig(uid="FA00001", password="right", totp_secret=SECRET)
    with serving(ExchangeConfig(accounts=(account,))) as server:
        back = f"{server.rest_url}/OAuthlogin/authorize/oauth?client_id=back"
        page.goto(f"{server.rest_url}/OAuthlogin/authorize/oauth?client_id=FA00001_U&redirect_uri={back}")
        expect(page.locator("input[name=uid]")).to_have_value("FA00001")

        def log_in(password: str) -> None:
            page.fill("input[name=password]", password)
            page.fill("input[name=totp]", pyotp.TOTP(SECRET).at(SystemClock().now()))
            page.get_by_role("button", name="Log in").click()

        log_in("wrong")
        expect(page.get_by_role("alert")).to_have_text("Invalid Input : Wrong Password")
        expect(page.locator("input[name=uid]")).to_have_value("FA00001")
        expect(page.locator("input[name=password]")).to_have_value("")
        log_in("right")
        page.wait_for_url(f"{back}&code=*")
