"""Order calls over real HTTP: every outcome of protocol 15.1, and what goes over the wire."""

from __future__ import annotations

import json
import logging
import socket
from decimal import Decimal
from typing import Any

import pytest
import requests
import urllib3.util.connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from core.model.order import Order, OrderType, Product
from core.model.outcomes import Accepted, LoggedIn, NotSent, Refusal, Refused, Unknown
from core.noren import Credentials, NorenClient, profile
from core.noren.connection import NotWritten
from core.noren.credentials import Redactor
from core.noren.terms import price_text
from core.noren.transport import Delivery, Transport
from core.runtime.clock import VirtualClock
from tests.factories import NOON, an_intent, an_order
from tests.noren.conftest import CREDENTIALS, PASSWORD, TOKEN, MakeClient, logged_in
from tests.noren.scripted import ScriptedServer, WatchedClock, close, drip, raw, reply, reset

OK = {"stat": "Ok", "norenordno": "26112300000017", "request_time": "12:00:00 23-11-2026"}
BAD_GATEWAY = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>"


def order(**changes: Any) -> Order:
    command_id = changes.pop("command_id", "261123-k7f3a9x2")
    return an_order(an_intent(**changes), command_id=command_id)


def not_ok(emsg: str, status: int = 200) -> Any:
    return reply({"stat": "Not_Ok", "emsg": emsg, "request_time": "12:00:00 23-11-2026"}, status=status)


def test_an_accepted_order_has_the_brokers_number(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK))

    assert client.place_order(order()) == Accepted("26112300000017")
    assert server.paths() == ["PlaceOrder"]


def test_the_request_is_the_librarys_with_canonical_texts(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK))

    client.place_order(order(price=Decimal("1500.5")))

    (request,) = server.received
    assert request.parts[1:] == [f"jKey={TOKEN}"]
    assert request.values == {
        "ordersource": "API",
        "uid": "FA00001",
        "actid": "FA00001",
        "trantype": "B",
        "prd": "I",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "qty": "50",
        "dscqty": "0",
        "prctyp": "LMT",
        "prc": "1500.50",
        "ret": "DAY",
        "remarks": "261123-k7f3a9x2",
    }


def test_generation_1_gets_the_body_as_the_library_writes_it(make_client: MakeClient, server: ScriptedServer) -> None:
    client = logged_in(make_client("noren-gen1"), server)
    server.will(reply(OK))

    client.place_order(order())

    values = server.received[0].values
    assert (values["amo"], values["trgprc"]) == ("NO", "None")


@pytest.mark.parametrize(
    ("terms", "sent"),
    [
        ((OrderType.LIMIT, Decimal("100"), None), ("LMT", "100.00", None)),
        ((OrderType.MARKET, None, None), ("MKT", "0", None)),
        ((OrderType.MARKET, Decimal("100"), Decimal("99")), ("MKT", "0", None)),
        ((OrderType.SL, Decimal("1E+2"), Decimal("99.95")), ("SL-LMT", "100.00", "99.95")),
        ((OrderType.SL_M, None, Decimal("0.0525")), ("SL-MKT", "0", "0.0525")),
    ],
)
def test_order_types_carry_the_prices_they_need_and_no_others(
    client: NorenClient,
    server: ScriptedServer,
    terms: tuple[OrderType, Decimal | None, Decimal | None],
    sent: tuple[str, str, str | None],
) -> None:
    order_type, price, trigger = terms
    server.will(reply(OK))

    client.place_order(order(order_type=order_type, price=price, trigger_price=trigger))

    values = server.received[0].values
    assert (values["prctyp"], values["prc"], values.get("trgprc")) == sent


@pytest.mark.parametrize(("product", "code"), [(Product.MIS, "I"), (Product.NRML, "M"), (Product.CNC, "C")])
def test_products_travel_as_codes(client: NorenClient, server: ScriptedServer, product: Product, code: str) -> None:
    server.will(reply(OK))

    client.place_order(order(product=product))

    assert server.received[0].values["prd"] == code


@pytest.mark.parametrize(
    "changes",
    [
        {"price": None},
        {"price": Decimal("NaN")},
        {"price": Decimal("-1")},
        {"order_type": OrderType.SL, "price": Decimal("100")},
        {"product": None},
        {"symbol": "lone surrogate \ud800"},
    ],
)
def test_an_order_that_cannot_be_written_is_not_sent(
    client: NorenClient, server: ScriptedServer, changes: dict[str, Any]
) -> None:
    assert isinstance(client.place_order(order(**changes)), NotSent)
    assert server.received == []


