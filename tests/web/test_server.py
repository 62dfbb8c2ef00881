"""The web application on a real port."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from core.rules.submission import MAX_BODY
from core.settings import Settings, WebSettings
from core.web import WebServer, create_app
from tests.web.harness import ORDER, WebHarness


@pytest.fixture
def server(harness: WebHarness) -> Iterator[WebServer]:
    settings = Settings(web=WebSettings(webhook_secret=SecretStr("s"), api_token=SecretStr("t")))
    server = WebServer(create_app(harness.gateway, settings), "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


def test_an_order_over_a_real_connection(server: WebServer) -> None:
    with requests.Session() as session:
        answer = session.post(f"{server.url}/webhook", json=ORDER, headers={"X-Webhook-Secret": "s"}, timeout=10)
        assert answer.status_code == 202
        command_id = answer.json()["command_id"]
        path = f"{server.url}/api/orders/{command_id}"
        row = session.get(path, headers={"Authorization": "Bearer t"}, timeout=10).json()
        assert row["broker_order_id"] == answer.json()["broker_order_id"]


def test_f3_a_flood_of_bytes_is_cut_off_over_a_real_connection(server: WebServer) -> None:
    answer = requests.post(f"{server.url}/webhook", data=b"x" * (MAX_BODY + 1), timeout=10)
    assert answer.status_code == 413


def test_it_serves_as_soon_as_start_returns_and_no_longer_once_stopped(server: WebServer) -> None:
    assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/healthz", timeout=10)


def test_stopping_twice_is_harmless(server: WebServer) -> None:
    server.stop()
    server.stop()


def test_a_port_in_use_is_named_with_its_setting(harness: WebHarness) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = WebServer(create_app(harness.gateway, Settings()), "127.0.0.1", port)
        with pytest.raises(OSError, match=rf"\[web\] port: cannot listen on 127.0.0.1:{port}: Address already in use"):
            server.start()


def test_a_host_that_is_not_ours_is_named_with_its_setting(harness: WebHarness) -> None:
    server = WebServer(create_app(harness.gateway, Settings()), "no.such.host.invalid", 0)
    with pytest.raises(OSError, match=r"\[web\] host"):
        server.start()


def test_e7_stopping_lets_the_request_in_progress_end() -> None:
    begun, finish = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        loops.append(asyncio.get_running_loop())
        begun.set()
        await finish.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(requests.get(server.url, timeout=10).text))
    caller.start()
    assert begun.wait(10)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    loops[0].call_soon_threadsafe(finish.set)
    caller.join(10)
    stopper.join(10)
    assert answers == ["done"]
    assert not stopper.is_alive()


def test_e7_a_request_that_never_ends_does_not_keep_it_from_stopping() -> None:
    begun = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        begun.set()
        await asyncio.Event().wait()

    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as hanging:
        hanging.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert begun.wait(10)
        server.stop()


def test_the_url_for_this_machine_when_it_listens_everywhere(harness: WebHarness) -> None:
    app = create_app(harness.gateway, Settings())
    assert WebServer(app, "0.0.0.0", 8787).url == "http://127.0.0.1:8787"
    assert WebServer(app, "::", 8787).url == "http://[::1]:8787"


def test_requests_are_not_logged(server: WebServer, capfd: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({**ORDER, "secret": "s"})
    assert requests.post(f"{server.url}/webhook", data=body, timeout=10).status_code == 202
    printed = capfd.readouterr()
    assert "webhook" not in printed.out + printed.err


def test_answers_are_not_held_back_by_the_network_stack(server: WebServer) -> None:
    # What asyncio looks at before it sets TCP_NODELAY on an accepted connection.
    assert server._listeners
    assert server._listeners[0].proto == socket.IPPROTO_TCP
