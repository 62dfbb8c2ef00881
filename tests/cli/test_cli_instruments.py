"""`python run.py instruments`, as a person or a script calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.instruments import InstrumentIndex
from core.instruments.symbol_file import read_symbol_file
from core.model.instrument import SymbolFile
from core.runtime import SystemClock
from core.settings import Settings
from core.web import WebServer, create_app
from tests.support_process import run_py
from tests.web.harness import WebHarness

CASH = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
# Far enough that it expires in nobody's test.
EXPIRY = "29-AUG-2090"
FILES = {
    "NSE": CASH + "NSE,2885,1,RELIANCE,RELIANCE-EQ,EQ,0.10,\nNSE,26000,1,Nifty 50,NIFTY INDEX,INDEX,0.05,\n",
    "NFO": DERIVATIVES
    + "".join(
        f"NFO,{strike}{kind == 'CE':d},65,NIFTY,NIFTY29AUG90{kind[0]}{strike},{EXPIRY},OPTIDX,{kind},{strike},0.05,\n"
        for strike in (24_900, 25_000, 25_100)
        for kind in ("CE", "PE")
    ),
}


class House:
    """A web server with an index of instruments behind it."""

    def __init__(self) -> None:
        self.harness = WebHarness()
        index = InstrumentIndex.open(self.harness.directory)
        for exchange, text in FILES.items():
            file = SymbolFile(exchange, "made up", SystemClock().now(), 0)
            index.replace(file, read_symbol_file(text.encode(), exchange))
        index.close()
        self.server = WebServer(create_app(self.harness.gateway, Settings()), "127.0.0.1", 0)
        self.server.start()

    def call(self, *arguments: str) -> tuple[int, str, str]:
        done = run_py("instruments", *arguments, environ={"SIXSTEP_WEB__PORT": str(self.server.port)})
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str) -> Any:
        code, out, err = self.call(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House()
    yield house
    house.server.stop()
    assert house.harness.stop() == []


def test_search_lists_what_holds_every_word(house: House) -> None:
    code, out, _ = house.call("search", "nifty", "25000", "ce")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["symbol", "NIFTY29AUG90C25000"]
    found = house.json("search", "reliance", "--exchange", "NSE")["instruments"]
    assert [one["symbol"] for one in found] == ["RELIANCE-EQ"]


def test_show_tells_what_to_type_in_an_order(house: House) -> None:
    code, out, _ = house.call("show", "NSE:RELIANCE")
    told = dict(line.split(None, 1) for line in out.splitlines())
    assert code == 0
    assert (told["symbol"], told["exchange"], told["freeze_quantity"]) == ("RELIANCE-EQ", "NSE", "not known")
    assert house.json("show", "NIFTY29AUG9025000PE")["symbol"] == "NIFTY29AUG90P25000"


def test_an_unknown_name_is_one_line_with_near_names(house: House) -> None:
    code, out, err = house.call("show", "NIFTY29AUG9025010CE")
    assert (code, out) == (1, "")
    assert err.startswith("error: there is no instrument NIFTY29AUG9025010CE; near it: NFO:NIFTY29AUG90C25000")
    assert len(err.splitlines()) == 1


def test_chain_lists_the_strikes_around_a_price(house: House) -> None:
    code, out, _ = house.call("chain", "NIFTY", "--around", "25020", "--strikes", "0")
    assert code == 0
    assert out.splitlines()[0] == "NIFTY, expiry 2090-08-29, at 25020, strike at the money 25000"
    assert [line.split()[1] for line in out.splitlines()[3:]] == ["NIFTY29AUG90C25000", "NIFTY29AUG90P25000"]
    assert len(house.json("chain", "NIFTY", "--option", "CE")["options"]) == 3


def test_a_chain_whose_price_nobody_knows_says_what_to_give(house: House) -> None:
    code, _, err = house.call("chain", "NIFTY", "--strikes", "1")
    assert code == 1
    assert "the price of NIFTY is not known (no prices here); give `around`" in err


def test_refresh_shows_the_files_and_fails_where_one_is_bad(house: House) -> None:
    code, out, err = house.call("refresh")
    assert code == 1
    assert "error: NSE_symbols.txt.zip: there is no such file" in err
    assert {line.split()[0] for line in out.splitlines()} == {"exchange", "NSE", "NFO"}


def test_without_a_service_one_line_says_so(tmp_path: Path) -> None:
    done = run_py("instruments", "show", "RELIANCE", environ={"SIXSTEP_WEB__PORT": "1"}, folder=tmp_path)
    assert done.returncode == 1
    assert "no service runs at http://127.0.0.1:1" in done.stderr
