from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.chromium import DESKTOP, PHONE, chromium
from tests.support_service import Running, running

WATCHED = {"error", "warning"}
# What Chromium says of every answer that is not 2xx, a form's 422 among them.
STATUS = "Failed to load resource"
# A machine that does much else is slow; a page that is right is only late.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


# Ends with this package: while it lives, its event loop runs in this thread, where other tests run loops of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for the tests of a file; INFY-EQ and RELIANCE-EQ stand still at 1500."""
    with running(Path(tmp_path_factory.mktemp("service"))) as run:
        for symbol in ("INFY-EQ", "RELIANCE-EQ"):
            run.set_price("1500", symbol)
        yield run


@pytest.fixture(params=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, service: Running) -> Iterator[Page]:
    """A fresh browser at the service's address, on a desk and then on a phone."""
    with opened(browser, service, PHONE if request.param == "phone" else DESKTOP) as page:
        yield page


@pytest.fixture
def cell(browser: Browser, service: Running) -> Iterator[Page]:
    """A fresh browser on a desk, for what does not depend on the width."""
    with opened(browser, service, DESKTOP) as page:
        yield page


@contextmanager
def opened(browser: Browser, service: Running, size: ViewportSize) -> Iterator[Page]:
    """What the browser complains of, asks of others or cannot fit fails the test."""
    assert service.service.web is not None
    context = browser.new_context(base_url=service.service.web.url, viewport=size)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in WATCHED else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    service.control("clear_faults")
    assert [said for said in complaints if not said.startswith(STATUS)] == []
    assert [url for url in asked if not url.startswith((service.service.web.url, "data:"))] == []
    assert wide <= 0, "the page is wider than the screen"
