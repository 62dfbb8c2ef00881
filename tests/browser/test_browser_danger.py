"""The buttons that matter can be read, and a phone shows what a position earns and how to leave it (U1, U7)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.conftest import opened
from tests.scenarios.orders import marketable
from tests.support_service import Running

_COLOURS = "one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"


def contrast(page: Page, selector: str) -> tuple[float, str]:
    """WCAG's contrast of a button's text on its ground, and the ground."""
    text, ground = page.locator(selector).evaluate(_COLOURS)
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
            row = page.locator(".positions tbody tr", has_text="INFY-EQ")
            expect(row).to_have_count(1)
            for cell in (row.locator("td").nth(6), row.locator("td").nth(7), row.locator("a.danger")):
                box = cell.bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= size["width"]
