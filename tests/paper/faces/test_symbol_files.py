"""The exchange's symbol files: what it serves is what it trades."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from core.instruments.symbol_file import read_symbol_file
from core.paper.adapter import InMemoryAdapter
from core.paper.config import ExchangeConfig
from core.paper.exchange import Exchange
from core.paper.instruments import Master, parse_master, shipped_master
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.runtime.clock import VirtualClock

MORNING = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
LISTED = Master(shipped_master(MORNING.date()))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = PaperServer(ExchangeConfig(), clock=SystemClock())
    server.start()
    yield server.rest_url
    server.stop()


@pytest.fixture
def exchange() -> requests.Session:
    clock = VirtualClock(MORNING)
    session = requests.Session()
    session.mount("http://paper/", InMemoryAdapter(Exchange(ExchangeConfig(), now=clock.now()), clock))
    return session


@pytest.mark.parametrize("exch", ["NSE", "BSE", "NFO", "BFO"])
def test_a_file_lists_every_contract_of_its_segment_as_it_is_traded(exchange: requests.Session, exch: str) -> None:
    reply = exchange.get(f"http://paper/{exch}_symbols.txt.zip")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/zip")
    rows = list(read_symbol_file(reply.content, exch))
    traded = [one for one in LISTED if one.exch == exch]
    assert len(rows) == len(traded)
    for row, one in zip(rows, traded, strict=True):
        assert (row.token, row.symbol, row.series, row.lot_size) == (one.token, one.tsym, one.kind, one.lot)
        assert row.expiry == (one.expiry and one.expiry.isoformat())
        assert (row.option or "", float(row.strike or 0)) == (one.option, float(one.strike))
        assert float(row.tick_size or 0) == float(one.tick)


def test_what_is_served_can_be_traded_by_another_exchange(exchange: requests.Session) -> None:
    data = exchange.get("http://paper/NFO_symbols.txt.zip").content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read("NFO_symbols.txt").decode()
    assert parse_master(text) == [one for one in LISTED if one.exch == "NFO"]


def test_two_hundred_shares_and_options_of_three_indices_are_listed() -> None:
    assert len([one for one in LISTED if one.exch == "NSE" and one.is_tradable]) >= 200
    expiries = {(one.symbol, one.expiry) for one in LISTED if one.kind == "OPTIDX"}
    for symbol, least in (("NIFTY", 3), ("BANKNIFTY", 2), ("SENSEX", 3)):
        assert len([one for one, _ in expiries if one == symbol]) >= least, symbol
    assert all(one.expiry >= MORNING.date() for one in LISTED if one.expiry)


def test_nobody_needs_a_session_for_a_file_and_it_counts_as_no_call(url: str) -> None:
    assert requests.get(f"{url}/NSE_symbols.txt.zip", timeout=30).status_code == 200
    assert requests.head(f"{url}/NSE_symbols.txt.zip", timeout=30).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/MCX_symbols.txt.zip", 404),
        ("GET", "/NSE_symbols.txt", 405),
        ("GET", "/NorenWClientTP/NSE_symbols.txt.zip", 405),
        ("POST", "/NSE_symbols.txt.zip", 404),
    ],
)
def test_there_are_no_other_files(url: str, method: str, path: str, status: int) -> None:
    assert requests.request(method, url + path, data=b"jData={}", timeout=30).status_code == status
