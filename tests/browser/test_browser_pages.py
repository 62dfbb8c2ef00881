"""Every page in a real browser: it fits, complains of nothing, asks nobody else; and who has no password sees none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP
from tests.scenarios.orders import marketable
from tests.support_service import Running, running

PASSWORD = "correct horse"


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "Service"),
        ("/orders", "Orders"),
        ("/positions", "Positions and guard"),
        ("/risk", "Risk"),
        ("/system", "Actors"),
    ],
)
def test_a_page_is_live_and_fits(page: Page, path: str, title: str) -> None:
    page.goto(path)
    expect(page.locator("main")).to_contain_text(title)
    expect(page.locator(".live")).to_have_text("live")
    expect(page.locator("#status-bar")).to_contain_text("Ready")


@pytest.mark.parametrize("path", ["/new", "/halt", "/resume", "/squareoff", "/docs", "/orders/none"])
def test_a_page_fits(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator("h1").first).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/system"])
def test_how_the_push_feed_stands_is_told(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator("dd:right-of(dt:text-is('Push feed'))").first).to_contain_text("connected since")
    expect(page.locator("dd [data-suffix]").first).to_have_text(re.compile(r"^\d+ s ago$"))


def test_the_words_of_the_chart_can_be_read(page: Page) -> None:
    page.goto("/")
    # The service reads its P&L each five seconds, and the chart begins with the second reading.
    expect(page.locator(".chart .scale").first).to_be_visible()
    heights = page.evaluate(
        "[...document.querySelectorAll('.chart .scale')].map(one => one.getBoundingClientRect().height)"
    )
    assert min(heights) >= 9


def test_what_several_hold_and_what_came_from_elsewhere_fits_and_can_be_exited_one_by_one(
    page: Page, service: Running
) -> None:
    for strategy in ("alpha-of-the-long-name", "beta"):
        if not any(line[:3] == (strategy, "INFY-EQ", 10) for line in service.guard_lines()):
            entry = service.submit(marketable(strategy=strategy, symbol="INFY-EQ", quantity=10))
            service.wait_for(entry.command_id, "EXECUTED")
    service.control("external_order", account="PAPER", exch="NSE", tsym="RELIANCE-EQ", trantype="B", qty=1, prc="1400")
    page.goto("/positions")
    expect(page.locator("#positions-external")).to_contain_text("not placed by Sixstep")
    expect(page.locator("#positions-external tbody tr").first).to_contain_text("RELIANCE-EQ")
    page.get_by_role("link", name="Exit INFY-EQ of beta").click()
    expect(page.locator("h1")).to_have_text("Exit INFY-EQ of beta?")
    expect(page.locator("main li")).to_have_text(["beta: +10 INFY-EQ MIS"])
    page.get_by_role("button", name="Exit now").click()
    expect(page.locator(".note")).to_contain_text("Exits sent: SELL 10 INFY-EQ")
    service.wait_for_guard([("alpha-of-the-long-name", "INFY-EQ", 10, 0)])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(Path(tmp_path_factory.mktemp("locked")), SIXSTEP_WEB__DASHBOARD_PASSWORD=PASSWORD) as run:
        yield run


def test_the_password_opens_the_pages_and_logging_out_closes_them(browser: Browser, locked: Running) -> None:
    assert locked.service.web is not None
    context = browser.new_context(base_url=locked.service.web.url, viewport=DESKTOP)
    page = context.new_page()
    page.goto("/risk")
    page.fill("#password", "guess")
    page.click("text=Log in >> nth=-1")
    expect(page.locator(".wrong")).to_contain_text("not the password")
    page.fill("#password", PASSWORD)
    page.click("text=Log in >> nth=-1")
    expect(page.locator("h1")).to_have_text("Risk")
    expect(page.locator(".live")).to_have_text("live")
    cookies = context.cookies()
    assert cookies
    assert {(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies} == {(True, "Strict")}
    page.click("text=Log out")
    page.goto("/risk")
    expect(page.locator("#password")).to_be_visible()
    context.close()


def test_f5_another_origins_page_can_neither_post_nor_read_nor_embed(browser: Browser, locked: Running) -> None:
    """A page at another port is another origin; it tries with the cookie of somebody who is logged in."""
    assert locked.service.web is not None
    ours = locked.service.web.url
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{ours}/login")
    page.fill("#password", PASSWORD)
    page.click("text=Log in >> nth=-1")
    expect(page.locator(".live")).to_have_text("live")
    evil = "http://evil.example/"
    form = f'<form id=f method=post action="{ours}/halt"><input name=reason value=x></form>'
    html = f'{form}<iframe src="{ours}/"></iframe>'
    context.route(f"{evil}**", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(evil)
    read = page.evaluate(f"fetch('{ours}/api/risk', {{credentials: 'include'}}).then(r => r.text(), e => 'refused')")
    assert read == "refused"
    posted = page.evaluate(
        f"fetch('{ours}/api/halt', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{{}}'}})"
        ".then(r => r.type, e => 'refused')"
    )
    assert posted in ("opaque", "refused")
    with page.expect_navigation():
        page.evaluate("document.getElementById('f').submit()")
    assert locked.store.current_halt("PAPER") is None
    context.close()


@pytest.mark.parametrize("path", ["/", "/orders", "/positions", "/risk", "/system", "/nope"])
def test_no_table_is_cut_off(page: Page, service: Running, path: str) -> None:
    """What matters of a row, such as its quantity, its reason or a limit, is in sight on a phone too."""
    service.submit(marketable(quantity=20_000))
    page.goto(path)
    expect(page.locator("#kill")).to_be_visible()
    cut = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth)"
    assert page.evaluate(f"{cut}.map(one => one.innerText)") == []
    tabs = page.locator("nav.tabs a")
    for number in range(tabs.count()):
        expect(tabs.nth(number)).to_be_in_viewport(ratio=1)