def test_without_a_session_nothing_is_sent(make_client: MakeClient, server: ScriptedServer) -> None:
    assert isinstance(make_client().place_order(order()), NotSent)
    assert server.received == []


@given(st.decimals(min_value="0.0001", max_value="10000000", places=4))
def test_a_price_travels_as_plain_digits_and_means_the_same(price: Decimal) -> None:
    text = price_text(price)

    assert Decimal(text) == price
    assert set(text) <= set("0123456789.")
    assert len(text.partition(".")[2]) >= 2


# Refused.


@pytest.mark.parametrize(
    ("emsg", "status"),
    [
        ("Invalid Input :  Invalid Disc Qty", 400),
        ("Invalid Input : jData is not valid json object", 200),
        ('Error Occurred : 2 "invalid input"', 200),
        ('Error Occured : 2 "invalid input"', 200),
        ("Rejected : ALGO_CHK: MKT Order type not allowed for API order", 200),
        ("rejected:RED:Margin Shortfall", 200),
        ("ALGO_CHK: Invalid IP address", 200),
        ("Invalid AMO", 200),
    ],
)
def test_a8_a_plain_refusal_keeps_the_brokers_words_and_is_sent_once(
    client: NorenClient, server: ScriptedServer, emsg: str, status: int
) -> None:
    server.will(not_ok(emsg, status))

    assert client.place_order(order()) == Refused(" ".join(emsg.split()), Refusal.PLAIN)
    assert server.paths() == ["PlaceOrder"]


def test_e1_a_dead_session_is_a_refusal_of_its_own_kind(client: NorenClient, server: ScriptedServer) -> None:
    server.will(not_ok("Session Expired :  Invalid Session Key", 401))

    assert client.place_order(order()) == Refused("Session Expired : Invalid Session Key", Refusal.SESSION_EXPIRED)


@pytest.mark.parametrize(
    "step",
    [
        not_ok("Invalid Input :  Order Recieved 11 in a current second exceeds Limit 10 for user"),
        not_ok("Order Recieved 121 in a current minute exceeds Limit 120 for user"),
        not_ok("slow down", 429),
        reply("Too Many Requests", status=429, content_type="text/plain"),
    ],
)
def test_e8_a_rate_limit_of_the_broker_is_a_refusal_of_its_own_kind(
    client: NorenClient, server: ScriptedServer, step: Any
) -> None:
    server.will(step)

    outcome = client.place_order(order())

    assert isinstance(outcome, Refused)
    assert outcome.kind is Refusal.RATE_LIMITED


# Unknown.


def test_a4_read_timeout_is_unknown_not_failed(make_client: MakeClient, server: ScriptedServer) -> None:
    client = logged_in(make_client(read_timeout_s=0.2), server)
    server.will(server.hang)

    assert client.place_order(order()) == Unknown("TimeoutError: no whole answer within 0.2 s")
    assert server.paths() == ["PlaceOrder"]


@pytest.mark.parametrize(
    "step",
    [
        reply(BAD_GATEWAY, status=502, content_type="text/html"),
        reply(""),
        reply("", status=504),
        not_ok("Server Timeout :  "),
        not_ok("Server Timeout :", 429),
        reply("{"),
        reply("null"),
        reply("[" * 100_000),
        reply([OK]),
        reply({}),
        reply({"stat": "Not_Ok"}),
        not_ok("Something Else : never seen before"),
        not_ok('Error Occurred : 5 "no data"'),
        reply("Moved", status=302, headers="Location: /elsewhere\r\n"),
        reply("Not allowed", status=405),
        reset,
        close,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + json.dumps(OK).encode()),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx"),
    ],
)
def test_a5_an_answer_that_is_no_verdict_is_unknown_and_sent_once(
    client: NorenClient, server: ScriptedServer, step: Any
) -> None:
    server.will(step)

    assert isinstance(client.place_order(order()), Unknown)
    assert server.paths() == ["PlaceOrder"]


@pytest.mark.parametrize("number", [{}, {"norenordno": ""}, {"norenordno": "  "}, {"norenordno": None}])
def test_a6_ok_without_a_number_is_unknown(client: NorenClient, server: ScriptedServer, number: dict[str, Any]) -> None:
    server.will(reply({"stat": "Ok", **number}))

    assert isinstance(client.place_order(order()), Unknown)


