"""Each fault of protocol section 14.2 as a client meets it, over real HTTP and WebSocket.

The exchange's time stands still and moves by `pass_time`, so what has not come by then does not come at all; where the
answer itself is late, the machine's own clock is used.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from core.paper.config import ExchangeConfig, PriceSource
from core.paper.faults import FaultKind
from core.paper.server import PaperServer
from core.runtime.clock import SystemClock, VirtualClock
from tests.paper.faces.clients import BOUND_S, Received, Socket, Start

SHARE = {"exch": "NSE", "tsym": "RELIANCE-EQ"}
LAST, LOW, HIGH = "1450.00", "1400.00", "1480.00"
IMPATIENT_S = 0.2
"""The read timeout of a client that is to run into it."""


class Broker:
    """A paper exchange and one client of it that logs in, calls and listens without any library."""

    def __init__(self, server: PaperServer, clock: VirtualClock | None, connect: Callable[[str], Socket]) -> None:
        self.server = server
        self._clock = clock
        self._connect = connect
        self._session = requests.Session()
        self.uid = "FA00001"
        self.token = ""
        server.control("set_price", {**SHARE, "price": LAST})
        self.log_in()

    def log_in(self) -> None:
        values = {
            "source": "API",
            "apkversion": "1.0.0",
            "uid": self.uid,
            "pwd": hashlib.sha256(b"password").hexdigest(),
            "factor2": "123456",
            "vc": f"{self.uid}_U",
            "appkey": hashlib.sha256(f"{self.uid}|secret".encode()).hexdigest(),
            "imei": "abc1234",
        }
        self.token = self.call("QuickAuth", **values).json()["susertoken"]

    def call(self, path: str, *, patience_s: float = BOUND_S, **values: Any) -> requests.Response:
        values = {"uid": self.uid, "actid": self.uid, **values}
        body = f"jData={json.dumps(values)}" + (f"&jKey={self.token}" if self.token else "")
        url = f"{self.server.rest_url}/NorenWClientTP/{path}"
        return self._session.post(url, data=body.encode(), timeout=(BOUND_S, patience_s))

    def place(self, *, patience_s: float = BOUND_S, **values: str) -> requests.Response:
        """Place an order, by default a buy of 2 that rests."""
        order = {"trantype": "B", "prd": "I", "qty": "2", "dscqty": "0", "prctyp": "LMT", "prc": LOW, "ret": "DAY",
                 "remarks": "mine", **SHARE}  # fmt: skip
        return self.call("PlaceOrder", patience_s=patience_s, **order | values)

    def placed(self, **values: str) -> str:
        """The number of an order that was taken, and has reached the exchange."""
        number = str(self.place(**values).json()["norenordno"])
        self.pass_time()
        return number

    def modify(self, number: str, **values: str) -> requests.Response:
        return self.call("ModifyOrder", norenordno=number, prctyp="LMT", **{"qty": "2", "prc": LOW, **SHARE} | values)

    def book(self) -> dict[str, dict[str, str]]:
        """The order book by order number."""
        rows = self.call("OrderBook").json()
        return {row["norenordno"]: row for row in rows} if isinstance(rows, list) else {}

    def mine(self) -> list[str]:
        """The remarks of the orders in the book."""
        return [row.get("remarks", "") for row in self.book().values()]

    def fault(self, kind: FaultKind, **arguments: Any) -> None:
        self.server.control("add_fault", {"kind": kind.value, **arguments})

    def listen(self) -> Socket:
        """A socket that takes order updates."""
        socket = self.greet()
        assert socket.receive()["s"] == "OK"
        socket.send({"t": "o", "actid": self.uid})
        assert socket.receive() == {"t": "ok"}
        return socket

    def greet(self) -> Socket:
        """A socket that has sent its connect frame."""
        socket = self.connect()
        socket.send(self.greeting())
        return socket

    def connect(self) -> Socket:
        """A socket that has said nothing yet."""
        return self._connect(self.server.ws_url)

    def greeting(self) -> dict[str, str]:
        """The connect frame."""
        return {"t": "c", "uid": self.uid, "actid": self.uid, "source": "API", "susertoken": self.token}

    def pass_time(self, seconds: float = 1.0) -> None:
        assert self._clock is not None
        self._clock.advance(seconds)
        self.server.settle()


def reports(socket: Socket) -> list[dict[str, Any]]:
    """All that is there to be read."""
    frames = []
    while socket.waiting():
        frames.append(socket.receive())
    return frames


def names(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["reporttype"] for frame in frames]


@pytest.fixture
def broker(start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock) -> Broker:
    config = ExchangeConfig(price_source=PriceSource.MANUAL)
    return Broker(start(config, clock=virtual_clock), virtual_clock, open_socket)


@pytest.fixture
def live_broker(start: Start, open_socket: Callable[[str], Socket]) -> Broker:
    """The same on the machine's own clock."""
    return Broker(start(ExchangeConfig(price_source=PriceSource.MANUAL), clock=SystemClock()), None, open_socket)


