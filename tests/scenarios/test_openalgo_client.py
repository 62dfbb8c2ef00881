"""OpenAlgo's own Python client, unchanged, against the service on paper: each method with its values.

One service for all of them: each test has strategies of its own, and leaves nothing open in what others trade.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openalgo import api

from core.model.calendar import INDIA
from core.web.openalgo.fields import ENDPOINTS
from tests.support import wait_until
from tests.support_openalgo import FILES, INFY, KEY, OPENALGO, TCS, begun
from tests.support_service import Running, running

# The client as it is sold: a further version is another contract, and is looked at first.
CLIENT = "1.0.47"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("sold"), **FILES, **OPENALGO) as found:
        patch.setattr("core.web.openalgo.placing._FILL_S", 60)
        patch.setattr("core.web.openalgo.orders._CLOSE_S", 60)
        yield begun(found)


@pytest.fixture(scope="module")
def client(service: Running) -> Any:
    assert service.service.web is not None
    return api(api_key=KEY, host=service.service.web.url)


@pytest.fixture(scope="module")
def expiry(client: Any) -> str:
    """The nearest expiry of NIFTY's options, as orders name it."""
    told = client.expiry(symbol="NIFTY", exchange="NFO", instrumenttype="options")
    days = [date.fromisoformat(pandas.to_datetime(day, format="%d-%b-%y").date().isoformat()) for day in told["data"]]
    assert days == sorted(days)
    assert told["status"] == "success"
    return str(told["data"][0]).replace("-", "")


def executed(service: Running, answer: dict[str, Any]) -> dict[str, Any]:
    """An order that was taken, once it has filled and the guard knows it."""
    assert answer["status"] == "success", answer
    row = service.wait_for(answer["command_id"], "EXECUTED")
    wait_until(lambda: not any(reserved for *_, reserved in service.guard_lines()))
    assert answer["orderid"] == row["broker_order_id"]
    return row


def held(client: Any, strategy: str, **place: Any) -> int:
    return int(client.openposition(strategy=strategy, **place, product="MIS")["quantity"])


def test_it_is_the_client_that_was_looked_at() -> None:
    import openalgo

    assert openalgo.__version__ == CLIENT


# Orders


def test_placeorder_orderstatus_openposition_closeposition(service: Running, client: Any) -> None:
    placed = client.placeorder(strategy="One", **INFY, action="BUY", price_type="MARKET", product="MIS", quantity=7)
    row = executed(service, placed)
    assert (row["strategy"], row["execution_type"], row["quantity"]) == ("One", "ENTRY", 7)
    told = client.orderstatus(order_id=placed["orderid"], strategy="One")["data"]
    expected = {"order_status": "complete", "symbol": "INFY", "exchange": "NSE", "action": "BUY", "quantity": 7}
    assert {name: told[name] for name in expected} == expected
    assert told["average_price"] == float(row["average_price"])
    assert client.openposition(strategy="One", **INFY, product="MIS")["quantity"] == "7"
    closed = client.closeposition(strategy="One")
    assert (closed["status"], closed["message"]) == ("success", "All Open Positions Squared Off")
    assert held(client, "One", **INFY) == 0
    assert client.closeposition(strategy="One")["message"] == "No Open Positions Found"


def test_placesmartorder_through_zero_is_one_answer_and_the_target(service: Running, client: Any) -> None:
    smart = {"strategy": "Smart", **INFY, "price_type": "MARKET", "product": "MIS", "quantity": 1}
    for target, action, types in ((6, "BUY", ["ENTRY"]), (-4, "SELL", ["EXIT", "ENTRY"]), (0, "BUY", ["EXIT"])):
        before = len(service.rows())
        executed(service, client.placesmartorder(**smart, action=action, position_size=target))
        assert held(client, "Smart", **INFY) == target
        assert [row["execution_type"] for row in reversed(service.rows()[: len(service.rows()) - before])] == types
    same = client.placesmartorder(**{**smart, "quantity": 0}, action="BUY", position_size=0)
    assert (same["status"], same["message"]) == ("success", "Positions Already Matched. No Action needed.")