@pytest.mark.parametrize("where", ["in the head", "in the body"])
def test_a12_a_server_that_drips_is_cut_off_at_the_read_timeout(
    make_client: MakeClient, server: ScriptedServer, where: str
) -> None:
    clock = WatchedClock(NOON)
    client = logged_in(make_client(clock=clock), server)
    body = json.dumps(OK).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    server.will(drip(clock, b"", head + body) if where == "in the head" else drip(clock, head, body))

    assert client.place_order(order()) == Unknown("TimeoutError: no whole answer within 8 s")


def test_after_a_late_answer_the_next_call_gets_its_own(make_client: MakeClient, server: ScriptedServer) -> None:
    client = logged_in(make_client(read_timeout_s=0.2), server)
    server.will(server.hang, reply({**OK, "norenordno": "2"}))

    client.place_order(order())

    assert client.place_order(order()) == Accepted("2")
    assert server.received[0].connection != server.received[1].connection


# Not sent.


def test_a7_a_refused_connection_is_not_sent(make_client: MakeClient, server: ScriptedServer) -> None:
    client = logged_in(make_client(), server)
    server.close()

    outcome = client.place_order(order())

    assert isinstance(outcome, NotSent)
    assert "refused" in outcome.reason


def test_a7_an_unknown_host_is_not_sent(
    client: NorenClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client.close()
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)

    assert client.place_order(order()) == NotSent("gaierror: [Errno -2] Name or service not known")
    assert server.received == []


def test_a7_a_connect_timeout_is_not_sent(
    client: NorenClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any, **__: Any) -> Any:
        raise TimeoutError("timed out")

    client.close()
    monkeypatch.setattr(urllib3.util.connection, "create_connection", silent)

    assert isinstance(client.place_order(order()), NotSent)
    assert server.received == []


def test_a7_a_failed_tls_handshake_is_not_sent(server: ScriptedServer) -> None:
    transport = Transport(
        profile("shoonya"), Redactor(CREDENTIALS), clock=VirtualClock(NOON), connect_timeout_s=5, read_timeout_s=8
    )

    sent = transport.send(server.url.replace("http:", "https:") + "/PlaceOrder", b"jData={}", {})
    transport.close()

    assert sent.delivery is Delivery.NOT_SENT
    assert "SSL" in sent.problem
    assert server.received == []


def test_a7_a_proxy_that_gives_no_tunnel_is_not_sent(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written went to the proxy: the broker cannot know of the order."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    server.will(reply("no", status=503), close)
    transport = Transport(
        profile("shoonya", host="https://broker.invalid"),
        Redactor(CREDENTIALS),
        clock=VirtualClock(NOON),
        connect_timeout_s=5,
        read_timeout_s=8,
    )

    sent = [transport.send("https://broker.invalid/PlaceOrder", b"jData={}", {}) for _ in range(2)]
    transport.close()

    assert [reply.delivery for reply in sent] == [Delivery.NOT_SENT, Delivery.NOT_SENT]
    assert [request.path for request in server.received] == ["broker.invalid:443", "broker.invalid:443"]
    assert "503" in sent[0].problem


def test_a_proxy_of_the_environment_carries_calls_to_other_hosts(
    make_client: MakeClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    client = logged_in(make_client(host="http://broker.invalid/NorenWClientTP"), server)
    server.will(reply(OK), close)

    assert isinstance(client.place_order(order()), Accepted)
    assert isinstance(client.place_order(order()), Unknown)
    assert server.received[0].path == "http://broker.invalid/NorenWClientTP/PlaceOrder"


def test_an_error_of_our_own_after_writing_is_unknown(
    client: NorenClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise LookupError("a mistake in the transport")

    server.will(reply(OK))
    monkeypatch.setattr(Transport, "_read", broken)

    assert client.place_order(order()) == Unknown("the call was interrupted")


# Connections.


def test_calls_share_one_connection(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK), reply(OK))

    client.place_order(order())
    client.place_order(order())

    assert len({request.connection for request in server.received}) == 1


def test_a_connection_the_server_closed_while_idle_is_not_used(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK, keep=False), reply(OK))

    client.place_order(order())
    server.wait_closed()

    assert client.place_order(order()) == Accepted("26112300000017")
    assert server.received[0].connection != server.received[1].connection


@pytest.mark.parametrize("step", [close, reset])
def test_a_connection_the_server_closes_while_we_write_is_unknown(
    client: NorenClient, server: ScriptedServer, step: Any
) -> None:
    server.will(reply(OK), step)

    client.place_order(order())

    assert isinstance(client.place_order(order()), Unknown)
    assert server.paths() == ["PlaceOrder", "PlaceOrder"]


def test_a_connection_idle_for_long_is_not_trusted(
    client: NorenClient, server: ScriptedServer, clock: VirtualClock
) -> None:
    server.will(reply(OK), reply(OK))

    client.place_order(order())
    clock.advance(21)
    client.place_order(order())

    assert server.received[0].connection != server.received[1].connection


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    make_client: MakeClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = logged_in(make_client(), server)
    server.will(reply(OK))

    assert isinstance(client.place_order(order()), Accepted)


def test_cookies_are_not_sent_back(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK, headers="Set-Cookie: route=1; Path=/\r\n"), reply(OK))

    client.place_order(order())
    client.place_order(order())

    assert "cookie" not in server.received[1].headers


