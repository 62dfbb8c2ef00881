"""Rows of the books and of market data (protocol sections 7.2 to 7.10)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from core.paper.rows import order_row
from tests.paper.world import World


@pytest.fixture
def world() -> World:
    return World()


def test_an_order_row_says_what_was_ordered(world: World) -> None:
    row = world.row(world.placed(prc="1400.00", remarks="tag-1", ret="DAY"))
    wanted = {
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "token": "1594",
        "qty": "10",
        "trantype": "B",
        "prctyp": "LMT",
        "ret": "DAY",
        "prc": "1400.00",
        "prd": "I",
        "s_prdt_ali": "MIS",
        "remarks": "tag-1",
        "pp": "2",
        "ls": "1",
        "ti": "0.10",
        "mult": "1",
        "prcftr": "1.000000",
        "ordersource": "API",
        "norentm": "10:00:00 03-11-2026",
        "exch_tm": "03-11-2026 10:00:00",
        "ordenttm": "1793680200",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert "rejreason" not in row
    assert "cancelqty" not in row


def test_the_order_book_is_newest_first_and_only_one_s_own(world: World) -> None:
    first, second = world.placed(), world.placed()
    world.placed("U2")
    assert [row["norenordno"] for row in world.call("OrderBook")] == [second, first]


def test_the_order_book_can_be_asked_for_one_product(world: World) -> None:
    world.placed()
    delivery = world.placed(prd="C")
    assert [row["norenordno"] for row in world.call("OrderBook", prd="C")] == [delivery]


def test_a_status_is_an_array_of_one(world: World) -> None:
    number = world.placed()
    world.placed()
    rows = world.call("SingleOrdStatus", actid="U1", norenordno=number, exch="NSE")
    assert [(row["norenordno"], row["status"]) for row in rows] == [(number, "COMPLETE")]


def test_an_unknown_order_has_no_history(world: World) -> None:
    for endpoint in ("SingleOrdHist", "SingleOrdStatus"):
        assert world.call(endpoint, norenordno="1")["emsg"] == 'Error Occurred : 5 "no data"'


def test_a_trade_row_has_the_trade_and_the_order(world: World) -> None:
    number = world.placed(remarks="tag")
    (row,) = world.call("TradeBook", actid="U1")
    assert row["norenordno"] == number
    assert (row["flqty"], row["flprc"], row["fillshares"], row["qty"]) == ("10", "1518.70", "10", "10")
    assert row["fltm"] == "03-11-2026 10:00:00"
    assert row["remarks"] == "tag"
    assert row["flid"].isdigit()


def test_books_trail_the_truth_by_the_lag() -> None:
    world = World(book_lag_s=2.0)
    number = world.placed()
    assert world.call("OrderBook")["stat"] == "Not_Ok"
    assert world.call("TradeBook", actid="U1")["stat"] == "Not_Ok"
    assert world.position()["netqty"] == "10"
    world.wait(1.9)
    assert world.call("OrderBook")["stat"] == "Not_Ok"
    world.wait(0.051)
    assert world.row(number)["status"] == "PENDING"
    world.wait(0.1)
    assert world.row(number)["status"] == "COMPLETE"
    assert len(world.call("TradeBook", actid="U1")) == 1


def test_holdings_name_the_stock_on_both_exchanges(world: World) -> None:
    world.control("set_holding", account="U1", exch="NSE", tsym="INFY-EQ", quantity=7, cost="1400")
    (row,) = world.call("Holdings", actid="U1", prd="C")
    assert {(x["exch"], x["tsym"]) for x in row["exch_tsym"]} == {("NSE", "INFY-EQ"), ("BSE", "INFY")}
    assert (row["holdqty"], row["upldprc"]) == ("7", "1400.00")


# -- market data ----------------------------------------------------------------------------------------------------


def test_a_quote_has_prices_and_five_levels(world: World) -> None:
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    assert (quote["tsym"], quote["lp"], quote["c"], quote["pp"]) == ("INFY-EQ", "1518.60", "1518.60", "2")
    assert (quote["lc"], quote["uc"]) == ("1366.80", "1670.40")
    bids = [float(quote[f"bp{n}"]) for n in range(1, 6)]
    asks = [float(quote[f"sp{n}"]) for n in range(1, 6)]
    assert bids == sorted(bids, reverse=True)
    assert bids[0] < float(quote["lp"]) < asks[0]
    assert asks == sorted(asks)


def test_a_quote_shows_users_orders_among_the_levels(world: World) -> None:
    before = world.call("GetQuotes", exch="NSE", token="1594")
    world.placed("U2", prc=before["bp1"], qty="77")
    after = world.call("GetQuotes", exch="NSE", token="1594")
    assert int(after["bq1"]) == int(before["bq1"]) + 77


def test_what_was_taken_from_the_book_is_gone_until_the_next_step(world: World) -> None:
    before = world.call("GetQuotes", exch="NSE", token="1594")
    world.placed(qty="10", prc=before["sp1"])
    after = world.call("GetQuotes", exch="NSE", token="1594")
    assert int(after["sq1"]) == int(before["sq1"]) - 10


def test_an_index_is_quoted_without_a_book(world: World) -> None:
    quote = world.call("GetQuotes", exch="NSE", token="26000")
    assert float(quote["lp"]) > 20_000
    assert "bp1" not in quote


@pytest.mark.parametrize("endpoint", ["GetQuotes", "GetSecurityInfo", "TPSeries"])
def test_an_unknown_token_has_no_data(world: World, endpoint: str) -> None:
    assert world.call(endpoint, exch="NSE", token="0")["emsg"] == 'Error Occurred : 5 "no data"'


def test_one_token_means_different_contracts_in_different_segments(world: World) -> None:
    assert world.call("GetQuotes", exch="NSE", token="1594")["stat"] == "Ok"
    assert world.call("GetQuotes", exch="BSE", token="1594")["stat"] == "Not_Ok"


@pytest.mark.parametrize("text", ["no such thing", "  ", ""])
def test_a_search_that_finds_nothing_says_no_data(world: World, text: str) -> None:
    assert world.call("SearchScrip", exch="NSE", stext=text)["emsg"] == "No Data :  "


def test_security_info_tells_lot_tick_and_freeze(world: World) -> None:
    token = world.call("SearchScrip", exch="NFO", stext="NIFTY 09NOV26 26000 PE")["values"][0]["token"]
    info = world.call("GetSecurityInfo", exch="NFO", token=token)
    assert (info["ls"], info["ti"], info["frzqty"]) == ("65", "0.05", "1801")
    assert (info["exd"], info["optt"], info["strprc"]) == ("09-NOV-2026", "PE", "26000.00")


def test_minute_candles_are_newest_first_and_within_what_was_asked() -> None:
    world = World(price_source="walk")
    begin = world.now - timedelta(minutes=30)
    rows = world.call("TPSeries", exch="NSE", token="1594", st=str(begin.timestamp()), intrv="5")
    assert [row["time"][11:16] for row in rows] == ["09:55", "09:50", "09:45", "09:40", "09:35", "09:30"]
    for row in rows:
        assert float(row["intl"]) <= min(float(row["into"]), float(row["intc"]))
        assert float(row["inth"]) >= max(float(row["into"]), float(row["intc"]))


def test_no_more_than_a_thousand_candles_come_at_once(world: World) -> None:
    assert len(world.call("TPSeries", exch="NSE", token="1594", st="1", intrv="1")) == 1000


def test_daily_candles_are_json_texts_of_week_days() -> None:
    world = World(price_source="walk")
    begin, end = world.now - timedelta(days=7), world.now
    rows = world.call("EODChartData", sym="NSE:INFY-EQ", **{"from": str(begin.timestamp()), "to": str(end.timestamp())})
    days = [json.loads(row)["time"] for row in rows]
    assert days == ["02-NOV-2026", "30-OCT-2026", "29-OCT-2026", "28-OCT-2026", "27-OCT-2026"]


def test_daily_candles_of_an_unknown_symbol_have_no_data(world: World) -> None:
    assert world.call("EODChartData", sym="NSE:NOSUCH")["stat"] == "Not_Ok"


def test_watch_lists_probe_a_session(world: World) -> None:
    assert world.call("MWList")["values"] == ["1"]


def test_t27_a_row_is_written_anew_only_when_its_order_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.paper.endpoints import books

    written: list[str] = []

    def counted(order: Any, *rest: Any, **more: Any) -> Any:
        written.append(order.number)
        return order_row(order, *rest, **more)

    monkeypatch.setattr(books, "order_row", counted)
    world = World()
    numbers = [world.resting() for _ in range(20)]
    first = world.call("OrderBook")
    assert len(written) == 20
    assert world.call("OrderBook") == first
    assert len(written) == 20, "nothing changed, nothing is written"
    world.modify(numbers[3], prc="1401.00")
    world.wait(0.05)
    world.cancel(numbers[7])
    world.wait(0.05)
    changed = {row["norenordno"]: row for row in world.call("OrderBook")}
    assert sorted(written[20:]) == sorted([numbers[3], numbers[7]])
    assert (changed[numbers[3]]["prc"], changed[numbers[7]]["status"]) == ("1401.00", "CANCELED")
    world.fault("status_spelling", **{"from": "CANCELED", "to": "CANCELLED", "count": 0})
    assert {row["status"] for row in world.call("OrderBook")} == {"OPEN", "CANCELLED"}, "faults have their way"
    world.control("clear_faults")
    assert {row["status"] for row in world.call("OrderBook")} == {"OPEN", "CANCELED"}


def test_t27_a_book_that_lags_shows_the_row_as_it_was() -> None:
    world = World(book_lag_s=1.0)
    number = world.resting()
    world.wait(2)
    assert world.row(number)["status"] == "OPEN"
    world.cancel(number)
    world.wait(0.5)
    assert world.row(number)["status"] == "OPEN"
    world.wait(2)
    assert world.row(number)["status"] == "CANCELED"