def test_an_idempotency_key_goes_through_the_client(service: Running, client: Any) -> None:
    order = {"strategy": "Key", **INFY, "action": "BUY", "quantity": 2, "idempotency_key": "2026-11-27-INFY"}
    first = client.placeorder(**order)
    executed(service, first)
    sent = len(service.sent())
    again = client.placeorder(**order)
    assert (again["status"], again["orderid"]) == ("success", first["orderid"])
    assert len(service.sent()) == sent
    other = client.placeorder(**{**order, "quantity": 3})
    assert (other["status"], other["code"]) == ("error", 409)
    assert client.closeposition(strategy="Key")["status"] == "success"


def test_basketorder(service: Running, client: Any) -> None:
    legs = [
        {**TCS, "action": "SELL", "quantity": 2, "pricetype": "MARKET", "product": "MIS"},
        {**INFY, "action": "BUY", "quantity": 3, "pricetype": "MARKET", "product": "MIS"},
    ]
    told = client.basketorder(strategy="Basket", orders=legs)
    assert told["status"] == "success", told
    assert [one["symbol"] for one in told["results"]] == ["TCS", "INFY"]
    for one in told["results"]:
        executed(service, one)
    assert (held(client, "Basket", **TCS), held(client, "Basket", **INFY)) == (-2, 3)
    assert client.closeposition(strategy="Basket")["status"] == "success"


def test_splitorder(service: Running, client: Any) -> None:
    told = client.splitorder(strategy="Split", **INFY, action="BUY", quantity=25, splitsize=10)
    assert (told["status"], told["total_quantity"], told["split_size"]) == ("success", 25, 10)
    assert [(one["order_num"], one["quantity"]) for one in told["results"]] == [(1, 10), (2, 10), (3, 5)]
    executed(service, told["results"][2])
    assert held(client, "Split", **INFY) == 25
    assert client.closeposition(strategy="Split")["status"] == "success"


def test_cancelorder_and_cancelallorder(service: Running, client: Any) -> None:
    resting = {"strategy": "Rest", "action": "BUY", "price_type": "LIMIT", "product": "MIS", "quantity": 1}
    first = client.placeorder(**resting, **INFY, price=1450)
    second = client.placeorder(**resting, **TCS, price=2900)
    for one in (first, second):
        service.wait_at_exchange(one["orderid"])
    assert client.cancelorder(order_id=first["orderid"], strategy="Rest")["orderid"] == first["orderid"]
    service.wait_for(first["command_id"], "FAILED")
    assert client.orderstatus(order_id=first["orderid"], strategy="Rest")["data"]["order_status"] == "cancelled"
    told = client.cancelallorder(strategy="Rest")
    assert told["message"] == "Canceled 1 orders. Failed to cancel 0 orders."
    assert told["canceled_orders"] == [{"orderid": second["orderid"]}]
    service.wait_for(second["command_id"], "FAILED")


def test_modifyorder(service: Running, client: Any) -> None:
    placed = client.placeorder(strategy="Modify", **INFY, action="BUY", price_type="LIMIT", price=1450, quantity=5)
    service.wait_at_exchange(placed["orderid"])
    wanted = {"order_id": placed["orderid"], "strategy": "Modify", **INFY, "action": "BUY", "product": "MIS"}
    other = client.modifyorder(**{**wanted, **TCS, "action": "SELL"}, quantity=5, price=1450)
    assert other["code"] == 400
    assert "'symbol'" in other["message"]
    assert "'action'" in other["message"]
    told = client.modifyorder(**wanted, quantity=7, price=1455)
    assert (told["status"], told["orderid"]) == ("success", placed["orderid"])
    wait_until(lambda: service.row(placed["command_id"])["modifying"] is None)
    status = client.orderstatus(order_id=placed["orderid"], strategy="Modify")["data"]
    assert (status["quantity"], status["price"], status["order_status"]) == (7, 1455, "open")
    assert client.modifyorder(**wanted, quantity=7, price=1455)["status"] == "success", "it has these terms"
    service.control("add_fault", kind="accept_502", path="ModifyOrder")
    lost = client.modifyorder(**wanted, quantity=6, price=1455)
    assert lost["status"] == "unknown"
    assert "Do not send it again" in lost["message"]
    wait_until(lambda: service.row(placed["command_id"])["modifying"] is None)
    assert service.row(placed["command_id"])["quantity"] == 6
    market = client.modifyorder(**wanted, price_type="MARKET", quantity=6, price=0)
    assert market["status"] == "success"
    executed(service, placed)
    over = client.modifyorder(**wanted, quantity=6, price=1455)
    assert over["code"] == 409
    assert client.modifyorder(**{**wanted, "order_id": "1"}, quantity=6, price=1455)["code"] == 404
    assert client.closeposition(strategy="Modify")["status"] == "success"


