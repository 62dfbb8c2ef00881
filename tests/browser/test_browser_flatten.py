"""What an EXIT opened is closed from the positions page, on a desk and on a phone; two touches are one order."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.scenarios.test_g_flatten import exits, overtaken
from tests.support import wait_until
from tests.support_service import Running


def test_g1_two_touches_flatten_what_an_exit_opened_once(page: Page, service: Running) -> None:
    before = len(exits(service))
    overtaken(service)
    service.wait_for_guard([("alpha", "INFY-EQ", -100, 0)])
    page.goto("/positions")
    expect(page.get_by_text("opened by an EXIT")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("Flatten INFY-EQ").click()
    expect(page.get_by_role("heading")).to_have_text("Flatten -100 INFY-EQ MIS?")
    page.get_by_role("button", name="Flatten it").dblclick()
    expect(page.locator("main .note").first).to_contain_text("INFY-EQ")
    service.wait_for_guard([])
    wait_until(lambda: all(row["status"] == "EXECUTED" for row in exits(service)), PATIENCE_MS / 1000)
    assert len(exits(service)) == before + 1
