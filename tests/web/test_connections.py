"""G22: connections that wait are closed in time, are bounded in number, and keep nobody out. Over real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from core.process.descriptors import raise_descriptor_limit
from core.process.repeats import Repeats
from core.runtime import SystemClock
from core.settings import Settings, WebSettings
from core.web import Bounds, WebServer, create_app
from core.web.origin import network_of
from tests.web.harness import ORDER, WebHarness

PATIENCE_S = 20.0
CLOCK = SystemClock()
HEADERS = b"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Webhook-Secret: s"
BODY = HEADERS + b"\r\nContent-Length: 500\r\n\r\n{"
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextmanager
def serving(app: ASGIApp, bounds: Bounds) -> Iterator[WebServer]:
    server = WebServer(app, "127.0.0.1", 0, bounds=bounds)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connected(server: WebServer, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, (source, 0))
    if sent:
        made.sendall(sent)
    return made


def is_closed(connection: socket.socket, within_s: float = PATIENCE_S) -> bool:
    """Whether the server closes a connection; what it says before is skipped."""
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("sent", [b"", HEADERS, BODY, UNREAD], ids=["nothing", "headers", "body", "reads"])
def test_g22_a_thousand_connections_that_never_finish_keep_nobody_out(harness: WebHarness, sent: bytes) -> None:
    assert raise_descriptor_limit() > 2500
    # How many requests one address may send a minute is another limit, and the flood comes from this one.
    web = WebSettings(webhook_secret=SecretStr("s"), api_token=SecretStr("t"), requests_per_min=1_000_000)
    with serving(create_app(harness.gateway, Settings(web=web)), Bounds()) as server, ExitStack() as all_of_them:
        flood = [all_of_them.enter_context(connected(server, sent)) for _ in range(1000)]
        assert requests.get(f"{server.url}/readyz", timeout=PATIENCE_S).status_code == 200
        headers = {"X-Webhook-Secret": "s"}
        assert (
            requests.post(f"{server.url}/webhook", json=ORDER, headers=headers, timeout=PATIENCE_S).status_code == 202
        )
        halt = requests.post(f"{server.url}/api/halt", headers={"Authorization": "Bearer t"}, timeout=PATIENCE_S)
        assert halt.json()["halted"] is True
        # The oldest gave way.
        assert all(is_closed(connection) for connection in flood[:600])


@pytest.mark.parametrize("sent", [b"", HEADERS, BODY], ids=["nothing", "headers", "body"])
def test_g22_a_request_that_is_not_whole_in_time_is_closed(harness: WebHarness, sent: bytes) -> None:
    with (
        serving(create_app(harness.gateway, Settings()), Bounds(whole_s=0.3)) as server,
        connected(server, sent) as slow,
    ):
        assert is_closed(slow)


def test_g22_a_byte_now_and_then_does_not_prolong_it(harness: WebHarness) -> None:
    with (
        serving(create_app(harness.gateway, Settings()), Bounds(whole_s=0.5)) as server,
        connected(server, HEADERS) as slow,
    ):
        until = CLOCK.monotonic() + PATIENCE_S
        while not is_closed(slow, within_s=0.05):
            assert CLOCK.monotonic() < until, "still open"
            try:
                slow.sendall(b"x")
            except ConnectionError:
                break


def test_g22_the_second_request_of_a_connection_must_be_whole_too(harness: WebHarness) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with (
        serving(create_app(harness.gateway, Settings()), Bounds(whole_s=0.3, idle_s=1000)) as server,
        connected(server, whole) as slow,
    ):
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(HEADERS)
        assert is_closed(slow)
    # What came with the first is not looked at before that is answered, and then like any idle connection.
    with (
        serving(create_app(harness.gateway, Settings()), Bounds(whole_s=0.3, idle_s=1)) as server,
        connected(server, whole + HEADERS) as together,
    ):
        assert is_closed(together)


def test_g22_an_idle_connection_is_closed_after_an_answer(harness: WebHarness) -> None:
    with (
        serving(create_app(harness.gateway, Settings()), Bounds(idle_s=1)) as server,
        connected(server, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as idle,
    ):
        assert is_closed(idle)


class Stream:
    """An application that answers with a first part, and with the rest when it is told to; it notes its end."""

    def __init__(self, rest: bytes) -> None:
        self._rest = rest
        self.go_on = threading.Event()
        self.ended = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, self.go_on.wait)
        for _ in range(200):
            await send({"type": "http.response.body", "body": self._rest, "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})
        self.ended.set()


def read_until(connection: socket.socket, end: bytes) -> None:
    read = b""
    while end not in read:
        part = connection.recv(65536)
        assert part, "closed"
        read = read[-20:] + part


def test_g22_a_stream_goes_on_however_long_it_is_silent() -> None:
    app = Stream(b"x" * 1000)
    with (
        serving(app, Bounds(whole_s=0.3, idle_s=1, unread_s=0.3)) as server,
        connected(server, UNREAD) as stream,
    ):
        read_until(stream, b"first")
        # Those that must be whole by then come and are closed, one after another: so long the stream is silent.
        for _ in range(3):
            with connected(server, HEADERS) as slow:
                assert is_closed(slow)
        app.go_on.set()
        read_until(stream, b"last")


def test_g22_an_answer_that_nobody_reads_is_given_up() -> None:
    app = Stream(b"x" * 100_000)
    app.go_on.set()
    with serving(app, Bounds(unread_s=0.3)) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(UNREAD)
        # The application is let go, for uvicorn drops what is sent to a connection that is gone.
        assert app.ended.wait(PATIENCE_S)


def test_g22_an_answer_that_is_awaited_is_not_cut_off_by_newcomers() -> None:
    app = Stream(b"")
    with serving(app, Bounds(of_near=4)) as server, ExitStack() as all_of_them:
        asked = all_of_them.enter_context(connected(server, UNREAD))
        read_until(asked, b"first")
        idle = [all_of_them.enter_context(connected(server)) for _ in range(10)]
        assert all(is_closed(connection) for connection in idle[:6])
        app.go_on.set()
        read_until(asked, b"last")


def test_g22_one_address_takes_no_room_from_another(harness: WebHarness) -> None:
    bounds = Bounds(of_one=4, in_all=8, near=lambda _: False)
    with serving(create_app(harness.gateway, Settings()), bounds) as server, ExitStack() as all_of_them:
        mine = all_of_them.enter_context(connected(server))
        theirs = [all_of_them.enter_context(connected(server, source="127.0.0.9")) for _ in range(20)]
        assert all(is_closed(connection) for connection in theirs[:16])
        mine.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert mine.recv(65536).startswith(b"HTTP/1.1 200")


def test_g22_when_all_is_full_the_address_with_the_most_gives_way(harness: WebHarness) -> None:
    bounds = Bounds(of_one=6, in_all=8, near=lambda _: False)
    with serving(create_app(harness.gateway, Settings()), bounds) as server, ExitStack() as all_of_them:
        few = [all_of_them.enter_context(connected(server)) for _ in range(2)]
        most = [all_of_them.enter_context(connected(server, source="127.0.0.9")) for _ in range(6)]
        newcomer = all_of_them.enter_context(connected(server, source="127.0.0.7"))
        assert is_closed(most[0])
        for connection in (*few, newcomer):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


WITHOUT_DESCRIPTORS = """
import resource, socket, sys
from core.web import Bounds, WebServer
from tests.web.test_connections import Stream, UNREAD, read_until
app = Stream(b"")
app.go_on.set()
server = WebServer(app, "127.0.0.1", 0, bounds=Bounds(in_all=10_000, of_near=10_000))
server.start()
clients = [socket.socket() for _ in range(150)]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
for client in clients:
    client.connect(("127.0.0.1", server.port))
    client.settimeout(0.02)
    try:
        client.recv(1)
    except TimeoutError:
        pass
for client in clients:
    client.close()
with socket.create_connection(("127.0.0.1", server.port), 20) as later:
    later.sendall(UNREAD)
    read_until(later, b"last")
server.stop()
"""


def test_g22_without_descriptors_the_log_stays_small_and_the_server_comes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of system resource" in done.stderr
    assert done.stderr.count("out of system resource") <= 2
    assert len(done.stderr) < 2000


def test_g22_repetitions_are_said_once_and_then_once_in_a_while_with_their_number() -> None:
    repeats = Repeats(every_s=60, most=2)
    assert repeats.line("no room", 0.0) == "no room"
    assert [repeats.line("no room", at) for at in (0.1, 30.0, 59.9)] == [None, None, None]
    assert repeats.line("another", 1.0) == "another"
    assert repeats.line("no room", 60.0) == "no room (3 times more since it was said last)"
    assert repeats.line("no room", 120.0) == "no room"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
    ],
)
def test_s13_an_ipv6_client_is_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = [(256, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    assert raise_descriptor_limit() == 4096
    assert limits[-1] == (4096, 4096)
    limits.append((256, resource.RLIM_INFINITY))
    assert raise_descriptor_limit() == 65_536