def test_the_books(service: Running, client: Any) -> None:
    bought = executed(service, client.placeorder(strategy="Books", **TCS, action="BUY", quantity=4))
    price = float(bought["average_price"])
    book = client.orderbook()["data"]
    [mine] = [one for one in book["orders"] if one["strategy"] == "Books"]
    assert (mine["orderid"], mine["order_status"], mine["quantity"]) == (bought["broker_order_id"], "complete", 4)
    assert book["statistics"]["total_buy_orders"] == sum(one["action"] == "BUY" for one in book["orders"])
    trades = [one for one in client.tradebook()["data"] if one["orderid"] == bought["broker_order_id"]]
    assert [(one["symbol"], one["quantity"], one["trade_value"]) for one in trades] == [("TCS", 4, 4 * price)]
    wait_until(lambda: {one["symbol"]: one["quantity"] for one in client.positionbook()["data"]}.get("TCS") == 4)
    assert client.holdings()["data"]["holdings"] == []
    funds = client.funds()["data"]
    assert all(float(funds[name]) >= 0 for name in ("availablecash", "collateral", "utiliseddebits"))
    assert float(funds["utiliseddebits"]) > 0
    assert client.closeposition(strategy="Books")["status"] == "success"


# Options


def test_optionsymbol_optionchain_and_syntheticfuture_name_the_same_strike(client: Any, expiry: str) -> None:
    nifty = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": expiry}
    at_money = client.optionsymbol(**nifty, offset="ATM", option_type="CE")
    chain = client.optionchain(**nifty, strike_count=2)
    assert (chain["underlying"], chain["expiry_date"]) == ("NIFTY", expiry)
    assert len(chain["chain"]) == 5
    assert [row["ce"]["label"] for row in chain["chain"]] == ["ITM2", "ITM1", "ATM", "OTM1", "OTM2"]
    assert [row["pe"]["label"] for row in chain["chain"]] == ["OTM2", "OTM1", "ATM", "ITM1", "ITM2"]
    middle = chain["chain"][2]
    assert middle["ce"]["symbol"] == at_money["symbol"] == f"NIFTY{expiry}{chain['atm_strike']:g}CE"
    assert abs(chain["underlying_ltp"] - middle["strike"]) <= abs(chain["underlying_ltp"] - chain["chain"][1]["strike"])
    for row in chain["chain"]:
        for side in ("ce", "pe"):
            assert row[side]["ltp"] > 0, "the feed has brought it, without a call to the broker for each"
            assert row[side]["lotsize"] == at_money["lotsize"]
    future = client.syntheticfuture(**nifty)
    assert future["atm_strike"] == chain["atm_strike"]
    assert abs(future["synthetic_future_price"] - chain["underlying_ltp"]) < chain["underlying_ltp"] * 0.05


def test_optionsorder_and_optionsmultiorder(service: Running, client: Any, expiry: str) -> None:
    nifty = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": expiry}
    lot = client.optionsymbol(**nifty, offset="ATM", option_type="CE")["lotsize"]
    one = client.optionsorder(
        strategy="Option", **nifty, offset="OTM1", option_type="PE", action="BUY", quantity=2 * lot, splitsize=lot
    )
    assert (one["status"], one["offset"], one["exchange"], len(one["results"])) == ("success", "OTM1", "NFO", 2)
    executed(service, one["results"][1])
    assert held(client, "Option", symbol=one["symbol"], exchange="NFO") == 2 * lot
    legs = [
        {"offset": "OTM2", "option_type": "CE", "action": "SELL", "quantity": lot},
        {"offset": "OTM3", "option_type": "CE", "action": "BUY", "quantity": lot},
    ]
    spread = client.optionsmultiorder(strategy="Spread", **nifty, legs=legs)
    assert [(leg["leg"], leg["action"], leg["offset"]) for leg in spread["results"]] == [
        (1, "SELL", "OTM2"),
        (2, "BUY", "OTM3"),
    ]
    for leg in spread["results"]:
        executed(service, leg)
    for strategy in ("Option", "Spread"):
        assert client.closeposition(strategy=strategy)["status"] == "success"


