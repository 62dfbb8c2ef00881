"""The push feed over a real WebSocket on loopback."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from core.model.broker import BrokerOrderReport, BrokerTrade, Ticks
from core.noren import FeedDown, Instrument, PushFeed, ResyncNeeded, profile
from core.runtime.clock import SystemClock
from tests.noren.test_noren_conversation import FILL

BOUND_S = 10.0
TOKEN = "t0ken-of-the-day"
OK = {"t": "ck", "uid": "FA00001", "s": "OK"}
INFY = Instrument("NSE", "INFY-EQ", "1594")

Act = Callable[[ServerConnection], None]


class PushServer:
    """A WebSocket server that plays one act a connection; frames received are kept."""

    def __init__(self) -> None:
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()
        self.over = Event()
        self._acts: queue.Queue[Act] = queue.Queue()
        self._server = serve(self._handle, "127.0.0.1", 0)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/NorenWSTP/"

    def will(self, *acts: Act) -> None:
        for act in acts:
            self._acts.put(act)

    def next_frame(self) -> dict[str, Any]:
        return self.received.get(timeout=BOUND_S)

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join(BOUND_S)

    def _handle(self, connection: ServerConnection) -> None:
        try:
            self._acts.get_nowait()(connection)
        except (queue.Empty, ConnectionClosed):
            return

    def take(self, connection: ServerConnection) -> None:
        self.received.put(json.loads(connection.recv(timeout=BOUND_S)))

    def stay(self, connection: ServerConnection) -> None:
        """Take frames until the other side goes."""
        while not self.over.is_set():
            self.take(connection)


@pytest.fixture
def server() -> Iterator[PushServer]:
    server = PushServer()
    yield server
    server.stop()


class Told:
    """Takes what the feed delivers, and waits for it."""

    def __init__(self) -> None:
        self._values: queue.Queue[Any] = queue.Queue()
        self.failures = 0

    def __call__(self, value: object) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("mailbox is full")
        self._values.put(value)

    def next(self) -> Any:
        return self._values.get(timeout=BOUND_S)

    def next_of(self, kind: type) -> Any:
        while not isinstance(value := self.next(), kind):
            pass
        return value


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make_feed(server: PushServer, told: Told) -> Iterator[Callable[..., PushFeed]]:
    made: list[PushFeed] = []

    def make(**given: Any) -> PushFeed:
        url = given.pop("url", server.url)
        settings: dict[str, Any] = {
            "clock": SystemClock(),
            "deliver": told,
            "connect_timeout_s": 5.0,
            "ack_timeout_s": 5.0,
            "silence_s": 5.0,
            "backoff_s": (0.0,),
            **given,
        }
        feed = PushFeed(profile("paper", host="http://127.0.0.1:9", websocket=url), "FA00001", **settings)
        made.append(feed)
        return feed

    yield make
    for feed in made:
        feed.stop()
        assert not feed._thread.is_alive()


def acknowledge(server: PushServer, connection: ServerConnection) -> None:
    server.take(connection)
    connection.send(json.dumps(OK))
    server.take(connection)


def test_order_updates_arrive_as_values(server: PushServer, told: Told, make_feed: Callable[..., PushFeed]) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        connection.send(json.dumps(FILL))
        server.stay(connection)

    server.will(act)
    make_feed().start(TOKEN)

    assert told.next() == ResyncNeeded("the push connection is up")
    assert isinstance(told.next(), BrokerOrderReport)
    assert isinstance(told.next(), BrokerTrade)
    assert server.next_frame()["susertoken"] == TOKEN
    assert server.next_frame() == {"t": "o", "actid": "FA00001"}


def test_the_last_frame_is_known_from_outside(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.stay(connection)

    server.will(act)
    clock = SystemClock()
    feed = make_feed(clock=clock)
    assert feed.heard_at is None
    before = clock.now()
    feed.start(TOKEN)
    assert isinstance(told.next(), ResyncNeeded)
    heard_at = feed.heard_at
    assert heard_at is not None
    assert before <= heard_at <= clock.now()


def test_e3_a_clean_close_leads_to_a_new_connection_subscriptions_and_a_resync(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def first(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.take(connection)
        connection.close(1000, "goodbye")

    def second(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.stay(connection)

    server.will(first, second)
    feed = make_feed()
    feed.watch([INFY])
    feed.start(TOKEN)

    assert isinstance(told.next(), ResyncNeeded)
    assert told.next() == FeedDown("closed by the broker: 1000 goodbye")
    assert isinstance(told.next(), ResyncNeeded)
    assert [server.next_frame()["t"] for _ in range(6)] == ["c", "o", "t", "c", "o", "t"]


def test_e3_a_connection_that_is_never_acknowledged_is_given_up(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    server.will(server.stay)
    make_feed(ack_timeout_s=0.1).start(TOKEN)

    assert told.next() == FeedDown("no acknowledgement within 0.1 s")


def test_e3_a_peer_that_stops_answering_is_noticed(told: Told, make_feed: Callable[..., PushFeed]) -> None:
    """A socket that is open and silent: not even pongs, which the WebSocket server would send by itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = Event()
    Thread(target=_acknowledge_then_stop_reading, args=(listener, over), daemon=True).start()

    make_feed(url=f"ws://127.0.0.1:{listener.getsockname()[1]}/", silence_s=0.5).start(TOKEN)

    assert isinstance(told.next(), ResyncNeeded)
    assert told.next() == FeedDown("no frame for 0.5 s")
    over.set()
    listener.close()


