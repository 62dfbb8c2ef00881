"""The OpenAlgo entry point through the whole service, on paper: the calls that only ask, each with its values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.model.calendar import INDIA
from tests.support_openalgo import FILES, INFY, OPENALGO, TCS, Client, begun, client_of, expiry_of
from tests.support_service import Running, running


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that is only asked."""
    with running(tmp_path_factory.mktemp("asked"), **FILES, **OPENALGO) as service:
        yield begun(service)


def test_ping_analyzer_intervals(asked: Running) -> None:
    client = client_of(asked)
    ping = client.ask("ping")
    assert ping == {"status": "success", "data": {"message": "pong", "broker": "paper"}, "mode": "analyze"}
    assert client.ask("analyzer")["data"] == {"mode": "analyze", "analyze_mode": True, "total_logs": 0}
    intervals = client.ask("intervals")["data"]
    assert intervals["minutes"] == ["1m", "2m", "3m", "5m", "10m", "15m", "30m"]
    assert (intervals["hours"], intervals["days"], intervals["weeks"]) == (["1h", "2h", "4h"], ["D"], [])


def test_funds_are_texts_in_rupees(asked: Running) -> None:
    assert client_of(asked).ask("funds")["data"] == {
        "availablecash": "10000000.00",
        "collateral": "0.00",
        "m2munrealized": "0.00",
        "m2mrealized": "0.00",
        "utiliseddebits": "0.00",
    }


def test_quotes_have_what_the_broker_said_and_no_zero_for_what_it_did_not(asked: Running) -> None:
    found = client_of(asked).ask("quotes", **INFY)["data"]
    assert found["ltp"] == 1500
    assert found["bid"] < 1500.01
    assert found["ask"] > 1499.99
    assert found["open"] > 0
    assert found["oi"] is None
    index = client_of(asked).ask("quotes", symbol="NIFTY", exchange="NSE_INDEX")["data"]
    assert index["ltp"] > 0
    assert index["bid"] is None
    assert index["ask"] is None


def test_multiquotes_tell_each_for_itself(asked: Running) -> None:
    places = [INFY, {"symbol": "NOSUCH", "exchange": "NSE"}, TCS]
    results = client_of(asked).ask("multiquotes", symbols=places)["results"]
    assert [one["symbol"] for one in results] == ["INFY", "NOSUCH", "TCS"]
    assert (results[0]["data"]["ltp"], results[2]["data"]["ltp"]) == (1500, 3000)
    assert "NOSUCH" in results[1]["error"]


def test_history_has_the_brokers_candles(asked: Running) -> None:
    client = client_of(asked)
    today = asked.service.clock.now().astimezone(INDIA).date()
    span = {**INFY, "start_date": str(today - timedelta(days=7)), "end_date": str(today)}
    days = client.ask("history", **span, interval="D", source="api")
    assert days["status"] == "success", days
    assert all(one["timestamp"] % 86400 == 0 for one in days["data"]), "a day is its midnight in UTC"
    for one in days["data"]:
        assert one["low"] <= one["open"] <= one["high"]
        assert one["low"] <= one["close"] <= one["high"]
    wrong = client.ask("history", **{**span, "start_date": str(today - timedelta(days=60))}, interval="5m")
    assert wrong["code"] == 400
    assert "ask in parts" in wrong["message"]


def strikes_of(client: Client, expiry: str) -> list[float]:
    listed = client.get("instruments", exchange="NFO").json()["data"]
    return sorted(
        one["strike"] for one in listed if one["symbol"].startswith(f"NIFTY{expiry}") and one["symbol"].endswith("CE")
    )