# Data


def test_quotes_multiquotes_depth(client: Any) -> None:
    quote = client.quotes(**INFY)["data"]
    assert quote["ltp"] == 1500
    found = client.multiquotes(symbols=[INFY, TCS, {"symbol": "NOSUCH", "exchange": "NSE"}])["results"]
    assert [one["data"]["ltp"] for one in found[:2]] == [1500, 3000]
    assert "NOSUCH" in found[2]["error"]
    depth = client.depth(**INFY)["data"]
    assert depth["ltp"] == 1500
    assert len(depth["bids"]) == len(depth["asks"]) == 5
    prices = [one["price"] for one in depth["bids"]]
    assert prices == sorted(prices, reverse=True)
    assert depth["bids"][0]["price"] < 1500.01 < depth["asks"][-1]["price"]
    assert depth["totalbuyqty"] >= sum(one["quantity"] for one in depth["bids"])
    assert depth["ltq"] > 0
    index = client.depth(symbol="NIFTY", exchange="NSE_INDEX")["data"]
    assert (index["bids"], index["asks"]) == ([], [])


def test_history_intervals_and_ticker(service: Running, client: Any) -> None:
    assert "D" in client.intervals()["data"]["days"]
    assert client.interval() == client.intervals()
    today = service.service.clock.now().astimezone(INDIA).date()
    span = {"start_date": str(today - timedelta(days=7)), "end_date": str(today)}
    days = client.history(**INFY, interval="D", **span)
    assert isinstance(days, pandas.DataFrame), days
    assert (days["low"] <= days["close"]).all()
    assert (days["close"] <= days["high"]).all()
    assert client.history(**INFY, interval="7m", **span)["code"] == 400
    ticker = get(client, "ticker/NSE:INFY", interval="D", **{"from": span["start_date"], "to": span["end_date"]})
    assert [row["close"] for row in ticker.json()["data"]] == list(days["close"])
    lines = get(
        client, "ticker/NSE:INFY", interval="D", format="txt", **{"from": span["start_date"], "to": span["end_date"]}
    ).text.split("\n")
    assert len(lines) == len(days)
    name, day, opened, high, low, close, volume = lines[0].split(",")
    assert (name, day, float(close)) == ("NSE:INFY", str(days.index[0].date()), days["close"].iloc[0])
    assert float(low) <= float(opened) <= float(high)
    assert int(volume) == days["volume"].iloc[0]


def get(client: Any, path: str, **query: str) -> Any:
    """What AmiBroker asks, which the Python client has no method for."""
    return requests.get(f"{client.base_url}{path}", params={"apikey": KEY, **query}, timeout=60)


def test_symbol_search_instruments(client: Any) -> None:
    share = client.symbol(**INFY)["data"]
    assert (share["symbol"], share["brsymbol"], share["lotsize"]) == ("INFY", "INFY-EQ", 1)
    assert client.symbol(symbol="NOSUCH", exchange="NSE")["code"] == 404
    assert "INFY" in [one["symbol"] for one in client.search(query="INFY", exchange="NSE")["data"]]
    frame = client.instruments(exchange="NFO")
    assert set(frame["exchange"]) == {"NFO"}
    everything = client.instruments()
    assert {"NSE", "NFO", "NSE_INDEX"} <= set(everything["exchange"])


def test_holidays_and_timings(client: Any) -> None:
    days = {one["date"]: one for one in client.holidays(year=2026)["data"]}
    assert "NSE" in days["2026-01-26"]["closed_exchanges"]
    assert {"NSE", "NFO"} <= {one["exchange"] for one in client.timings(date="2026-11-27")["data"]}
    assert client.timings(date="2026-11-28")["data"] == []