def _acknowledge_then_stop_reading(listener: socket.socket, over: Event) -> None:
    connection, _ = listener.accept()
    protocol = ServerProtocol()
    while not (requests := protocol.events_received()):
        protocol.receive_data(connection.recv(4096))
    request = requests[0]
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    protocol.send_text(json.dumps(OK).encode())
    connection.sendall(b"".join(protocol.data_to_send()))
    over.wait(BOUND_S)
    connection.close()


def test_quiet_connections_stay_up_by_heartbeats(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        for _ in range(6):
            server.take(connection)
        connection.send(json.dumps(FILL))
        server.stay(connection)

    server.will(act)
    make_feed(silence_s=0.6).start(TOKEN)

    assert isinstance(told.next(), ResyncNeeded)
    assert isinstance(told.next(), BrokerOrderReport)


def test_a_refused_token_is_not_tried_again_and_a_new_one_is(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def refuse(connection: ServerConnection) -> None:
        server.take(connection)
        connection.send(json.dumps({**OK, "s": "Not_Ok"}))
        server.stay(connection)

    def accept(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.stay(connection)

    server.will(refuse, accept)
    feed = make_feed()
    feed.start(TOKEN)
    assert told.next().refused
    feed.renew(TOKEN)
    feed.renew("another-token")

    assert isinstance(told.next(), ResyncNeeded)
    assert [server.next_frame().get("susertoken") for _ in range(2)] == [TOKEN, "another-token"]


def test_t25_a_refused_token_is_tried_once_more_when_the_feed_is_told_to(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def refuse(connection: ServerConnection) -> None:
        server.take(connection)
        connection.send(json.dumps({**OK, "s": "Not_Ok"}))
        server.stay(connection)

    def accept(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.stay(connection)

    server.will(refuse, accept)
    feed = make_feed()
    feed.start(TOKEN)
    assert told.next().refused
    feed.again()
    assert isinstance(told.next(), ResyncNeeded)


def test_a_handshake_refused_with_403_waits_for_a_new_token(told: Told, make_feed: Callable[..., PushFeed]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    Thread(target=_answer_once, args=(listener, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), daemon=True).start()

    make_feed(url=f"ws://127.0.0.1:{listener.getsockname()[1]}/").start(TOKEN)

    assert told.next() == FeedDown("HTTP 403 on connecting", refused=True)
    listener.close()


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(answer)
    connection.close()


def test_a_value_nobody_takes_costs_the_connection_and_leads_to_a_resync(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.stay(connection)

    server.will(act, act)
    told.failures = 1
    make_feed().start(TOKEN)

    assert "mailbox is full" in told.next().reason
    assert isinstance(told.next(), ResyncNeeded)


def test_a_refused_connection_is_tried_again_with_growing_waits(
    told: Told, make_feed: Callable[..., PushFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    url = f"ws://127.0.0.1:{free.getsockname()[1]}/"
    free.close()
    feed = make_feed(url=url, backoff_s=(0.001, 0.002, 0.003))
    waits: list[float | None] = []
    wait = feed._wake.wait

    def note(timeout: float | None = None) -> bool:
        waits.append(timeout)
        return wait(timeout)

    monkeypatch.setattr(feed._wake, "wait", note)
    feed.start(TOKEN)
    downs = [told.next() for _ in range(5)]
    feed.stop()

    assert all("refused" in down.reason and not down.refused for down in downs)
    assert waits[:4] == [0.001, 0.002, 0.003, 0.003]


def test_quotes_asked_for_later_arrive(server: PushServer, told: Told, make_feed: Callable[..., PushFeed]) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.take(connection)
        connection.send(json.dumps({"t": "tk", "e": "NSE", "tk": "1594", "lp": "1500.00"}))
        server.stay(connection)

    server.will(act)
    feed = make_feed()
    feed.start(TOKEN)
    told.next_of(ResyncNeeded)
    feed.watch([INFY])

    assert [quote.symbol for quote in told.next_of(Ticks).quotes] == ["INFY-EQ"]


def test_prices_are_merged_until_the_last_ones_were_taken_and_order_updates_are_not(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def touchline(kind: str, price: str) -> str:
        return json.dumps({"t": kind, "e": "NSE", "tk": "1594", "lp": price})

    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.take(connection)
        connection.send(touchline("tk", "1500.00"))
        told_first.wait(BOUND_S)
        for number in range(1, 5):
            connection.send(touchline("tf", f"150{number}.00"))
        connection.send(json.dumps(FILL))
        server.stay(connection)

    told_first = Event()
    server.will(act)
    feed = make_feed()
    feed.watch([INFY])
    feed.start(TOKEN)

    (first,) = told.next_of(Ticks).quotes
    told_first.set()
    assert isinstance(told.next(), BrokerOrderReport)
    assert isinstance(told.next(), BrokerTrade)
    feed.more_ticks()
    (newest,) = told.next().quotes
    assert [(one.last_price, one.missed) for one in (first, newest)] == [(1500, 0), (1504, 3)]


def test_law11_the_token_is_not_in_what_the_feed_tells(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def act(connection: ServerConnection) -> None:
        server.take(connection)
        connection.close(1008, f"bad token {TOKEN}")

    server.will(act)
    make_feed().start(TOKEN)

    down = told.next()
    assert down == FeedDown("closed by the broker: 1008 bad token ***", refused=True)


def test_stop_ends_the_thread_in_the_middle_of_a_connection(
    server: PushServer, make_feed: Callable[..., PushFeed]
) -> None:
    server.will(server.stay)
    feed = make_feed()
    feed.start(TOKEN)
    server.next_frame()

    feed.stop()

    assert not feed._thread.is_alive()


def test_an_order_update_behind_thousands_of_prices_overtakes_their_delivery(
    server: PushServer, told: Told, make_feed: Callable[..., PushFeed]
) -> None:
    def act(connection: ServerConnection) -> None:
        acknowledge(server, connection)
        server.take(connection)
        for number in range(3000):
            connection.send(json.dumps({"t": "tk", "e": "NSE", "tk": "1594", "lp": f"{1500 + number % 90}.00"}))
        connection.send(json.dumps(FILL))
        server.stay(connection)

    server.will(act)
    feed = make_feed()
    feed.watch([INFY])
    feed.start(TOKEN)

    before: list[Any] = []
    while not isinstance(value := told.next(), BrokerOrderReport):
        before.append(value)
    # Nobody has taken the first prices, so all later ones are one.
    assert sum(isinstance(value, Ticks) for value in before) <= 1
    feed.more_ticks()
    feeds_last = told.next_of(Ticks).quotes
    assert [one.last_price for one in feeds_last] == [1500 + 2999 % 90]
