"""/api/candles: what is asked of the broker, what is told, and what to type instead of what is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.instruments import InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.messages import ReadHistory
from core.model.calendar import INDIA
from core.model.candle import Candle
from core.model.instrument import SymbolFile
from core.settings import Settings
from core.web import create_app
from tests.factories import a_candle
from tests.web.harness import WebHarness, call

FILE = b"Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\nNSE,2885,1,RELIANCE,RELIANCE-EQ,EQ,0.10,\n"
# A Friday with trading.
FRIDAY = datetime(2026, 11, 27, tzinfo=INDIA)


class House:
    """The web with one share in its index; the harness's broker answers `history`."""

    def __init__(self, harness: WebHarness) -> None:
        index = InstrumentIndex.open(harness.directory)
        index.replace(SymbolFile("NSE", "made up", FRIDAY, 0), read_symbol_file(FILE, "NSE"))
        index.close()
        self.broker = harness.actor("state")
        self.app = create_app(harness.gateway, Settings())

    def get(self, **query: str) -> Any:
        return call(self.app, "GET", "/api/candles", params={"symbol": "RELIANCE", **query})

    def asked(self) -> ReadHistory:
        found: ReadHistory = self.broker.histories[-1]
        return found


@pytest.fixture
def house(harness: WebHarness) -> House:
    return House(harness)


def minute(clock: str, close: int) -> Candle:
    return a_candle(FRIDAY + timedelta(hours=int(clock[:2]), minutes=int(clock[3:])), f"100 110 1 {close}")


def test_candles_are_aligned_to_the_session_with_gaps_marked(house: House) -> None:
    told = (minute("09:10", 1), minute("09:15", 101), minute("09:20", 102), minute("09:35", 103))
    house.broker.history = (told, None)

    found = house.get(interval="10m", **{"from": "2026-11-27", "to": "2026-11-27"}).json()

    assert (found["symbol"], found["interval"], found["from"]) == ("RELIANCE-EQ", "10m", "2026-11-27T00:00:00+05:30")
    assert [(one["begin"][11:16], one["close"], one["volume"], one["gap_before"]) for one in found["candles"]] == [
        ("09:15", "102", 20, 0),
        ("09:35", "103", 10, 1),
    ]
    assert house.asked().minutes == 5
    assert house.asked().end == FRIDAY + timedelta(days=1)


def test_days_are_asked_by_the_hundred_and_one_that_still_grows_says_so(house: House) -> None:
    # However late this runs.
    begin = datetime(2099, 1, 1, tzinfo=INDIA)
    house.broker.history = ((a_candle(begin, "5 5 5 5", None, timedelta(days=1)),), None)
    found = house.get(interval="1d", to="2099-01-04").json()
    assert [(one["begin"][11:16], one["volume"], one["over"]) for one in found["candles"]] == [("09:15", None, False)]
    assert house.asked().minutes is None
    assert house.asked().end - house.asked().begin == timedelta(days=101)


def test_only_what_was_asked_for_is_told(house: House) -> None:
    house.broker.history = ((minute("09:15", 1), minute("09:20", 2), minute("09:25", 3)), None)
    span = {"from": "2026-11-27T09:20", "to": "2026-11-27T03:55:00Z"}
    assert [one["close"] for one in house.get(**span).json()["candles"]] == ["2"]


def test_without_from_it_is_the_last_session(house: House) -> None:
    # A Sunday, and a Friday before the opening.
    for until in ("2026-11-29", "2026-11-30T09:00"):
        assert house.get(to=until).status_code == 200
        assert house.asked().begin == FRIDAY


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({"interval": "7m"}, "interval", "'1m', '2m', '3m'"),
        ({"interval": "1s"}, "interval", "'1m', '2m', '3m'"),
        ({"from": "yesterday"}, "from", "write 2026-11-27 or 2026-11-27T09:15"),
        ({"to": "0001-01-01"}, "to", "write 2026-11-27"),
        ({"to": "9999-12-31"}, "to", "write 2026-11-27"),
        ({"from": "2026-11-28", "to": "2026-11-26"}, "from", "which is not before to"),
        ({"from": "2026-01-01", "to": "2026-11-26"}, "from", "more than 31 days before to; ask for 5m in parts"),
        ({"from": "2026-11-27T25:00"}, "from", "is no day or time"),
        ({"symbol": ""}, "symbol", "at least 1 character"),
        ({"until": "2026-11-26"}, "until", "is no query parameter of /api/candles; there are exchange, from"),
    ],
)
def test_a_mistake_is_named_with_the_fix(house: House, query: dict[str, str], field: str, words: str) -> None:
    answer = house.get(**query)
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [error["field"] for error in errors] == [field]
    assert words in errors[0]["message"]
    assert house.broker.histories == []


def test_an_unknown_symbol_is_answered_with_near_names(house: House) -> None:
    answer = house.get(symbol="RELIANC", exchange="BSE")
    assert answer.status_code == 404
    assert "there is no instrument RELIANC" in answer.json()["error"]


def test_what_the_broker_does_not_tell_is_no_empty_answer(house: House) -> None:
    house.broker.history = ((), "Server Timeout :  ")
    answer = house.get()
    assert answer.status_code == 503
    assert answer.json()["error"] == "the broker tells no candles of NSE:RELIANCE-EQ: Server Timeout :  "
