"""How the server carries requests, replies and frames, shown with an exchange that says what a test tells it to."""

from __future__ import annotations

import http.client
import socket
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import websocket

from core.paper.wire import Close, Fate, Out, Push, Reply, Request, Silence, Step
from core.runtime.clock import VirtualClock
from tests.paper.faces.clients import BOUND_S, Received, Socket, Start
from tests.support_process import lasting_ports


class ScriptedExchange:
    """Says what it was told to say. One instance a test; the server makes it."""

    made: ScriptedExchange

    def __init__(self, config: object, *, now: datetime, seed: int = 1) -> None:
        self.config, self.started, self.seed = config, now, seed
        self.requests: list[Request] = []
        self.heard: list[tuple[str, str]] = []
        self.life = Received()
        self.steps: deque[Callable[[datetime], Step]] = deque()
        self.answers: deque[Step] = deque()
        self.due: datetime | None = None
        self.at_due: tuple[Out, ...] = ()
        ScriptedExchange.made = self

    @property
    def now(self) -> datetime:
        return self.started

    def handle(self, request: Request, now: datetime) -> Step:
        self.requests.append(request)
        return self.steps.popleft()(now) if self.steps else Step(Reply(body=request.body))

    def connect(self, connection: str, _now: datetime) -> Step:
        self.life.add(("connect", connection))
        return Step(None)

    def receive(self, connection: str, text: str, now: datetime) -> Step:
        self.heard.append((connection, text))
        if text == "break":
            raise ZeroDivisionError("secret detail")
        return self.answers.popleft() if self.answers else Step(None, (Push(connection, text, now),))

    def disconnect(self, connection: str, _now: datetime) -> None:
        self.life.add(("disconnect", connection))

    def advance(self, now: datetime) -> tuple[Out, ...]:
        if self.due is None or now < self.due:
            return ()
        self.due = None
        return self.at_due

    def next_due(self) -> datetime | None:
        return self.due

    def control(self, command: str, _arguments: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        if command == "due":
            self.due, self.at_due = now + timedelta(seconds=0.2), (Push("ws-1", "late", now),)
        return {}

    def snapshot(self, _now: datetime) -> dict[str, Any]:
        return {}


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.paper.server.Exchange", ScriptedExchange)


def script(*steps: Step | Callable[[datetime], Step]) -> ScriptedExchange:
    """Tell the running exchange what to answer, in order."""
    exchange = ScriptedExchange.made
    exchange.steps.extend(step if callable(step) else (lambda _, step=step: step) for step in steps)
    return exchange


def raw(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=BOUND_S)


def post(body: bytes, path: str = "/NorenWClientTP//PlaceOrder", headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def test_a_request_reaches_the_exchange_as_it_was_sent(start: Start) -> None:
    server = start()
    url = server.rest_url + "/NorenWClientTP//PlaceOrder"
    reply = requests.post(
        url, data='jData={"tsym":"M%26M-EQ"}', headers={"Authorization": "Bearer abc"}, timeout=BOUND_S
    )
    assert ScriptedExchange.made.requests == [
        Request("/NorenWClientTP//PlaceOrder", b'jData={"tsym":"M%26M-EQ"}', "Bearer abc", "127.0.0.1")
    ]
    assert (reply.status_code, reply.content) == (200, b'jData={"tsym":"M%26M-EQ"}')
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"]
)
def test_any_content_type_is_taken(start: Start, kind: str) -> None:
    body = b'jData={"uid":"A"}&jKey=x'
    url, headers = start().rest_url + "/NorenWClientTP/Limits", {"Content-Type": kind} if kind else {}
    assert requests.post(url, data=body, headers=headers, timeout=BOUND_S).content == body
    assert [request.body for request in ScriptedExchange.made.requests] == [body]


def test_one_connection_carries_many_requests(start: Start) -> None:
    address = urlsplit(start().rest_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=BOUND_S)
    connection.connect()
    local = connection.sock.getsockname()
    for number in range(20):
        connection.request("POST", "/x", body=str(number))
        assert connection.getresponse().read() == str(number).encode()
        assert connection.sock.getsockname() == local


def test_requests_sent_ahead_are_answered_in_order(start: Start) -> None:
    server = start()
    script(Step(Reply(body=b"first", delay_s=0.05)), Step(Reply(body=b"second")))
    with raw(server.rest_url) as connection:
        connection.sendall(post(b"1") + post(b"2", headers="Connection: close\r\n"))
        answered = read_all(connection)
    assert answered.index(b"first") < answered.index(b"second")


def test_a_chunked_body_is_read(start: Start) -> None:
    reply = requests.post(start().rest_url + "/x", data=iter([b"jDa", b"ta={}"]), timeout=BOUND_S)
    assert reply.content == b"jData={}"


def test_a_body_over_the_limit_is_refused(start: Start) -> None:
    server = start()
    with raw(server.rest_url) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 300_000)
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
    assert ScriptedExchange.made.requests == []


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"POST /x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000]
)
def test_what_is_not_http_is_refused_and_closed(start: Start, sent: bytes) -> None:
    with raw(start().rest_url) as connection:
        connection.sendall(sent)
        assert connection.recv(64).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


