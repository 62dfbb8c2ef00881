"""OpenAlgo's WebSocket over real sockets, without the service behind it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import websocket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.websockets import WebSocket

from core.instruments import InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.messages import ExternalOrders, MoreTicks, OrderUpdate, SubscribePrices, TicksTold
from core.model.broker import Quote
from core.model.instrument import SymbolFile
from core.model.order import OrderResult, Status, Tag
from core.process.api_keys import ApiKey, Right, change_keys, digest_of
from core.runtime import Actor, SystemClock
from core.settings import OpenAlgoSettings, ServiceSettings, Settings, WebSettings
from core.web import Bounds, WebServer, create_app
from core.web.openalgo.session import Session
from core.web.openalgo.ticks import FOLLOWER, Followed
from core.web.openalgo.updates import Updates
from tests.factories import an_intent, an_order
from tests.support import wait_until
from tests.support_process import lasting_ports
from tests.web.harness import EXTERNAL, WebHarness

KEY = "a key of some length 0123456789"
PATIENCE_S = 30.0
CLOCK = SystemClock()
INFY = {"symbol": "INFY", "exchange": "NSE"}
TCS = {"symbol": "TCS", "exchange": "NSE"}
FILE = (
    b"Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
    b"NSE,1594,1,INFY,INFY-EQ,EQ,0.05,\nNSE,11536,1,TCS,TCS-EQ,EQ,0.05,\n"
)
TICK = Quote(
    exchange="NSE",
    symbol="INFY-EQ",
    last_price=Decimal("1500.05"),
    bid=Decimal("1500"),
    ask=Decimal("1500.10"),
    at=datetime(2026, 11, 27, 6, 30, tzinfo=UTC),
    open=Decimal("1490"),
    close=Decimal("1480"),
    last_quantity=3,
)


class Asker(Actor):
    """Stands for the actor that the service has between Prices and the server."""

    def __init__(self, runtime: Any, name: str) -> None:
        super().__init__(runtime, name)
        self.asked = 0

    def on_more_ticks(self, _: MoreTicks) -> None:
        self.asked += 1


class Client:
    """One connection; `ask` passes over prices and order updates, and keeps them."""

    def __init__(self, server: WebServer, key: str | None = KEY, **options: Any) -> None:
        address = server.url.replace("http", "ws", 1)
        self.socket = websocket.create_connection(address, timeout=PATIENCE_S, **options)
        self.kept: list[dict[str, Any]] = []
        if key is not None:
            assert self.ask(action="authenticate", api_key=key)["type"] == "auth"

    def send(self, **fields: Any) -> None:
        self.socket.send(json.dumps(fields))

    def receive(self) -> dict[str, Any]:
        ends_at = CLOCK.monotonic() + PATIENCE_S
        # The server's pings would make a wait for a text endless.
        while CLOCK.monotonic() < ends_at:
            opcode, data = self.socket.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise websocket.WebSocketConnectionClosedException("closed")
            if opcode == websocket.ABNF.OPCODE_TEXT:
                found: dict[str, Any] = json.loads(data)
                return found
        raise TimeoutError("nothing was said")

    def next(self, kind: str) -> dict[str, Any]:
        """The next price or order update."""
        while not any(one["type"] == kind for one in self.kept):
            self.kept.append(self.receive())
        return self.kept.pop(next(place for place, one in enumerate(self.kept) if one["type"] == kind))

    def ask(self, **fields: Any) -> dict[str, Any]:
        self.send(**fields)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        while (found := self.receive()).get("type") in ("market_data", "order_update"):
            self.kept.append(found)
        return found

    def ends(self) -> int:
        """The code that the server closes with."""
        with suppress(websocket.WebSocketConnectionClosedException, ConnectionError):
            while True:
                opcode, data = self.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return int.from_bytes(data[:2], "big")
        return 0


class House:
    """A server with its application, and what it told of prices."""

    def __init__(self, harness: WebHarness, server: WebServer, deliver: Callable[[Any], object]) -> None:
        self.harness, self.server, self.deliver = harness, server, deliver

    @property
    def subscriptions(self) -> list[tuple[str, tuple[str, ...], bool | None]]:
        """What Prices was told: of which, and whether with depth; None where it is not wanted any more."""
        told = self.harness.actor("state").subscriptions
        return [
            (type(one).__name__, one.symbols, one.depth if isinstance(one, SubscribePrices) else None) for one in told
        ]

    def tick(self, *quotes: Quote) -> None:
        self.deliver(TicksTold(quotes))

    def update(self, **changes: Any) -> None:
        """An order is now so."""
        order = an_order(
            an_intent(symbol="RELIANCE-EQ", price=Decimal("2840.5")), command_id="261123-test-1", at=TICK.at
        )
        order = replace(order, **{"status": Status.SENT_TO_BROKER, "broker_order_id": "77", **changes})
        self.deliver(OrderUpdate(order, OrderResult.of(order)))


@contextmanager
def house(harness: WebHarness, bounds: Bounds | None = None, ws_port: int = 0, **changes: Any) -> Iterator[House]:
    web = WebSettings(**{name: changes.pop(name) for name in ("allow_from",) if name in changes})
    service = ServiceSettings(data_dir=changes.pop("data_dir", Path("nowhere")))
    own = OpenAlgoSettings(enabled=True, api_key=SecretStr(KEY), ws_port=ws_port, **changes)
    app = create_app(harness.gateway, Settings(web=web, openalgo=own, service=service))
    also = (ws_port, "[openalgo] ws_port") if ws_port else None
    server = WebServer(app, "127.0.0.1", 0, bounds=bounds, sockets=True, also=also)
    index = InstrumentIndex.open(harness.directory)
    index.replace(SymbolFile("NSE", "made up", TICK.at, 0), read_symbol_file(FILE, "NSE"))
    index.close()
    harness.runtime.spawn(Asker, FOLLOWER)
    server.start()
    try:
        yield House(harness, server, app.state.deliver)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    """One for all that only ask."""
    harness = WebHarness()
    with house(harness) as there:
        yield there
    assert harness.stop() == []


def errors(*answers: dict[str, Any]) -> list[str]:
    assert all(one["status"] == "error" and "type" not in one and one["message"] for one in answers), answers
    return [one["code"] for one in answers]


def test_who_does_not_say_who_it_is_is_told_so_and_nothing_else(shared: House) -> None:
    stranger = Client(shared.server, key=None)
    unknown = [stranger.ask(action=name) for name in ("subscribe", "unsubscribe_all", "subscribe_orders")]
    assert set(errors(*unknown)) == {"NOT_AUTHENTICATED"}
    assert "authenticate" in unknown[0]["message"]
    assert errors(stranger.ask(action="authenticate")) == ["AUTHENTICATION_ERROR"]
    pong = stranger.ask(type="ping", timestamp=5, _pingId="a")
    assert (pong["type"], pong["client_timestamp"], pong["_pingId"]) == ("pong", 5, "a")
    for wrong in ("another key", KEY[:-1], 5, ["x"]):
        guesser = Client(shared.server, key=None)
        answer = guesser.ask(action="auth", apikey=wrong)
        assert errors(answer) == ["AUTHENTICATION_ERROR"]
        assert "[openalgo]" in answer["message"]
        assert KEY not in answer["message"]
        assert guesser.ends() == 1008
    features = {"ltp": True, "quote": True, "depth": True}
    expected = {"type": "auth", "status": "success", "message": "Authentication successful", "broker": "paper"}
    assert errors(stranger.ask(action="get_broker_info")) == ["NOT_AUTHENTICATED"]
    told = stranger.ask(type="auth", apikey=KEY)
    assert told == {**expected, "user_id": "PAPER", "supported_features": features}
    assert stranger.ask(action="get_broker_info")["adapter_status"] == "connected"
    assert stranger.ask(action="get_supported_brokers")["brokers"] == ["paper"]


def test_there_is_a_time_to_say_who_it_is(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.sockets.AUTHENTICATE_S", 1.5)
    known = Client(shared.server, key=None)
    while known.ask(action="authenticate", api_key=KEY)["status"] != "success":
        # A busy machine took longer.
        known = Client(shared.server, key=None)
    silent = Client(shared.server, key=None)
    assert errors(silent.answer()) == ["AUTHENTICATION_ERROR"]
    assert silent.ends() == 4401
    # The other's time ended before that, and is not counted any more.
    assert known.ask(action="ping", timestamp=1)["status"] == "success"


def test_a_key_needs_the_right_to_read_and_ends_its_connections_when_it_is_revoked(
    harness: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.web.openalgo.sockets.LOOK_EVERY_S", 0.1)
    keys = {name: ApiKey(name, digest_of(name * 20), (right,), 4) for name, right in RIGHTS.items()}
    change_keys(harness.directory, lambda _: tuple(keys.values()))
    with house(harness, data_dir=harness.directory) as there:
        trader = Client(there.server, key=None)
        answer = trader.ask(action="auth", api_key="b" * 20)
        assert errors(answer) == ["AUTHENTICATION_ERROR"]
        assert "right read" in answer["message"]
        reader = Client(there.server, key="a" * 20)
        answers = [reader.ask(action="ping", timestamp=number) for number in range(5)]
        assert errors(*[one for one in answers if one["status"] == "error"]) == ["RATE_LIMIT_EXCEEDED"]
        change_keys(harness.directory, lambda _: ())
        assert errors(reader.answer()) == ["AUTHENTICATION_ERROR"]
        assert reader.ends() == 1008
        # The key of the settings is another one.
        assert Client(there.server).ask(action="ping", timestamp=1)["type"] == "pong"


RIGHTS = {"a": Right.READ, "b": Right.TRADE}


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        ("{", "INVALID_JSON", "body"),
        ("[1]", "INVALID_JSON", "object"),
        ('{"action": "dance"}', "INVALID_ACTION", "subscribe_orders"),
        ("{}", "INVALID_ACTION", "subscribe"),
        ('{"action": "subscribe", "symbols": [{"symbol": "INFY", "exchange": "NSE"}], "mode": 4}', "INVALID_MODE", "3"),
        ('{"action": "subscribe", "symbols": [], "mode": 1}', "INVALID_PARAMETERS", '"symbols"'),
        ('{"action": "subscribe", "symbols": ["INFY"], "mode": 1}', "INVALID_PARAMETERS", '"symbols"'),
        ('{"action": "unsubscribe"}', "INVALID_PARAMETERS", '"symbols"'),
        (json.dumps({"action": "subscribe", "symbols": [INFY] * 1001}), "INVALID_PARAMETERS", "1000"),
    ],
)
def test_what_is_wrong_with_a_message_is_named_and_the_connection_goes_on(
    shared: House, sent: str, code: str, words: str
) -> None:
    client = Client(shared.server)
    client.socket.send(sent)
    answer = client.answer()
    assert errors(answer) == [code]
    assert words in answer["message"]
    assert client.ask(action="ping", timestamp=1)["type"] == "pong"


def test_an_unknown_symbol_is_named_and_the_others_are_subscribed(shared: House) -> None:
    client = Client(shared.server)
    wanted = [INFY, {"symbol": "INFI", "exchange": "NSE"}, {"symbol": "INFY", "exchange": "NASDAQ"}, {"symbol": 5}]
    answer = client.ask(action="subscribe", symbols=wanted, mode="quote", request_id="r1")
    assert (answer["type"], answer["status"], answer["request_id"]) == ("subscribe", "partial", "r1")
    good, *bad = answer["subscriptions"]
    assert good == {**INFY, "status": "success", "mode": "Quote", "depth": 5, "broker": "paper"}
    assert [one["status"] for one in bad] == ["error"] * 3
    assert "Near it: INFY" in bad[0]["message"]
    assert "exchange" in bad[1]["message"]
    assert "symbol" in bad[2]["message"]
    assert errors(client.ask(action="subscribe", symbol="INFY", exchange="NSE", mode=True)) == ["INVALID_MODE"]
    gone = client.ask(action="unsubscribe", symbols=[{**INFY, "mode": 2}, {**TCS, "mode": 1}])
    assert (gone["type"], gone["status"], len(gone["successful"]), len(gone["failed"])) == (
        "unsubscribe",
        "partial",
        1,
        1,
    )


def test_the_broker_is_asked_once_however_many_clients_follow(harness: WebHarness) -> None:
    with house(harness) as there:
        first, second = Client(there.server), Client(there.server)
        first.ask(action="subscribe", symbols=[INFY, TCS], mode=1)
        second.ask(action="subscribe", **INFY, mode="LTP")
        second.ask(action="subscribe", symbol="INFY-EQ", exchange="NSE", mode=2)
        wanted: list[Any] = [("SubscribePrices", ("INFY-EQ", "TCS-EQ"), False)]
        wait_until(lambda: there.subscriptions == wanted)
        second.ask(action="subscribe", **INFY, mode=3)
        wait_until(lambda: there.subscriptions == [*wanted, ("SubscribePrices", ("INFY-EQ",), True)])
        first.ask(action="unsubscribe", **INFY, mode=1)
        assert second.ask(action="unsubscribe_all")["status"] == "success"
        first.socket.close()
        gone = [("UnsubscribePrices", ("INFY-EQ",), None), ("UnsubscribePrices", ("TCS-EQ",), None)]
        wait_until(lambda: there.subscriptions[2:] == gone)


def test_prices_in_three_modes_with_what_is_known_of_them(harness: WebHarness) -> None:
    with house(harness) as there:
        clients = [Client(there.server) for _ in range(3)]
        for mode, client in enumerate(clients, 1):
            client.ask(action="subscribe", **INFY, mode=mode)
        there.tick(TICK)
        ltp, quote = (client.next("market_data") for client in clients[:2])
        at = round(TICK.at.timestamp() * 1000)
        same = {"type": "market_data", **INFY, "missed": 0, "broker": "paper"}
        assert ltp == {**same, "mode": 1, "data": {"ltp": 1500.05, "timestamp": at}}
        figures = {"open": 1490, "close": 1480, "last_trade_quantity": 3, "change": 20.05, "change_percent": 1.35}
        whole = {"ltp": 1500.05, "timestamp": at, **figures, "bid": 1500, "ask": 1500.1}
        # No high, no low, no volume: they are left out, for OpenAlgo's client stumbles over null.
        assert quote == {**same, "mode": 2, "data": whole}
        # Of depth nothing was told before there was any.
        there.tick(replace(TICK, bids=((Decimal("1500"), 7),), asks=()))
        depth = clients[2].next("market_data")
        levels = {"buy": [{"price": 1500, "quantity": 7}], "sell": []}
        assert (depth["mode"], depth["data"]["depth"]) == (3, levels)
        # Who comes later has the last price at once.
        late = Client(there.server)
        late.ask(action="subscribe", **INFY, mode=1)
        assert late.next("market_data") == ltp
        # More was asked for after each.
        wait_until(lambda: harness.actor(FOLLOWER).asked == 2)


def test_a_slow_client_gets_the_newest_and_holds_up_nobody(harness: WebHarness) -> None:
    small = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)
    levels = tuple((Decimal("1500.05"), 10**9 + number) for number in range(5))
    count = 600
    with house(harness) as there:
        slow, fast = Client(there.server, sockopt=small), Client(there.server)
        for client in (slow, fast):
            client.ask(action="subscribe", **INFY, mode=3)
        for number in range(1, count + 1):
            there.tick(replace(TICK, last_price=Decimal(number), bids=levels, asks=levels))
            told = fast.next("market_data")
            assert (told["data"]["ltp"], told["missed"]) == (number, 0)
        assert requests.get(f"{there.server.url}/healthz", timeout=PATIENCE_S).status_code == 200
        got = [slow.next("market_data")]
        while got[-1]["data"]["ltp"] < count:
            got.append(slow.next("market_data"))
        assert len(got) < count
        assert sum(one["missed"] for one in got) == count - len(got)
        assert got[-1]["missed"] > 0


def test_a_client_that_never_reads_is_cut_off(harness: WebHarness) -> None:
    small = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)
    with house(harness, Bounds(unread_s=0.5)) as there:
        dead, fast = Client(there.server, sockopt=small), Client(there.server)
        fast.ask(action="subscribe", **INFY, mode=2)
        dead.ask(action="subscribe", symbols=[INFY, TCS], mode=2)
        number = 0
        while ("UnsubscribePrices", ("TCS-EQ",), None) not in there.subscriptions:
            number += 1
            there.tick(replace(TICK, last_price=Decimal(number)), replace(TICK, symbol="TCS-EQ"))
            assert fast.next("market_data")["data"]["ltp"] == number


def test_prices_leave_most_of_the_time_to_requests(harness: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    with house(harness) as there:
        client = Client(there.server)
        client.ask(action="subscribe", **INFY, mode=1)
        passed_on = Followed.take

        def slowly(followed: Followed, quotes: tuple[Quote, ...]) -> None:
            until = harness.clock.monotonic() + 0.2
            while harness.clock.monotonic() < until:
                """Busy, as with many clients."""
            passed_on(followed, quotes)

        monkeypatch.setattr(Followed, "take", slowly)
        began = harness.clock.monotonic()
        there.tick(TICK)
        wait_until(lambda: harness.actor(FOLLOWER).asked == 1)
        assert harness.clock.monotonic() - began >= 0.8, "it rested three times as long as it worked"
        assert client.next("market_data")["missed"] == 0


def test_order_updates_are_numbered_and_can_be_resumed(harness: WebHarness) -> None:
    with house(harness) as there:
        first = Client(there.server)
        began = first.ask(action="subscribe_orders")
        assert (began["type"], began["status"], began["sequence"]) == ("subscribe_orders", "success", 0)
        there.update()
        there.update()
        there.update(filled_quantity=20, average_price=Decimal("2840.5"))
        told = [first.next("order_update") for _ in range(2)]
        assert [one["sequence"] for one in told] == [1, 2]
        assert [one["filled_quantity"] for one in told] == [0, 20], "the same again is not told"
        expected = {"orderid": "77", "symbol": "RELIANCE-EQ", "action": "BUY", "quantity": 50, "pricetype": "LIMIT"}
        expected |= {"price": 2840.5, "order_status": "open", "pending_quantity": 30, "command_id": "261123-test-1"}
        expected |= {"user_id": "PAPER", "broker": "paper", "rejection_reason": "", "stream": began["stream"]}
        assert {name: told[1][name] for name in expected} == expected
        # What somebody else does at the broker is told too.
        there.deliver(ExternalOrders((EXTERNAL,)))
        theirs = first.next("order_update")
        assert (theirs["orderid"], theirs["order_status"], theirs["sequence"]) == ("26112300000077", "complete", 3)
        assert first.ask(action="unsubscribe_orders")["status"] == "success"
        second = Client(there.server)
        again = second.ask(action="subscribe_orders", stream=began["stream"], after=1)
        assert (again["resumed"], again["sequence"]) == (True, 1)
        assert [second.next("order_update") for _ in range(2)] == [told[1], theirs]
        # Of what never was at the broker its caller has heard; of what was told before, the end is told.
        never = {"tag": Tag.NEVER_SENT, "status": Status.FAILED}
        there.update(command_id="261123-test-2", broker_order_id=None, **never)
        there.update(filled_quantity=30, average_price=Decimal("2840.5"))
        assert second.next("order_update")["sequence"] == 4
        there.update(**never)
        assert second.next("order_update")["order_status"] == "rejected"
        assert first.ask(action="ping", timestamp=1)["type"] == "pong"
        assert first.kept == []


def test_who_is_too_slow_for_order_updates_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.updates._MOST", 2)
    updates = Updates("run", {})
    told: list[Any] = []

    class Socket:
        async def send_text(self, text: str) -> None:
            told.append(json.loads(text))
            for number in range(9):
                updates.add({"command_id": "a", "filled_quantity": len(told) * 10 + number})

        async def close(self, code: int, reason: str) -> None:
            told.append((code, reason))

    updates.add({"command_id": "a", "filled_quantity": 0})
    session = Session(cast(WebSocket, Socket()), "127.0.0.1")
    session.client.next_update = 1

    async def write() -> None:
        session.client.news.set()
        await session.write(updates, "paper")

    asyncio.run(write())
    assert [told[0]["sequence"], *errors(told[1]), told[2][0]] == [1, "SERVER_ERROR", 1013]
    assert "subscribe_orders" in told[1]["message"]


def test_what_cannot_be_resumed_is_told_as_it_is_now(harness: WebHarness) -> None:
    harness.actor("state").external = (EXTERNAL,)
    with house(harness) as there:
        client = Client(there.server)
        client.ask(action="subscribe_orders")
        there.update()
        assert client.next("order_update")["sequence"] == 1
        client.ask(action="unsubscribe_orders")
        for stream, after in (("another run", 1), (harness.runtime.run_prefix, 99), (None, 0), ("x", "1"), ("x", None)):
            answer = client.ask(action="subscribe_orders", stream=stream, after=after)
            assert answer["resumed"] is False
            now = client.next("order_update")
            assert (now["orderid"], now["snapshot"], now["sequence"]) == ("26112300000077", True, answer["sequence"])
            assert client.ask(action="unsubscribe_orders")["status"] == "success"


def test_clients_are_bounded_in_number(harness: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.sockets.MOST_CLIENTS", 1)
    with house(harness) as there:
        one = Client(there.server)
        two = Client(there.server, key=None)
        assert errors(two.answer()) == ["MAX_CAPACITY_REACHED"]
        assert two.ends() == 1013
        one.ask(action="subscribe", **INFY, mode=1)
        one.socket.close()
        wait_until(lambda: len(there.subscriptions) == 2)
        assert Client(there.server).ask(action="ping", timestamp=1)["type"] == "pong"


def test_messages_of_one_address_are_bounded(harness: WebHarness) -> None:
    with house(harness, requests_per_min=8) as there:
        client = Client(there.server)
        answers = [client.ask(action="ping", timestamp=number) for number in range(9)]
        flood = [answer for answer in answers if answer["status"] == "error"]
        assert set(errors(*flood)) == {"RATE_LIMIT_EXCEEDED"}
        assert "requests_per_min" in flood[0]["message"]


def test_an_address_that_is_not_allowed_is_refused_before_it_says_anything(harness: WebHarness) -> None:
    with house(harness, allow_from="10.0.0.0/8") as there, pytest.raises(websocket.WebSocketBadStatusException) as told:
        Client(there.server)
    assert told.value.status_code == 403
    assert b"allow_from" in (told.value.resp_body or b"")


def test_connections_of_one_address_are_bounded_as_all_are(harness: WebHarness) -> None:
    with house(harness, Bounds(of_near=3)) as there:
        clients = [Client(there.server) for _ in range(4)]
        # The oldest gave way; its program connects again.
        assert clients[0].ends() in (0, 1006)
        assert all(client.ask(action="ping", timestamp=1)["type"] == "pong" for client in clients[2:])


def test_a_port_of_its_own_serves_the_socket_alone(harness: WebHarness) -> None:
    (port,) = lasting_ports(1)
    with house(harness, ws_port=port) as there:
        own = websocket.create_connection(f"ws://127.0.0.1:{port}", timeout=PATIENCE_S)
        own.send(json.dumps({"action": "authenticate", "api_key": KEY}))
        assert json.loads(own.recv())["status"] == "success"
        answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_S)
        assert (answer.status_code, "[web] port" in answer.text) == (426, True)
        assert requests.get(f"{there.server.url}/healthz", timeout=PATIENCE_S).status_code == 200
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(f"ws://127.0.0.1:{port}/orders", timeout=PATIENCE_S)


_words = st.sampled_from(["authenticate", "subscribe", "unsubscribe", "unsubscribe_all", "subscribe_orders", "ping"])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_lists = st.lists(
    st.dictionaries(st.sampled_from(["symbol", "exchange", "mode"]), _scalars | st.just("NSE")), max_size=3
)
_fields = ("symbols", "symbol", "exchange", "mode", "depth", "stream", "after", "request_id", "timestamp")
_frames = st.fixed_dictionaries(
    {"action": _words | _scalars},
    optional=dict.fromkeys(_fields, _scalars | _lists),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=_frames)
def test_no_message_makes_a_server_error(shared: House, frame: dict[str, Any]) -> None:
    client = Client(shared.server)
    client.socket.send(json.dumps(frame))
    answer = client.answer()
    assert answer.get("code") != "SERVER_ERROR", answer
    if answer.get("code") != "AUTHENTICATION_ERROR":
        assert client.ask(type="ping", timestamp=1)["type"] == "pong"
    client.socket.close()
