"""Reads over real HTTP."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core.model.outcomes import ReadError, ReadFailure
from core.noren import Limits, NorenClient
from tests.noren.scripted import ScriptedServer, close, reply
from tests.noren.test_noren_parse import ORDER, POSITION, QUOTE, TRADE

NO_DATA = {"stat": "Not_Ok", "emsg": 'Error Occurred : 5 "no data"'}
FOUND = {
    "stat": "Ok",
    "values": [
        {"exch": "NSE", "tsym": "INFY-BE", "token": "1"},
        {"exch": "BSE", "tsym": "INFY-EQ", "token": "2"},
        {"exch": "NSE", "tsym": "INFY-EQ", "token": "1594"},
    ],
}


def test_the_books_are_read(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply([ORDER]), reply([TRADE]), reply([POSITION]))

    assert [report.broker_order_id for report in client.order_book()] == ["26110300001234"]
    assert [trade.broker_trade_id for trade in client.trade_book()] == ["380225664"]
    assert [position.net_quantity for position in client.positions()] == [-65]
    assert server.paths() == ["OrderBook", "TradeBook", "PositionBook"]
    assert client.take_unreadable() == ()


def test_t27_of_a_row_that_is_as_it_was_the_same_report_comes_again(
    client: NorenClient, server: ScriptedServer
) -> None:
    rows = [{**ORDER, "norenordno": str(number)} for number in range(3)]
    server.will(reply(rows), reply([{**rows[0], "rejreason": "new"}, *rows[1:]]), reply(rows[::-1]), reply(rows[:1]))

    first, second, third, alone = (client.order_book() for _ in range(4))

    assert [new is old for new, old in zip(second, first, strict=True)] == [False, True, True]
    assert second[0].reason == "new"
    assert third == first[::-1]
    assert alone == first[:1]


@pytest.mark.parametrize("odd", ['"x": NaN', '"x": "\\ud800"', '"x": [1, {"y": "]},{"}]'])
def test_a_book_that_is_oddly_written_is_read_all_the_same(
    client: NorenClient, server: ScriptedServer, odd: str
) -> None:
    rows = [{**ORDER, "norenordno": str(number)} for number in range(3)]
    body = f"[{json.dumps(rows[0])[:-1]}, {odd}}},{json.dumps(rows[1])}, 7,\n{json.dumps(rows[2])} ]"
    server.will(reply(rows), reply(body), reply(body))

    first = client.order_book()

    assert client.order_book() == client.order_book() == first
    assert client.take_unreadable() == ("row 2: it is not an object",)


@pytest.mark.parametrize(
    "spoilt", ["[{},{}", '[{"norenordno": "1"}, {"norenordno": tru}]', "[1] [2]", "[1,2]]", "[" * 9_000]
)
def test_b5_a_book_that_is_no_json_is_unreadable(client: NorenClient, server: ScriptedServer, spoilt: str) -> None:
    server.will(reply(spoilt))

    with pytest.raises(ReadError) as caught:
        client.order_book()

    assert caught.value.failure is ReadFailure.UNREADABLE


def test_b6_an_empty_book_is_empty(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(NO_DATA), reply(NO_DATA), reply(NO_DATA))

    assert (client.order_book(), client.trade_book(), client.positions()) == ((), (), ())


@pytest.mark.parametrize("read", ["order_book", "trade_book", "positions", "limits"])
def test_b5_a_read_that_fails_raises(client: NorenClient, server: ScriptedServer, read: str) -> None:
    server.will(close)

    with pytest.raises(ReadError) as caught:
        getattr(client, read)()

    assert caught.value.failure is ReadFailure.UNREACHABLE


def test_c3_positions_that_do_not_say_what_is_held_are_unreadable(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply([POSITION, {"exch": "NSE", "tsym": "INFY-EQ"}]))

    with pytest.raises(ReadError) as caught:
        client.positions()

    assert caught.value.failure is ReadFailure.UNREADABLE


def test_what_could_not_be_read_is_kept_until_asked_for(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply([{"status": "OPEN"}, {**ORDER, "status": "ODD ABCPK1234L"}]), reply([{"x": "1"}] * 500))

    client.order_book()
    told = client.take_unreadable()

    assert len(told) == 2
    assert "ABCPK1234L" not in repr(told)
    assert client.take_unreadable() == ()
    client.order_book()
    assert len(client.take_unreadable()) == 100


def test_a_quote_needs_a_search_once(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply(FOUND), reply(QUOTE), reply(QUOTE))

    assert client.quote_calls("NSE", "INFY-EQ") == 2
    assert client.quote("NSE", "INFY-EQ").last_price == Decimal("1500.05")
    assert client.quote_calls("NSE", "INFY-EQ") == 1
    client.quote("NSE", "INFY-EQ")

    assert server.paths() == ["SearchScrip", "GetQuotes", "GetQuotes"]
    assert server.received[1].values["token"] == "1594"


@pytest.mark.parametrize("found", [NO_DATA, {"stat": "Ok"}, {"stat": "Ok", "values": [5, FOUND["values"][0]]}])
def test_a_symbol_the_broker_does_not_know_is_unreadable(
    client: NorenClient, server: ScriptedServer, found: object
) -> None:
    server.will(reply(found))

    with pytest.raises(ReadError) as caught:
        client.quote("NSE", "INFY-EQ")

    assert caught.value.failure is ReadFailure.UNREADABLE
    assert server.paths() == ["SearchScrip"]


def test_a_quote_of_another_symbol_is_refused_and_the_token_forgotten(
    client: NorenClient, server: ScriptedServer
) -> None:
    server.will(reply(FOUND), reply({**QUOTE, "tsym": "NIFTY10NOV26C26000"}))

    with pytest.raises(ReadError):
        client.quote("NSE", "INFY-EQ")

    assert client.quote_calls("NSE", "INFY-EQ") == 2


def test_limits(client: NorenClient, server: ScriptedServer) -> None:
    server.will(
        reply({"stat": "Ok", "cash": "1,00,000.00", "marginused": "250.50"}), reply({"stat": "Ok", "cash": "?"})
    )

    assert client.limits() == Limits(
        cash=Decimal("100000.00"), payin=None, margin_used=Decimal("250.50"), collateral=None
    )
    with pytest.raises(ReadError):
        client.limits()
