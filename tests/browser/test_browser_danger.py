"""The buttons that matter can be read, and a phone shows what a position earns and how to leave it (U1, U7)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.conftest import opened
from tests.scenarios.orders import marketable
from tests.support_service import Running

# Each looks the elements up and measures them in one go: a live page replaces its parts twice a second, and an element
# that was held since has neither style nor place.
_COLOURS = """selector => {
  const style = getComputedStyle(document.querySelector(selector));
  return [style.color, style.backgroundColor];
}"""
_PLACES = """symbol => {
  const rows = [...document.querySelectorAll("#positions-table tbody tr")];
  const row = rows.find(row => row.textContent.includes(symbol));
  const cells = row.querySelectorAll("td");
  return [cells[6], cells[7], row.querySelector("a.danger")].map(one => {
    const place = one.getBoundingClientRect();
    return [place.left, place.right];
  });
}"""


def contrast(page: Page, selector: str) -> tuple[float, str]:
    """WCAG's contrast of a button's text on its ground, and the ground."""
    text, ground = page.evaluate(_COLOURS, selector)
    light, dark = sorted((_luminance(text), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05), ground


def _luminance(colour: str) -> float:
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)]
    assert len(parts) == 3, f"{colour} lets something shine through"
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _is_red(colour: str) -> bool:
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return red > 1.5 * max(green, blue)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "selector", "red"),
    [
        ("/halt", "main button", True),
        ("/squareoff", "main button", True),
        ("/resume", "main button", False),
        ("/", "#kill", True),
    ],
)
def test_u1_the_buttons_of_halt_and_square_off_can_be_read(
    page: Page, scheme: str, path: str, selector: str, red: bool
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(path)
    found, ground = contrast(page, selector)
    assert found >= 4.5, f"{found:.2f} on {ground}"
    assert _is_red(ground) is red
    expect(page.locator(selector)).not_to_have_text("")


def test_u7_a_phone_shows_what_a_position_earns_and_its_exit(browser: Browser, service: Running) -> None:
    if not any(line[:2] == ("alpha", "INFY-EQ") for line in service.guard_lines()):
        entry = service.submit(marketable(symbol="INFY-EQ", quantity=10))
        service.wait_for(entry.command_id, "EXECUTED")
    for size in (PHONE, DESKTOP):
        with opened(browser, service, size) as page:
            page.goto("/positions")
            expect(page.locator("#positions-table tbody tr", has_text="INFY-EQ").locator("a.danger")).to_be_visible()
            for left, right in page.evaluate(_PLACES, "INFY-EQ"):
                assert 0 <= left < right <= size["width"]
