"""The in-memory transport: what a client gets from it is what it would get over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import requests

from core.paper.adapter import InMemoryAdapter
from core.paper.config import ExchangeConfig
from core.paper.exchange import Exchange
from core.paper.wire import Close, Fate, Push, Reply, Request, Step
from core.runtime.clock import VirtualClock
from tests.paper.faces.clients import BOUND_S, Socket, Start

UID = "FA00001"
SEED = 7
LOGIN = {
    "source": "API",
    "apkversion": "1.0.0",
    "uid": UID,
    "pwd": hashlib.sha256(b"password").hexdigest(),
    "factor2": "123456",
    "vc": f"{UID}_U",
    "appkey": hashlib.sha256(f"{UID}|secret".encode()).hexdigest(),
    "imei": "abc1234",
}
ORDER = {
    "uid": UID,
    "actid": UID,
    "trantype": "B",
    "prd": "I",
    "exch": "NSE",
    "tsym": "RELIANCE-EQ",
    "qty": "3",
    "dscqty": "0",
    "prctyp": "LMT",
    "prc": "1500",
    "ret": "DAY",
    "remarks": "same",
}


def calls() -> Iterator[tuple[str, str, bytes]]:
    """Method, path and body of a session's calls, `{token}` standing for the session's; `tick` lets a second pass."""

    def keyed(values: dict[str, Any]) -> bytes:
        return f"jData={json.dumps(values)}&jKey={{token}}".encode()

    who = {"uid": UID, "actid": UID}
    yield "POST", "/NorenWClientTP/QuickAuth", f"jData={json.dumps(LOGIN)}".encode()
    yield "POST", "/NorenWClientTP//PlaceOrder", keyed(ORDER)
    yield "tick", "", b""
    for path in ("OrderBook", "TradeBook", "PositionBook", "Limits", "Holdings"):
        yield "POST", f"/NorenWClientAPI/{path}", keyed({**who, "prd": "C"} if path == "Holdings" else who)
    yield "POST", "/NorenWClientTP/PlaceOrder", keyed(ORDER | {"prc": "0.01", "qty": "-1"})
    yield "POST", "/NorenWClientTP/PlaceOrder", b'jData={"a":"b&c"}&jKey=x'
    yield "POST", "/NorenWClientTP/OrderBook", keyed(who).replace(b"{token}", b"dead")
    yield "POST", "/NorenWClientTP/GetQuotes", keyed({"uid": UID, "exch": "NSE", "token": "2885"})
    yield "POST", "/NorenWClientTP/NoSuchCall", b"jData={}"
    yield "POST", "/nowhere", b""
    yield "GET", "/NorenWClientTP/OrderBook", b""
    yield "GET", "/OAuthlogin/authorize/oauth?client_id=X_U", b""
    yield "tick", "", b""
    yield "POST", "/NorenWClientTP/GetQuotes", keyed({"uid": UID, "exch": "NSE", "token": "2885"})


def run(base: str, session: requests.Session, tick: Callable[[], None]) -> list[tuple[int, dict[str, str], bytes]]:
    """Make the session's calls and return all that a client can see of the replies."""
    seen, token = [], b""
    for method, path, body in calls():
        if method == "tick":
            tick()
            continue
        reply = session.request(method, base + path, data=body.replace(b"{token}", token) or None, timeout=BOUND_S)
        if path.endswith("QuickAuth"):
            token = reply.json()["susertoken"].encode()
        seen.append((reply.status_code, dict(reply.headers), reply.content))
    return seen


def test_the_same_calls_and_seed_give_the_same_bytes_as_over_http(start: Start, virtual_clock: VirtualClock) -> None:
    server = start(clock=virtual_clock, seed=SEED)

    def tick_server() -> None:
        virtual_clock.advance(1)
        server.settle()

    over_http = run(server.rest_url, requests.Session(), tick_server)

    clock = VirtualClock(datetime.fromisoformat("2026-11-03T04:45:00+00:00"))
    exchange = Exchange(ExchangeConfig(), now=clock.now(), seed=SEED)
    session = requests.Session()
    session.mount("http://paper/", InMemoryAdapter(exchange, clock))

    def tick_exchange() -> None:
        clock.advance(1)
        exchange.advance(clock.now())

    in_memory = run("http://paper", session, tick_exchange)
    assert in_memory == over_http
    assert {status for status, _, _ in over_http} >= {200, 405}