def timed_out(act: Callable[[], requests.Response]) -> bool:
    with pytest.raises(requests.exceptions.ReadTimeout):
        act()
    return True


def broken(act: Callable[[], requests.Response]) -> bool:
    with pytest.raises(requests.exceptions.ConnectionError) as told:
        act()
    return not isinstance(told.value, requests.exceptions.Timeout)


def bad_gateway(act: Callable[[], requests.Response]) -> bool:
    reply = act()
    with pytest.raises(requests.exceptions.JSONDecodeError):
        reply.json()
    return reply.status_code == 502 and "<html>" in reply.text


def empty(act: Callable[[], requests.Response]) -> bool:
    reply = act()
    return (reply.status_code, reply.content) == (200, b"")


def server_timeout(act: Callable[[], requests.Response]) -> bool:
    reply = act().json()
    return reply["stat"] == "Not_Ok" and reply["emsg"].startswith("Server Timeout :")


def ok_without_number(act: Callable[[], requests.Response]) -> bool:
    reply = act().json()
    return reply["stat"] == "Ok" and not reply.get("norenordno")


@pytest.mark.parametrize(
    ("kind", "symptom", "is_placed"),
    [
        (FaultKind.ACCEPT_HANG, timed_out, True),
        (FaultKind.ACCEPT_CLOSE, broken, True),
        (FaultKind.ACCEPT_502, bad_gateway, True),
        (FaultKind.ACCEPT_EMPTY, empty, True),
        (FaultKind.ACCEPT_SERVER_TIMEOUT, server_timeout, True),
        (FaultKind.ACCEPT_NO_NUMBER, ok_without_number, True),
        (FaultKind.DROP_HANG, timed_out, False),
        (FaultKind.DROP_CLOSE, broken, False),
        (FaultKind.DROP_502, bad_gateway, False),
        (FaultKind.DROP_SERVER_TIMEOUT, server_timeout, False),
    ],
)
def test_the_outcome_of_an_order_call_is_unknown(
    broker: Broker, kind: FaultKind, symptom: Callable[[Callable[[], requests.Response]], bool], is_placed: bool
) -> None:
    """The client sees the same either way; only the book tells whether the order is there."""
    broker.fault(kind)
    assert symptom(lambda: broker.place(patience_s=IMPATIENT_S, remarks="unknown"))
    broker.pass_time()
    assert broker.mine() == (["unknown"] if is_placed else [])
    assert broker.place(remarks="next").json()["stat"] == "Ok"


@pytest.mark.parametrize("kind", [FaultKind.ACCEPT_502, FaultKind.DROP_502])
def test_a_cancel_with_an_unknown_outcome(broker: Broker, kind: FaultKind) -> None:
    number = broker.placed()
    broker.fault(kind, path="CancelOrder")
    assert bad_gateway(lambda: broker.call("CancelOrder", norenordno=number))
    broker.pass_time()
    assert broker.book()[number]["status"] == ("CANCELED" if kind is FaultKind.ACCEPT_502 else "OPEN")


