"""`python run.py candles`, as a person or a script calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from core.instruments import InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.model.calendar import INDIA
from core.model.instrument import SymbolFile
from core.settings import Settings
from core.web import WebServer, create_app
from tests.factories import a_candle
from tests.support_process import run_py
from tests.web.harness import WebHarness

FILE = b"Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\nNSE,2885,1,RELIANCE,RELIANCE-EQ,EQ,0.10,\n"
OPEN = datetime(2026, 11, 27, 9, 15, tzinfo=INDIA)
FIVE = timedelta(minutes=5)
DAY = ("--from", "2026-11-27", "--to", "2026-11-27")


class House:
    """A web server whose broker has two candles of a share, with one missing between."""

    def __init__(self) -> None:
        self.harness = WebHarness()
        index = InstrumentIndex.open(self.harness.directory)
        index.replace(SymbolFile("NSE", "made up", OPEN, 0), read_symbol_file(FILE, "NSE"))
        index.close()
        told = tuple(a_candle(begin, "100.50 110 90 101") for begin in (OPEN, OPEN + 2 * FIVE))
        self.harness.actor("state").history = (told, None)
        self.server = WebServer(create_app(self.harness.gateway, Settings()), "127.0.0.1", 0)
        self.server.start()

    def call(self, *arguments: str) -> tuple[int, str, str]:
        done = run_py("candles", *arguments, environ={"SIXSTEP_WEB__PORT": str(self.server.port)})
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House()
    yield house
    house.server.stop()
    assert house.harness.stop() == []


def test_candles_are_a_table_with_gaps_in_words(house: House) -> None:
    code, out, err = house.call("RELIANCE", *DAY)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["begin", "open", "high", "low", "close", "volume", "note"],
        ["2026-11-27", "09:15", "100.50", "110", "90", "101", "10"],
        ["2026-11-27", "09:25", "100.50", "110", "90", "101", "10", "1", "missing", "before"],
    ]


def test_as_json_it_is_what_the_api_says(house: House) -> None:
    code, out, _ = house.call("NSE:RELIANCE", "--interval", "15m", *DAY, "--json")
    found = json.loads(out)
    assert (code, found["interval"], found["symbol"]) == (0, "15m", "RELIANCE-EQ")
    assert [(one["begin"], one["volume"], one["over"]) for one in found["candles"]] == [
        ("2026-11-27T09:15:00+05:30", 20, True)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("RELIANCE", "--interval", "7m"), "interval: Input should be '1m', '2m'"),
        (("RELIANCE", "--from", "monday"), "from: is no day or time"),
        (("RELIANC",), "there is no instrument RELIANC; near it: NSE:RELIANCE-EQ"),
        (
            ("RELIANCE", "--from", "2026-11-20", "--to", "2026-11-20"),
            "RELIANCE-EQ has no candles from 2026-11-20 00:00",
        ),
    ],
)
def test_a_mistake_is_one_line_with_the_fix(house: House, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = house.call(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert len(err.splitlines()) == 1