def test_optionsymbol_by_offset(asked: Running) -> None:
    client = client_of(asked)
    expiry = expiry_of(client)
    strikes = strikes_of(client, expiry)
    wanted = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": expiry, "option_type": "CE"}
    price = client.ask("quotes", symbol="NIFTY", exchange="NSE_INDEX")["data"]["ltp"]
    at = strikes.index(min(strikes, key=lambda strike: abs(strike - price)))
    for offset, strike in (("ATM", strikes[at]), ("ITM1", strikes[at - 1]), ("OTM2", strikes[at + 2])):
        found = client.ask("optionsymbol", **wanted, offset=offset, strike_int=None)
        assert found["symbol"] == f"NIFTY{expiry}{strike:g}CE"
        assert (found["exchange"], found["underlying_ltp"]) == ("NFO", price)
        assert found["lotsize"] > 1
    assert client.ask("optionsymbol", **wanted, offset="OTM50")["code"] == 404
    assert client.ask("optionsymbol", **{**wanted, "expiry_date": "01JAN30"}, offset="ATM")["code"] == 404
    assert client.ask("optionsymbol", **{**wanted, "underlying": "NOSUCH"}, offset="ATM")["code"] == 404


def test_symbol_in_both_names(asked: Running) -> None:
    client = client_of(asked)
    found = client.ask("symbol", **INFY)["data"]
    expected = {"symbol": "INFY", "brsymbol": "INFY-EQ", "exchange": "NSE", "instrumenttype": "EQ", "lotsize": 1}
    assert {name: found[name] for name in expected} == expected
    assert client.ask("symbol", symbol="INFY-EQ", exchange="NSE")["data"] == found
    index = client.ask("symbol", symbol="NIFTY", exchange="NSE_INDEX")["data"]
    assert (index["exchange"], index["brexchange"], index["instrumenttype"]) == ("NSE_INDEX", "NSE", "INDEX")
    missing = client.ask("symbol", symbol="NOSUCH", exchange="NSE")
    assert missing["code"] == 404
    assert "NOSUCH" in missing["message"]


def test_search_expiry_and_a_contract_by_its_openalgo_name(asked: Running) -> None:
    client = client_of(asked)
    days = client.ask("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="options")["data"]
    assert len(days) > 1
    found = client.ask("search", query=f"NIFTY {days[0].replace('-', '')[:5]} CE", exchange="NFO")
    listed = [one for one in client.ask("search", query="NIFTY CE", exchange="NFO")["data"] if one["expiry"] == days[0]]
    assert listed, found
    one = listed[0]
    assert one["symbol"] == f"NIFTY{days[0].replace('-', '')}{one['strike']:g}CE"
    assert client.ask("symbol", symbol=one["symbol"], exchange="NFO")["data"] == one


def test_instruments_as_json_and_csv(asked: Running) -> None:
    client = client_of(asked)
    found = client.get("instruments", exchange="NFO").json()["data"]
    assert {one["exchange"] for one in found} == {"NFO"}
    text = client.get("instruments", exchange="NFO", format="csv")
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert [row["symbol"] for row in rows] == [one["symbol"] for one in found]
    everything = client.get("instruments").json()["data"]
    assert {one["exchange"] for one in everything} == {"NSE", "NFO", "NSE_INDEX"}


def test_market_holidays_and_timings(asked: Running) -> None:
    client = client_of(asked)
    days = {one["date"]: one for one in client.ask("market/holidays", year=2026)["data"]}
    assert {"NSE", "BSE", "NFO"} <= set(days["2026-01-26"]["closed_exchanges"])
    [nse] = [one for one in client.ask("market/timings", date="2026-11-27")["data"] if one["exchange"] == "NSE"]
    assert nse["start_time"] == 1795751100000, "09:15 in India"
    assert client.ask("market/timings", date="2026-11-28")["data"] == [], "a Saturday"


def test_holdings_of_an_account_without_any(asked: Running) -> None:
    found = client_of(asked).ask("holdings")
    assert found["status"] == "success", found
    assert found["data"]["holdings"] == []
    assert set(found["data"]["statistics"]) == {
        *("totalholdingvalue", "totalinvvalue", "totalprofitandloss", "totalpnlpercentage")
    }


def test_what_is_not_there_says_so_and_does_nothing(asked: Running) -> None:
    client = client_of(asked)
    for endpoint in ("placegttorder", "modifygttorder", "cancelgttorder", "gttorderbook"):
        answer = client.ask(endpoint, anything=1)
        assert answer["code"] == 501
        assert "GTT orders are not supported for broker 'paper' yet" in answer["message"]
    assert asked.rows() == []