def test_get_is_not_allowed_on_an_api_path(start: Start) -> None:
    reply = requests.get(start().rest_url + "/NorenWClientTP/OrderBook", timeout=BOUND_S)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    assert ScriptedExchange.made.requests == []


def test_an_error_of_ours_shows_no_traceback(start: Start) -> None:
    server = start()

    def fail(_: datetime) -> Step:
        raise ZeroDivisionError("secret detail")

    script(fail)
    reply = requests.post(server.rest_url + "/x", data="", timeout=BOUND_S)
    assert (reply.status_code, reply.content) == (500, b"Internal Server Error\n")
    assert requests.post(server.rest_url + "/x", data="still there", timeout=BOUND_S).text == "still there"


def test_a_hanging_request_is_taken_and_never_answered_while_others_are(start: Start) -> None:
    server = start()
    exchange = script(Step(Reply(fate=Fate.HANG)))
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(server.rest_url + "/x", data="hang", timeout=(BOUND_S, 0.2))
    assert [request.body for request in exchange.requests] == [b"hang"]
    assert requests.post(server.rest_url + "/x", data="next", timeout=BOUND_S).text == "next"


def test_stop_ends_a_hanging_request(start: Start) -> None:
    server = start()
    script(Step(Reply(fate=Fate.HANG)))
    with raw(server.rest_url) as connection:
        connection.sendall(post(b"hang"))
        with raw(server.rest_url) as other:  # answered: so the first request has been taken
            other.sendall(post(b"x", headers="Connection: close\r\n"))
            read_all(other)
        server.stop()
        assert read_all(connection) == b""


def test_close_drops_the_connection_without_an_answer(start: Start) -> None:
    server = start()
    script(Step(Reply(body=b"not to be seen", fate=Fate.CLOSE)))
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(server.rest_url + "/x", data="", timeout=BOUND_S)