def test_two_clients_keep_their_own_hosts_and_tokens(make_client: MakeClient, server: ScriptedServer) -> None:
    other = ScriptedServer()
    try:
        first = logged_in(make_client(), server)
        other.will(reply({"stat": "Ok", "susertoken": "another-token"}), reply({**OK, "norenordno": "other"}))
        second = make_client(host=other.url)
        second.login()
        server.will(reply(OK))

        assert first.place_order(order()) == Accepted("26112300000017")
        assert second.place_order(order()) == Accepted("other")
        assert other.received[1].parts[1] == "jKey=another-token"
    finally:
        other.close()


# Other carriers.


class Raising(BaseAdapter):
    """An adapter that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, *_: Any, **__: Any) -> requests.Response:
        raise self.error

    def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (requests.ConnectTimeout("no"), NotSent),
        (NotWritten("no"), NotSent),
        (requests.ConnectionError("no"), Unknown),
        (requests.ReadTimeout("no"), Unknown),
        (requests.exceptions.SSLError("no"), Unknown),
        (OSError("no"), Unknown),
    ],
)
def test_an_adapter_handed_in_tells_what_was_written_by_what_it_raises(
    make_client: MakeClient, error: Exception, outcome: type
) -> None:
    client = make_client("zebu", adapter=Raising(error))
    client._begun(LoggedIn("FA00001", TOKEN))

    assert type(client.place_order(order())) is outcome


# Bearer.


@pytest.fixture
def bearer(make_client: MakeClient, server: ScriptedServer) -> NorenClient:
    client = make_client("shoonya", credentials=Credentials(user_id="FA00001", access_token=TOKEN))
    server.will(reply({"stat": "Ok", "cash": "1000.00"}))
    client.login()
    server.received.clear()
    return client


def test_a_bearer_token_travels_in_the_head_only(bearer: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(OK))

    bearer.place_order(order())

    (request,) = server.received
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert len(request.parts) == 1
    assert TOKEN not in request.body.decode()


def test_a_netrc_entry_does_not_replace_the_token(
    bearer: NorenClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.will(reply(OK))

    bearer.place_order(order())

    assert server.received[0].headers["authorization"] == f"Bearer {TOKEN}"


# Modify and cancel.


def test_a_modify_sends_the_total_quantity_and_reads_the_number_from_result(
    client: NorenClient, server: ScriptedServer
) -> None:
    server.will(reply({"stat": "Ok", "result": "26112300000017"}))

    outcome = client.modify_order(
        "26112300000017",
        exchange="NSE",
        symbol="INFY-EQ",
        quantity=130,
        order_type=OrderType.LIMIT,
        price=Decimal("101.5"),
    )

    assert outcome == Accepted("26112300000017")
    assert server.received[0].values == {
        "ordersource": "API",
        "uid": "FA00001",
        "actid": "FA00001",
        "norenordno": "26112300000017",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "qty": "130",
        "prctyp": "LMT",
        "prc": "101.50",
    }


def test_a_modify_at_flattrade_names_the_validity(make_client: MakeClient, server: ScriptedServer) -> None:
    client = make_client("flattrade", credentials=Credentials(user_id="FA00001", access_token=TOKEN))
    server.will(reply({"stat": "Ok"}), reply({"stat": "Ok", "result": "1"}), reply(OK))
    client.login()

    client.modify_order("1", exchange="NSE", symbol="INFY-EQ", quantity=1, order_type=OrderType.LIMIT, price=Decimal(1))
    client.cancel_order("1")

    assert server.received[1].values["ret"] == "DAY"
    assert "ret" not in server.received[2].values


def test_a_modify_to_a_stop_without_trigger_is_not_sent(client: NorenClient, server: ScriptedServer) -> None:
    outcome = client.modify_order(
        "1", exchange="NSE", symbol="INFY-EQ", quantity=1, order_type=OrderType.SL, price=Decimal(1)
    )

    assert isinstance(outcome, NotSent)
    assert server.received == []


def test_a_cancel_is_taken(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply({"stat": "Ok", "result": "26112300000017"}))

    assert client.cancel_order("26112300000017") == Accepted("26112300000017")
    assert server.received[0].values == {"ordersource": "API", "uid": "FA00001", "norenordno": "26112300000017"}


def test_c10_a_cancel_without_answer_is_unknown(client: NorenClient, server: ScriptedServer) -> None:
    server.will(close)

    assert isinstance(client.cancel_order("26112300000017"), Unknown)


def test_c11_a_cancel_that_comes_too_late_is_refused_in_the_brokers_words(
    client: NorenClient, server: ScriptedServer
) -> None:
    server.will(not_ok("Rejected : ORA:Order not found to Cancel"))

    assert client.cancel_order("1") == Refused("Rejected : ORA:Order not found to Cancel")


# Hostile texts.

HOSTILE = [
    "M&M-EQ",
    'A"},"qty":"9999"&jKey=stolen',
    "a&jKey=other&jData={}",
    "%26jKey=x",
    "line\r\nbreak: header\r\n\r\n",
    "\\u0026",
    "+ +",
    "emoji \U0001f680 and \u0000 and \x1b[31m",
    "\ufb00&\uff06",
]


@pytest.mark.parametrize("profile_name", ["paper", "noren-gen1"])
@pytest.mark.parametrize("text", HOSTILE)
def test_f4_no_text_field_can_change_the_request(
    make_client: MakeClient, server: ScriptedServer, profile_name: str, text: str
) -> None:
    client = logged_in(make_client(profile_name), server)
    server.will(reply(OK))

    client.place_order(order(symbol=text, command_id=text))

    check_unchanged(server, profile_name, text)


@pytest.mark.parametrize("profile_name", ["paper", "noren-gen1"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_f4_no_text_at_all_can_change_the_request(
    make_client: MakeClient, server: ScriptedServer, profile_name: str, text: str
) -> None:
    client = logged_in(make_client(profile_name), server)
    server.will(reply(OK))

    client.place_order(order(symbol=text, command_id=text))

    check_unchanged(server, profile_name, text)
    client.close()


def check_unchanged(server: ScriptedServer, profile_name: str, text: str) -> None:
    request = server.received[-1]
    assert request.parts[1:] == [f"jKey={TOKEN}"]
    assert request.values["qty"] == "50"
    if profile_name == "paper":
        assert (request.values["tsym"], request.values["remarks"]) == (text, text)
    else:
        assert request.decoded("tsym") == text
        assert request.values["remarks"] == text.replace("&", "%26")


# Secrets.


def test_law11_a_server_that_echoes_the_request_does_not_put_secrets_into_the_reason(
    client: NorenClient, server: ScriptedServer
) -> None:
    echo = f"<html>jData={{}}&jKey={TOKEN} pan ABCPK1234L {PASSWORD}</html>"
    server.will(reply(echo, status=500), not_ok(f"Rejected : key {TOKEN} of ABCPK1234L"))

    reasons = [client.place_order(order()), client.place_order(order())]

    assert [type(outcome) for outcome in reasons] == [Unknown, Refused]
    for secret in (TOKEN, PASSWORD, "ABCPK1234L"):
        assert secret not in repr(reasons)


def test_law11_nothing_is_printed_and_no_body_is_logged(
    make_client: MakeClient,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        client = logged_in(make_client(), server)
        server.will(reply({"stat": "Ok", "result": "1"}), reply(OK), reply({"stat": "Ok"}))
        client.cancel_order("1")
        client.place_order(order())
        client.logout()

    assert capsys.readouterr() == ("", "")
    for hidden in (TOKEN, PASSWORD, "jData", "susertoken"):
        assert hidden not in caplog.text