def test_an_answer_that_comes_late_is_too_late_for_an_impatient_client(broker: Broker) -> None:
    broker.fault(FaultKind.REPLY_DELAY, path="PlaceOrder", seconds=3 * IMPATIENT_S, count=2)
    assert timed_out(lambda: broker.place(patience_s=IMPATIENT_S, remarks="late"))
    assert broker.place(remarks="patient").json()["stat"] == "Ok"
    broker.pass_time()
    assert sorted(broker.mine()) == ["late", "patient"]


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (FaultKind.REFUSE_TEXT, {"text": "Never Seen : before"}, "Never Seen : before"),
        (FaultKind.RATE_LIMIT_SECOND, {}, "in a current second exceeds Limit 10 for user"),
        (FaultKind.RATE_LIMIT_MINUTE, {}, "in a current minute exceeds Limit 120 for user"),
    ],
)
def test_a_refusal_in_words(broker: Broker, kind: FaultKind, arguments: dict[str, Any], words: str) -> None:
    broker.fault(kind, path="PlaceOrder", **arguments)
    reply = broker.place().json()
    assert reply["stat"] == "Not_Ok"
    assert words in reply["emsg"]
    assert broker.mine() == []


def test_too_many_requests_without_json(broker: Broker) -> None:
    broker.fault(FaultKind.HTTP_429, path="PlaceOrder")
    reply = broker.place()
    assert reply.status_code == 429
    with pytest.raises(requests.exceptions.JSONDecodeError):
        reply.json()
    assert broker.mine() == []


def test_the_rate_limits_of_the_settings(start: Start, open_socket: Callable[[str], Socket]) -> None:
    clock = VirtualClock(SystemClock().now())
    config = ExchangeConfig(price_source=PriceSource.MANUAL, rate_per_s=5)
    broker = Broker(start(config, clock=clock), clock, open_socket)
    broker.pass_time()
    said = [broker.call("Limits").json().get("emsg", "") for _ in range(8)]
    assert said[:5] == [""] * 5
    assert "exceeds Limit 5 for user" in said[5]
    broker.pass_time()
    assert broker.call("Limits").json()["stat"] == "Ok"


def test_the_book_lags_behind_the_reply(broker: Broker) -> None:
    broker.fault(FaultKind.BOOK_LAG, seconds=2, count=0)
    number = broker.place().json()["norenordno"]
    broker.pass_time()
    assert broker.book() == {}
    broker.pass_time(2)
    assert broker.book()[number]["status"] == "OPEN"


def test_the_book_misses_a_known_order_once(broker: Broker) -> None:
    number = broker.placed()
    other = broker.placed(remarks="other")
    broker.fault(FaultKind.BOOK_MISSING_ORDER, remarks="mine")
    assert set(broker.book()) == {other}
    assert set(broker.book()) == {number, other}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.BOOK_NO_DATA, 'Error Occurred : 5 "no data"'),
        (FaultKind.BOOK_SESSION_EXPIRED, "Session Expired :  Invalid Session Key"),
        (FaultKind.BOOK_SERVER_TIMEOUT, "Server Timeout :  "),
    ],
)
def test_the_book_fails_in_words(broker: Broker, kind: FaultKind, words: str) -> None:
    number = broker.placed()
    broker.fault(kind)
    reply = broker.call("OrderBook").json()
    assert (reply["stat"], reply["emsg"]) == ("Not_Ok", words)
    assert set(broker.book()) == {number}


@pytest.mark.parametrize(("kind", "symptom"), [(FaultKind.BOOK_502, bad_gateway), (FaultKind.BOOK_HANG, timed_out)])
def test_the_book_fails_below_http(broker: Broker, kind: FaultKind, symptom: Callable[..., bool]) -> None:
    number = broker.placed()
    broker.fault(kind)
    assert symptom(lambda: broker.call("OrderBook", patience_s=IMPATIENT_S))
    assert set(broker.book()) == {number}


def test_frames_are_lost_doubled_or_late(broker: Broker) -> None:
    socket = broker.listen()
    broker.placed(prc=HIGH)
    usual = ["NewAck", "PendingNew", "New", "Fill"]
    assert names(reports(socket)) == usual

    broker.fault(FaultKind.PUSH_LOST, report="Fill")
    number = broker.placed(prc=HIGH)
    assert names(reports(socket)) == usual[:-1]
    assert broker.book()[number]["status"] == "COMPLETE"

    broker.fault(FaultKind.PUSH_DOUBLED, report="Fill")
    broker.placed(prc=HIGH)
    frames = reports(socket)
    assert names(frames) == [*usual, "Fill"]
    assert frames[-1] == frames[-2]

    broker.fault(FaultKind.PUSH_REORDERED, report="New")
    broker.placed(prc=HIGH)
    assert names(reports(socket)) == ["NewAck", "PendingNew", "Fill", "New"]