def test_margin(client: Any, expiry: str) -> None:
    share = {**INFY, "action": "BUY", "product": "MIS", "pricetype": "LIMIT", "quantity": 10, "price": 1500}
    alone = client.margin(positions=[share])["data"]
    assert alone["total_margin_required"] == 3000, "a fifth of what shares for the day are worth"
    assert (alone["span_margin"], alone["exposure_margin"]) == (None, None)
    assert client.margin(positions=[{**share, "pricetype": "MARKET"}])["data"] == alone, "at the last price"
    nifty = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": expiry, "option_type": "CE"}
    found = client.optionsymbol(**nifty, offset="ATM")
    leg = {"exchange": "NFO", "product": "NRML", "pricetype": "LIMIT", "quantity": found["lotsize"], "price": 100}
    sold = {**leg, "symbol": found["symbol"], "action": "SELL"}
    written = client.margin(positions=[sold])["data"]["total_margin_required"]
    hedged = client.margin(positions=[sold, {**sold, "action": "BUY"}])["data"]["total_margin_required"]
    assert hedged < written, "opposite legs make each other up"
    assert client.margin(positions=[{**share, "symbol": "NOSUCH"}])["code"] == 404


# The rest


def test_analyzer(client: Any) -> None:
    status = client.analyzerstatus()["data"]
    assert status == {"mode": "analyze", "analyze_mode": True, "total_logs": 0}
    assert client.analyzertoggle(mode=True)["data"]["analyze_mode"] is True
    live = client.analyzertoggle(mode=False)
    assert live["code"] == 409
    assert "nothing was done" in live["message"]


def test_what_is_not_there_says_so(client: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = [
            client.optiongreeks(symbol="NIFTY", exchange="NFO"),
            client.telegram(username="me", message="hello"),
        ]
    for answer in answers:
        assert answer["code"] == 501
        assert "nothing was done" in answer["message"]


def test_a_wrong_key_is_said_in_their_words(client: Any) -> None:
    wrong = api(api_key="x" * 40, host=client.base_url.removesuffix("/api/v1/")).funds()
    assert (wrong["code"], '"Invalid openalgo apikey"' in wrong["message"]) == (403, True)


# What nobody would send. Of no share that the tests above trade.
_GOOD: dict[str, Any] = {
    **{"strategy": "Fuzz", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": "1", "product": "MIS"},
    **{"pricetype": "LIMIT", "price": "700", "position_size": "1", "splitsize": "1", "orderid": "26112900000001"},
    **{"underlying": "NIFTY", "offset": "ATM", "option_type": "CE", "mode": True, "query": "SBIN", "interval": "5m"},
    **{"start_date": "2026-11-26", "end_date": "2026-11-27", "from": "2026-11-26", "to": "2026-11-27"},
    **{"instrumenttype": "options", "date": "2026-11-27", "scan_name": "buy", "stocks": "SBIN"},
    "symbols": [{"symbol": "SBIN", "exchange": "NSE"}],
}
_LEG = {name: _GOOD[name] for name in ("symbol", "exchange", "action", "quantity", "product", "pricetype", "price")}
_OPTION = {name: _GOOD[name] for name in ("offset", "option_type", "action", "quantity")}
_WHOLE = {**_GOOD, "orders": [_LEG], "positions": [_LEG], "legs": [_OPTION]}
_odd = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, 10**30, "", "0", "-0", "NaN", "1e400", "SBIN", "NFO", "NSE_INDEX", "MARKET", "SL"),
        *("SELL", "25AUG26", "ATM", "OTM50", "\u0661", "x" * 5000, [], {}, [None], [{}], [_LEG] * 21, {"a": 1}),
    ]
)
_fields = st.sampled_from(sorted({name for one in ENDPOINTS.values() for name in one.fields}))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(sorted(ENDPOINTS)), changes=st.dictionaries(_fields, _odd, max_size=2))
def test_f1_no_request_makes_a_server_error_of_the_whole_service(
    client: Any, monkeypatch: pytest.MonkeyPatch, path: str, changes: dict[str, Any]
) -> None:
    # What rests is not waited for.
    monkeypatch.setattr("core.web.openalgo.placing._FILL_S", 0.1)
    monkeypatch.setattr("core.web.openalgo.orders._CLOSE_S", 0.1)
    body = {name: _WHOLE[name] for name in ENDPOINTS[path].fields if name in _WHOLE}
    answer = requests.post(f"{client.base_url}{path}", json={"apikey": KEY, **body, **changes}, timeout=120)
    assert answer.status_code < 500, (path, changes, answer.text)
    assert answer.json()["status"] in ("success", "error", "unknown", "partial")