def test_frames_are_the_same_as_over_websocket(
    start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock
) -> None:
    server = start(clock=virtual_clock, seed=SEED)
    said: list[str] = []
    clock = VirtualClock(virtual_clock.now())
    exchange = Exchange(ExchangeConfig(), now=clock.now(), seed=SEED)

    def deliver(out: tuple[Push | Close, ...]) -> None:
        said.extend(item.text for item in sorted(out, key=lambda item: item.due) if isinstance(item, Push))

    session = requests.Session()
    session.mount("http://paper/", InMemoryAdapter(exchange, clock, deliver=deliver))

    def log_in(session: requests.Session, base: str) -> str:
        body = f"jData={json.dumps(LOGIN)}"
        return str(session.post(f"{base}/NorenWClientTP/QuickAuth", data=body, timeout=BOUND_S).json()["susertoken"])

    def place(session: requests.Session, base: str, token: str) -> None:
        body = f"jData={json.dumps(ORDER)}&jKey={token}"
        reply = session.post(f"{base}/NorenWClientTP/PlaceOrder", data=body, timeout=BOUND_S)
        assert reply.json()["stat"] == "Ok"

    token = log_in(session, "http://paper")
    hello = {"t": "c", "uid": UID, "actid": UID, "source": "API", "susertoken": token}
    deliver(exchange.connect("ws-1", clock.now()).out)
    for frame in (hello, {"t": "o", "actid": UID}, {"t": "t", "k": "NSE|2885"}):
        deliver(exchange.receive("ws-1", json.dumps(frame), clock.now()).out)
    place(session, "http://paper", token)
    clock.advance(0.5)
    deliver(exchange.advance(clock.now()))

    assert log_in(requests.Session(), server.rest_url) == token
    client = open_socket(server.ws_url)
    frames = []
    for frame in (hello, {"t": "o", "actid": UID}, {"t": "t", "k": "NSE|2885"}):
        client.send(frame)
        frames.append(client.raw.recv())
    place(requests.Session(), server.rest_url, token)
    virtual_clock.advance(0.5)
    server.settle()
    frames += [client.raw.recv() for _ in range(len(said) - len(frames))]
    assert frames == said
    assert [json.loads(text).get("reporttype") for text in said].count("Fill") >= 1


class Mute:
    """An exchange that gives one reply."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.taken: list[Request] = []

    def next_due(self) -> None:
        return None

    def symbol_file(self, name: str) -> None:
        """It lists nothing."""

    def handle(self, request: Request, now: datetime) -> Step:
        self.taken.append(request)
        return Step(self.reply, (Push("ws-1", "frame", now),))


def post(reply: Reply, timeout: Any = (1.0, 5.0)) -> tuple[requests.Response, Mute, list[Any]]:
    exchange, heard = Mute(reply), []
    clock = VirtualClock(datetime.fromisoformat("2026-11-03T04:45:00+00:00"))
    adapter = InMemoryAdapter(exchange, clock, deliver=heard.append, wait=heard.append)  # type: ignore[arg-type]
    session = requests.Session()
    session.mount("http://paper/", adapter)
    try:
        return session.post("http://paper/x?y=1", data="jData={}", timeout=timeout), exchange, heard
    except requests.exceptions.RequestException as error:
        error.add_note(f"{len(exchange.taken)} taken; waited {[item for item in heard if isinstance(item, float)]}")
        raise


def test_a_hanging_call_is_taken_and_times_out() -> None:
    with pytest.raises(requests.exceptions.ReadTimeout) as told:
        post(Reply(fate=Fate.HANG))
    assert told.value.__notes__ == ["1 taken; waited [5.0]"]


def test_a_closed_connection_is_an_error_after_the_request_was_taken() -> None:
    with pytest.raises(requests.exceptions.ConnectionError) as told:
        post(Reply(fate=Fate.CLOSE))
    assert not isinstance(told.value, requests.exceptions.Timeout)
    assert told.value.__notes__ == ["1 taken; waited []"]


@pytest.mark.parametrize(
    ("timeout", "answered"), [((1, 5), True), (5, True), (None, True), ((1, 2), False), (2, False)]
)
def test_a_late_reply_takes_its_time_or_times_out(timeout: Any, answered: bool) -> None:
    if answered:
        reply, _, heard = post(Reply(body=b"late", delay_s=3.0), timeout)
        assert (reply.content, heard[1:]) == (b"late", [3.0])
    else:
        with pytest.raises(requests.exceptions.ReadTimeout):
            post(Reply(body=b"late", delay_s=3.0), timeout)


def test_frames_are_delivered_before_the_reply_and_the_path_goes_without_its_query() -> None:
    _, exchange, heard = post(Reply(body=b"{}"))
    assert [push.text for push in heard[0]] == ["frame"]
    assert exchange.taken == [Request("/x", b"jData={}", None, "127.0.0.1")]