def test_frames_overtake_the_reply(live_broker: Broker) -> None:
    socket = live_broker.listen()
    live_broker.fault(FaultKind.PUSH_BEFORE_REPLY)
    number = live_broker.place(prc=HIGH).json()["norenordno"]
    frames = reports(socket)
    assert names(frames) == ["NewAck", "PendingNew", "New", "Fill"]
    assert {frame["norenordno"] for frame in frames} == {number}


def test_a_frame_without_what_a_client_would_like(broker: Broker) -> None:
    socket = broker.listen()
    broker.fault(FaultKind.PUSH_BARE, report="NewAck")
    broker.placed()
    bare, *others = reports(socket)
    assert not {"remarks", "qty", "prc", "uid", "actid"} & set(bare)
    assert all(frame["remarks"] == "mine" and frame["rejreason"] == " " for frame in others)


@pytest.mark.parametrize("key", ["pcode", "prd"])
def test_the_product_is_named_as_the_settings_say(
    start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock, key: str
) -> None:
    config = ExchangeConfig(price_source=PriceSource.MANUAL, product_key=key)
    broker = Broker(start(config, clock=virtual_clock), virtual_clock, open_socket)
    socket = broker.listen()
    broker.placed()
    assert [{"pcode", "prd"} & set(frame) for frame in reports(socket)] == [{key}] * 3


def test_a_socket_that_is_never_acknowledged(broker: Broker) -> None:
    broker.fault(FaultKind.SOCKET_NO_ACK)
    socket = broker.greet()
    broker.listen()  # a later socket is acknowledged: the earlier one had its turn
    assert reports(socket) == []


def test_a_socket_that_is_refused_and_stays_open(broker: Broker) -> None:
    broker.fault(FaultKind.SOCKET_NOT_OK)
    socket = broker.greet()
    assert socket.receive()["s"].upper() == "NOT_OK"
    broker.placed()
    socket.raw.ping("there?")
    assert socket.raw.recv_data(control_frame=True)[1] == b"there?"


def test_a_socket_that_is_acknowledged_and_says_nothing_more(broker: Broker) -> None:
    broker.fault(FaultKind.SOCKET_SILENT)
    socket = broker.greet()
    assert socket.receive()["s"] == "OK"
    socket.send({"t": "o", "actid": broker.uid})
    socket.raw.ping("there?")
    number = broker.placed()
    assert broker.book()[number]["status"] == "OPEN"
    broker.listen()  # once a later socket is answered, the silent one has had its chance
    assert not socket.waiting()


def test_a_socket_that_plays_dead_is_found_by_a_client_that_pings(broker: Broker) -> None:
    """Half-open: TCP lives, nothing is said. NorenRestApiPy pings and looks; only the missing PONG tells it."""
    said = Received()
    frames, troubles = Received(), Received()

    def fail(app: websocket.WebSocketApp, error: Exception) -> None:
        troubles.add(error)
        app.sock.shutdown()  # without waiting for a close frame that cannot come

    client = websocket.WebSocketApp(
        broker.server.ws_url,
        on_open=lambda app: app.send(json.dumps(broker.greeting())),
        on_message=lambda _, text: frames.add(json.loads(text)),
        on_error=fail,
        on_pong=lambda *_: said.add(),
    )
    broker.fault(FaultKind.SOCKET_SILENT)
    life = threading.Thread(target=client.run_forever, kwargs={"ping_interval": 0.2, "ping_timeout": 0.1})
    life.start()
    (trouble,) = troubles.wait_for(list)
    life.join(BOUND_S)
    assert isinstance(trouble, websocket.WebSocketTimeoutException)
    assert [frame["t"] for frame in frames.items] == ["ck"]
    assert said.items == []


def test_a_socket_that_is_cut_as_soon_as_it_opens(broker: Broker) -> None:
    broker.fault(FaultKind.SOCKET_REFUSED)
    assert broker.connect().close_code() is None
    assert broker.listen()


