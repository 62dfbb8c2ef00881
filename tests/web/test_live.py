"""Live pages: what is sent, to whom, and what is not sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from core.rules.submission import MAX_BODY
from core.settings import Settings, WebSettings
from core.web import create_app
from core.web.pages.live import _Parts, _patch
from core.web.pages.site import Rows
from core.web.server import WebServer
from core.web.state import Shared
from tests.web.harness import ORDER, WebHarness, call


def parts(**fragments: str) -> _Parts:
    return _Parts(fragments, None)


def rows(*pairs: tuple[str, str]) -> _Parts:
    return _Parts({}, Rows("body", pairs))


def test_only_what_changed_is_sent() -> None:
    sent: dict[str, str] = {}
    assert _patch(parts(a="1", b="2"), sent) == {"set": {"a": "1", "b": "2"}}
    assert _patch(parts(a="1", b="2"), sent) is None
    assert _patch(parts(a="1", b="3"), sent) == {"set": {"b": "3"}}


def test_rows_come_change_and_go_one_by_one() -> None:
    sent: dict[str, str] = {}
    assert _patch(rows(("r1", "x")), sent) == {"rows": {"into": "body", "order": ["r1"], "html": {"r1": "x"}}}
    assert _patch(rows(("r1", "x")), sent) is None
    assert _patch(rows(("r2", "y"), ("r1", "x")), sent) == {
        "rows": {"into": "body", "order": ["r2", "r1"], "html": {"r2": "y"}}
    }
    assert _patch(rows(("r2", "z")), sent) == {"rows": {"into": "body", "order": ["r2"], "html": {"r2": "z"}}}
    # One that left and comes back is sent again: the browser has thrown it away.
    assert _patch(rows(("r2", "z"), ("r1", "x")), sent) == {
        "rows": {"into": "body", "order": ["r2", "r1"], "html": {"r1": "x"}}
    }


def test_what_many_want_at_once_is_made_once() -> None:
    made: list[int] = []
    now = [0.0]

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return len(made)

    async def ask() -> list[int]:
        shared = Shared(lambda: now[0])
        first = await asyncio.gather(*(shared.get("key", make) for _ in range(20)))
        now[0] = 5.0
        return [*first, await shared.get("key", make)]

    assert asyncio.run(ask()) == [1] * 20 + [2]


def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def run() -> str:
        shared = Shared(lambda: 0.0)
        started = asyncio.Event()
        release = asyncio.Event()

        async def make() -> str:
            started.set()
            await release.wait()
            return "made"

        first = asyncio.ensure_future(shared.get("key", make))
        await started.wait()
        second = asyncio.ensure_future(shared.get("key", make))
        first.cancel()
        release.set()
        return await second

    assert asyncio.run(run()) == "made"


@pytest.mark.parametrize("page", ["/none", "/orders/a/b", "http://[x", "//", "x" * (MAX_BODY // 2)])
def test_there_is_no_stream_of_a_page_that_is_not(harness: WebHarness, page: str) -> None:
    assert call(create_app(harness.gateway, Settings()), "GET", "/live", params={"page": page}).status_code == 404


def test_a_stream_brings_a_new_order_and_ends_with_the_server(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings())
    server = WebServer(app, "127.0.0.1", 0, before_stop=app.state.close_streams)
    server.start()
    try:
        with requests.get(f"{server.url}/live", params={"page": "/orders"}, stream=True, timeout=10) as stream:
            lines = stream.iter_lines()
            first = _next(lines.__next__)
            assert first["rows"]["order"] == []
            assert requests.post(f"{server.url}/webhook", json=ORDER, timeout=10).status_code == 202
            second = _next(lines.__next__)
            while "rows" not in second:
                second = _next(lines.__next__)
            assert second["rows"]["order"] == ["o-261123-test-1"]
            assert "RELIANCE-EQ" in second["rows"]["html"]["o-261123-test-1"]
            clock = harness.clock
            before = clock.monotonic()
            server.stop()
            # Well below the two seconds that requests in progress are given.
            assert clock.monotonic() - before < 1.5
            assert b"retry: 1000" in list(lines)
    finally:
        server.stop()


def test_a_stream_ends_with_its_session(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings(web=WebSettings(dashboard_password=SecretStr("horse"))))
    server = WebServer(app, "127.0.0.1", 0, before_stop=app.state.close_streams)
    server.start()
    try:
        browser = requests.Session()
        page = browser.post(f"{server.url}/login", data={"password": "horse"}, timeout=10).text
        csrf = page.partition('data-csrf="')[2].partition('"')[0]
        with browser.get(f"{server.url}/live", params={"page": "/risk"}, stream=True, timeout=10) as stream:
            lines = stream.iter_lines()
            assert "risk-table" in _next(lines.__next__)["set"]
            assert browser.post(f"{server.url}/logout", data={"csrf": csrf}, timeout=10).status_code == 200
            assert b"retry: 1000" in list(lines)
    finally:
        server.stop()


def _next(line: Callable[[], bytes]) -> dict[str, Any]:
    while not (found := line()).startswith(b"data: "):
        pass
    told: dict[str, Any] = json.loads(found.removeprefix(b"data: "))
    return told
