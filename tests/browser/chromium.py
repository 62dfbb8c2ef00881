"""Debian's Chromium under Playwright: one browser, a fresh context for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ViewportSize, sync_playwright

__all__ = ["DESKTOP", "PHONE", "chromium"]

DESKTOP: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}

_PATH = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own; the browsers that Playwright offers are not downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_PATH, headless=True, args=_FLAGS)
        yield browser
        browser.close()