def test_a_socket_that_is_closed_when_a_frame_is_due(broker: Broker) -> None:
    socket = broker.listen()
    broker.fault(FaultKind.SOCKET_CLOSE)
    number = broker.placed()
    assert socket.close_code() == 1000
    assert broker.book()[number]["status"] == "OPEN"
    assert broker.listen()


def test_a_third_socket_ends_the_first(broker: Broker) -> None:
    first = broker.listen()
    broker.listen()
    broker.listen()
    assert first.close_code() == 1000


def test_a_wrong_token_leaves_the_socket_open_and_silent(broker: Broker) -> None:
    broker.token = "0" * 64
    socket = broker.greet()
    assert socket.receive()["s"].upper() == "NOT_OK"
    assert not socket.waiting()


def test_the_token_dies_in_the_middle_of_the_day(broker: Broker) -> None:
    broker.fault(FaultKind.TOKEN_KILLED, path="PlaceOrder")
    reply = broker.place().json()
    assert reply["emsg"].startswith("Session Expired :")
    assert broker.call("OrderBook").json()["emsg"].startswith("Session Expired :")
    broker.log_in()
    assert broker.mine() == []
    assert broker.place().json()["stat"] == "Ok"


@pytest.mark.parametrize("kind", [FaultKind.REJECT_ORDER, FaultKind.EXCHANGE_REJECT])
def test_an_order_is_rejected_after_the_ok(broker: Broker, kind: FaultKind) -> None:
    socket = broker.listen()
    broker.fault(kind, text="RED:a reason nobody has seen")
    number = broker.placed()
    row = broker.book()[number]
    assert (row["status"], row["rejreason"]) == ("REJECTED", "RED:a reason nobody has seen")
    last = reports(socket)[-1]
    assert (last["reporttype"], last["rejreason"]) == ("Rejected", "RED:a reason nobody has seen")


def test_a_fill_after_the_cancellation(broker: Broker) -> None:
    socket = broker.listen()
    broker.fault(FaultKind.LATE_FILL_AFTER_CANCEL, seconds=0.5, qty=1)
    number = broker.placed()
    assert broker.call("CancelOrder", norenordno=number).json()["stat"] == "Ok"
    broker.pass_time(0.1)
    assert broker.book()[number]["status"] == "CANCELED"
    broker.pass_time()
    late = reports(socket)[-1]
    assert (late["reporttype"], late["flqty"], late["fillshares"]) == ("Fill", "1", "1")
    assert [row["flqty"] for row in broker.call("TradeBook").json()] == ["1"]
    assert [row["netqty"] for row in broker.call("PositionBook").json()] == ["1"]


def test_a_cancel_that_loses_the_race(broker: Broker) -> None:
    socket = broker.listen()
    number = broker.placed()
    broker.fault(FaultKind.CANCEL_OK_THEN_FILL)
    assert broker.call("CancelOrder", norenordno=number).json()["result"] == number
    broker.pass_time()
    assert broker.book()[number]["status"] == "COMPLETE"
    assert {"Fill", "CancelRejected"} <= set(names(reports(socket)))


def test_a_modification_that_is_refused_later(broker: Broker) -> None:
    socket = broker.listen()
    number = broker.placed()
    broker.fault(FaultKind.MODIFY_OK_THEN_REJECTED)
    assert broker.modify(number, qty="5").json()["result"] == number
    broker.pass_time()
    row = broker.book()[number]
    assert (row["status"], row["qty"]) == ("OPEN", "2")
    last = reports(socket)[-1]
    assert (last["status"], last["reporttype"]) == ("OPEN", "ReplaceRejected")


def test_a_modification_that_comes_to_the_exchange_late(broker: Broker) -> None:
    number = broker.placed()
    broker.fault(FaultKind.MODIFY_LATE)
    assert broker.modify(number, qty="5").json()["result"] == number
    broker.pass_time()
    assert broker.book()[number]["qty"] == "2"
    broker.pass_time(2.0)
    assert broker.book()[number]["qty"] == "5"


def test_a_cancel_that_is_refused_while_the_order_lives(broker: Broker) -> None:
    number = broker.placed()
    broker.fault(FaultKind.CANCEL_REFUSED_WHILE_OPEN)
    assert broker.call("CancelOrder", norenordno=number).json()["stat"] == "Not_Ok"
    broker.pass_time()
    assert broker.book()[number]["status"] == "OPEN"