def test_a_frame_that_is_due_comes_before_the_reply(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start()
    client = open_socket(server.ws_url)
    script(lambda now: Step(Reply(body=b"{}"), (Push("ws-1", '{"t":"om"}', now),)))
    ScriptedExchange.made.life.wait_for(lambda life: ("connect", "ws-1") in life)
    requests.post(server.rest_url + "/x", data="", timeout=BOUND_S)
    assert client.waiting()
    assert client.receive() == {"t": "om"}


def test_frames_go_out_when_they_are_due_and_in_that_order(
    start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock
) -> None:
    server = start(clock=virtual_clock)
    client = open_socket(server.ws_url)
    ScriptedExchange.made.life.wait_for(lambda life: ("connect", "ws-1") in life)
    now = virtual_clock.now()
    late, early = (Push("ws-1", f'{{"t":"{after}"}}', now + timedelta(seconds=after)) for after in (2, 1))
    script(Step(Reply(), (late, early)))
    requests.post(server.rest_url + "/x", data="", timeout=BOUND_S)
    assert not client.waiting()
    virtual_clock.advance(1)
    server.settle()
    assert client.receive() == {"t": "1"}
    assert not client.waiting()
    virtual_clock.advance(1)
    server.settle()
    assert client.receive() == {"t": "2"}


def test_the_exchange_is_given_its_turn_when_it_is_due(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start()
    client = open_socket(server.ws_url)
    ScriptedExchange.made.life.wait_for(lambda life: ("connect", "ws-1") in life)
    server.control("due")
    assert client.raw.recv() == "late"  # nobody asked for it: the driver's own alarm


def test_a_close_follows_the_frames_said_before_it(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start()
    client = open_socket(server.ws_url)
    script(lambda now: Step(Reply(), (Push("ws-1", '{"t":"bye"}', now), Close("ws-1", 1000, "goodbye"))))
    ScriptedExchange.made.life.wait_for(lambda life: ("connect", "ws-1") in life)
    requests.post(server.rest_url + "/x", data="", timeout=BOUND_S)
    assert client.receive() == {"t": "bye"}
    assert client.close_code() == 1000
    ScriptedExchange.made.life.wait_for(lambda life: ("disconnect", "ws-1") in life)


@pytest.mark.parametrize(("code", "reason", "seen"), [(1006, "x", None), (99999, "x", None), (4001, "y" * 500, 4001)])
def test_any_close_is_carried(
    start: Start, open_socket: Callable[[str], Socket], code: int, reason: str, seen: int | None
) -> None:
    server = start()
    client = open_socket(server.ws_url)
    ScriptedExchange.made.life.wait_for(lambda life: ("connect", "ws-1") in life)
    script(Step(Reply(), (Close("ws-1", code, reason),)))
    assert requests.post(server.rest_url + "/x", data="", timeout=BOUND_S).status_code == 200
    assert client.close_code() == seen


def test_ping_frames_are_answered(start: Start, open_socket: Callable[[str], Socket]) -> None:
    client = open_socket(start().ws_url)
    client.raw.ping('{"t":"h"}')
    assert client.raw.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b'{"t":"h"}')
    assert ScriptedExchange.made.heard == []


def test_a_message_in_pieces_is_one_message(start: Start, open_socket: Callable[[str], Socket]) -> None:
    client = open_socket(start().ws_url)
    client.raw.send_frame(websocket.ABNF.create_frame('{"t":', websocket.ABNF.OPCODE_TEXT, fin=0))
    client.raw.send_frame(websocket.ABNF.create_frame('"h"}', websocket.ABNF.OPCODE_CONT, fin=1))
    assert client.receive() == {"t": "h"}
    assert ScriptedExchange.made.heard == [("ws-1", '{"t":"h"}')]


def test_a_message_over_the_limit_closes_its_socket_only(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start()
    greedy, modest = open_socket(server.ws_url), open_socket(server.ws_url)
    greedy.raw.send("x" * 300_000)
    assert greedy.close_code() == 1009
    modest.send({"t": "h"})
    assert modest.receive() == {"t": "h"}


def test_an_error_of_ours_ends_one_socket_only(start: Start, open_socket: Callable[[str], Socket]) -> None:
    server = start()
    unlucky, other = open_socket(server.ws_url), open_socket(server.ws_url)
    unlucky.raw.send("break")
    assert unlucky.close_code() == 1011
    other.send({"t": "h"})
    assert other.receive() == {"t": "h"}


def test_a_silenced_socket_says_what_was_said_before_and_then_nothing(
    start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock
) -> None:
    server = start(clock=virtual_clock)
    client = open_socket(server.ws_url)
    said = Push("ws-1", '{"t":"ck"}', virtual_clock.now())
    late = Push("ws-1", '{"t":"om"}', virtual_clock.now() + timedelta(seconds=1))
    ScriptedExchange.made.answers.append(Step(None, (said, Silence("ws-1"), late)))
    client.send({"t": "c"})
    assert client.receive() == {"t": "ck"}
    client.raw.ping("anybody?")
    virtual_clock.advance(2)
    server.settle()
    other = open_socket(server.ws_url)  # once it is answered, the deaf one has had its chance
    other.send({"t": "x"})
    assert other.receive() == {"t": "x"}
    assert not client.waiting()


@pytest.mark.parametrize("name", ["rest_port", "ws_port", "control_port"])
def test_a_port_that_is_taken_is_named(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"^\[paper\] {name}: cannot listen on 127\.0\.0\.1:{port}: .*set another"):
            start(**{name: port})


def test_ports_that_are_given_are_used_and_free_again_after_stop(start: Start) -> None:
    (port,) = lasting_ports(1)
    for _ in range(2):
        server = start(rest_port=port)
        assert server.rest_url == f"http://127.0.0.1:{port}"
        assert requests.post(server.rest_url + "/x", data="here", timeout=BOUND_S).text == "here"
        server.stop()