def test_a_complete_row_without_its_fill(broker: Broker) -> None:
    socket = broker.listen()
    broker.fault(FaultKind.PUSH_LOST, report="Fill")
    number = broker.placed(prc=HIGH)
    broker.fault(FaultKind.ROW_WITHOUT_FILL)
    row = broker.book()[number]
    assert row["status"] == "COMPLETE"
    assert not {"fillshares", "avgprc"} & set(row)
    assert "Fill" not in names(reports(socket))
    trades = broker.call("TradeBook").json()
    assert sum(int(row["flqty"]) for row in trades) == 2


def test_words_nobody_knows(broker: Broker) -> None:
    socket = broker.listen()
    broker.fault(FaultKind.UNKNOWN_STATUS, count=0)
    broker.fault(FaultKind.UNKNOWN_REPORT, count=0, text="Surprise")
    number = broker.placed()
    assert broker.book()[number]["status"] == "INVALID_STATUS_TYPE"
    assert {(frame["status"], frame["reporttype"]) for frame in reports(socket)} == {
        ("INVALID_STATUS_TYPE", "Surprise")
    }
    broker.server.control("clear_faults")
    assert broker.book()[number]["status"] == "OPEN"


def test_a_status_that_is_spelt_otherwise(broker: Broker) -> None:
    number = broker.placed()
    broker.call("CancelOrder", norenordno=number)
    broker.pass_time()
    assert broker.book()[number]["status"] == "CANCELED"
    broker.fault(FaultKind.STATUS_SPELLING, count=0, **{"from": "CANCELED", "to": "CANCELLED"})
    assert broker.book()[number]["status"] == "CANCELLED"


def test_quotes_that_must_not_be_priced_from(broker: Broker) -> None:
    call = {"exch": "NSE", "token": "2885"}
    assert broker.call("GetQuotes", **call).json()["lp"] == LAST
    broker.fault(FaultKind.QUOTE_ZERO)
    zero = broker.call("GetQuotes", **call).json()
    assert (zero["lp"], zero["bp1"], zero["sp1"]) == ("0.00", "0.00", "0.00")
    broker.fault(FaultKind.QUOTE_INDEX_LEVEL)
    wild = broker.call("GetQuotes", **call).json()
    assert float(wild["lp"]) > 10 * float(LAST)
    assert (wild["bp1"], wild["sp1"]) == ("0.00", "0.00")


def test_a_quote_of_one_side_and_a_wrong_one(broker: Broker) -> None:
    call = {"exch": "NSE", "token": "2885"}
    before = broker.call("GetQuotes", **call).json()
    broker.fault(FaultKind.QUOTE_ONE_SIDED, text="asks")
    one_sided = broker.call("GetQuotes", **call).json()
    assert float(one_sided["sp1"]) == 0
    assert one_sided["bp1"] == before["bp1"]
    broker.fault(FaultKind.QUOTE_WRONG)
    wrong = broker.call("GetQuotes", **call).json()
    assert float(wrong["lp"]) == pytest.approx(1.5 * float(before["lp"]), abs=0.01)


def test_a_quote_of_some_time_ago(
    start: Start, open_socket: Callable[[str], Socket], virtual_clock: VirtualClock
) -> None:
    walking = ExchangeConfig(price_source=PriceSource.WALK)
    broker = Broker(start(walking, clock=virtual_clock), virtual_clock, open_socket)
    call = {"exch": "NSE", "token": "2885"}
    broker.pass_time(60)
    before = broker.call("GetQuotes", **call).json()
    broker.pass_time(120)
    now = broker.call("GetQuotes", **call).json()
    assert now["lp"] != before["lp"]
    broker.fault(FaultKind.QUOTE_STALE, seconds=120)
    stale = broker.call("GetQuotes", **call).json()
    assert (stale["lp"], stale["request_time"]) == (before["lp"], now["request_time"])


def test_a_feed_without_ticks_and_one_with_the_prices_of_another(broker: Broker) -> None:
    socket = broker.listen()
    socket.send({"t": "t", "k": "NSE|1594"})
    assert socket.receive()["ts"] == "INFY-EQ"
    broker.fault(FaultKind.FEED_NO_TICKS)
    broker.server.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1520"})
    socket.send({"t": "h"})
    assert socket.receive()["t"] == "hk"
    broker.fault(FaultKind.FEED_WRONG_INSTRUMENT)
    for price in ("1521", "1522"):
        broker.server.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": price})
    wrong, right = socket.receive(), socket.receive()
    assert (float(wrong["lp"]) > 20000, right["lp"]) == (True, "1522.00")


def test_a_position_that_is_left_out_and_one_with_a_false_price(broker: Broker) -> None:
    broker.placed(prc=HIGH)
    (true,) = broker.call("PositionBook").json()
    broker.fault(FaultKind.POSITION_MISSING)
    assert broker.call("PositionBook").json()["emsg"] == 'Error Occurred : 5 "no data"'
    broker.fault(FaultKind.POSITION_FALSE)
    (false,) = broker.call("PositionBook").json()
    assert float(false["lp"]) < float(true["lp"]) / 50
    assert float(false["urmtom"]) < float(true["urmtom"])
    assert broker.call("PositionBook").json() == [true]


def test_a_position_that_cannot_be_read(broker: Broker) -> None:
    broker.placed(prc=HIGH)
    broker.fault(FaultKind.POSITION_UNPARSABLE)
    (row,) = broker.call("PositionBook").json()
    with pytest.raises(ValueError, match="could not convert"):
        sum(float(row[name]) for name in ("netqty", "rpnl", "urmtom", "netavgprc"))
    (row,) = broker.call("PositionBook").json()
    assert row["netqty"] == "2"


def test_a_partial_fill_and_then_a_cancel(broker: Broker) -> None:
    number = broker.placed()
    broker.server.control("fill_order", {"norenordno": number, "qty": 1})
    broker.call("CancelOrder", norenordno=number)
    broker.pass_time()
    row = broker.book()[number]
    assert (row["status"], row["fillshares"], row["cancelqty"]) == ("CANCELED", "1", "1")
    assert [row["netqty"] for row in broker.call("PositionBook").json()] == ["1"]


def test_a_cancel_that_nobody_asked_for(broker: Broker) -> None:
    socket = broker.listen()
    number = broker.placed()
    broker.server.control("cancel_order", {"norenordno": number, "reason": "16388: price range reset"})
    broker.pass_time()
    assert broker.book()[number]["status"] == "CANCELED"
    assert reports(socket)[-1]["reporttype"] == "Canceled"


def test_an_order_from_elsewhere(broker: Broker) -> None:
    socket = broker.listen()
    made = broker.server.control(
        "external_order", {**SHARE, "account": broker.uid, "trantype": "B", "qty": 3, "prc": HIGH}
    )
    broker.pass_time()
    row = broker.book()[made["norenordno"]]
    assert row["status"] == "COMPLETE"
    assert row["ordersource"] != "API"
    assert names(reports(socket))[-1] == "Fill"


def test_the_cutoff_and_the_end_of_the_day(start: Start, open_socket: Callable[[str], Socket]) -> None:
    clock = VirtualClock(
        SystemClock().now().replace(year=2026, month=11, day=3, hour=9, minute=0, second=0)
    )  # 14:30 IST
    config = ExchangeConfig(price_source=PriceSource.MANUAL, enforce_session_hours=True)
    broker = Broker(start(config, clock=clock), clock, open_socket)
    first = broker.placed(prc=HIGH)
    broker.pass_time(55 * 60)
    assert broker.call("PositionBook").json()[0]["netqty"] == "0"  # squared off by the broker
    late = broker.placed()
    assert broker.book()[late]["rejreason"] == "RED:'MIS' Orders are disallowed after system square off"
    broker.server.control("end_of_day")
    broker.log_in()
    assert broker.book() == {}
    assert broker.place().json()["norenordno"][:6] != first[:6]


def test_nothing_listens_any_more(broker: Broker) -> None:
    broker.server.stop()
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        requests.post(broker.server.rest_url + "/NorenWClientTP/OrderBook", data="jData={}", timeout=BOUND_S)


def test_every_fault_has_its_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [kind.name for kind in FaultKind if f"FaultKind.{kind.name}" not in source] == []
