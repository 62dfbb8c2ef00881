"""Where symbol files come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.instruments import BadSymbolFile, source_of
from core.instruments.source import FolderSource, UrlSource
from core.instruments.symbol_file import read_symbol_file
from core.noren import profile

FLATTRADE = "Exchange,Token,Lotsize,Symbol,Tradingsymbol,Instrument,Expiry,Strike,Optiontype\n"


class Handler(BaseHTTPRequestHandler):
    """A server of files: one is there, one is not, one breaks off."""

    def do_GET(self) -> None:
        body, status = {
            "/files/NSE_symbols.txt.zip": (b"a file", 200),
            "/files/BSE_symbols.txt.zip": (b"out of order", 503),
            "/files/NFO_symbols.txt.zip": (b"half", 200),
            "/csv/Nfo_Index_Derivatives.csv": (
                FLATTRADE.encode() + b"NFO,1,65,NIFTY,NIFTY25AUG26C25000,OPTIDX,25-AUG-2026,25000,CE",
                200,
            ),
            "/csv/Nfo_Equity_Derivatives.csv": (
                FLATTRADE.encode() + b"NFO,2,400,INFY,INFY25AUG26F,FUTSTK,25-AUG-2026,,XX\n,,,,,,,,\n",
                200,
            ),
            "/csv/Commodity.csv": (
                FLATTRADE.encode() + b"MCX,3,1,GOLD,GOLD05OCT26,FUTCOM,05-OCT-2026,,XX\n"
                b"NCX,4,1,JEERA,JEERA20OCT26,FUTCOM,20-OCT-2026,,XX\n",
                200,
            ),
            "/csv/Bfo_Index_Derivatives.csv": (FLATTRADE.encode(), 200),
        }.get(self.path, (b"", 404))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + 4 * (body == b"half")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_from_the_address(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that nobody listens at: the service's own machine is reached without one.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    source = source_of(None, f"{base}/files/", "https://broker.test/api")
    assert source.place("NSE") == f"{base}/files/NSE_symbols.txt.zip"
    assert source.fetch("NSE") == b"a file"
    assert source.fetch("MCX") is None


@pytest.mark.parametrize(("exchange", "words"), [("BSE", "HTTP 503"), ("NFO", "cannot be fetched")])
def test_what_is_no_whole_answer_is_no_file(base: str, exchange: str, words: str) -> None:
    with pytest.raises(BadSymbolFile, match=words):
        UrlSource(f"{base}/files").fetch(exchange)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(BadSymbolFile, match="cannot be fetched"):
        UrlSource("http://127.0.0.1:9").fetch("NSE")


def test_nothing_is_fetched_once_the_service_stops(base: str) -> None:
    source = UrlSource(f"{base}/files")
    source.stop()
    with pytest.raises(BadSymbolFile, match="the service stops"):
        source.fetch("NSE")


def test_without_an_address_it_is_the_root_of_the_brokers_host() -> None:
    source = source_of(None, None, "https://api.shoonya.com/NorenWClientAPI")
    assert source.place("NFO") == "https://api.shoonya.com/NFO_symbols.txt.zip"


def test_a_login_in_the_address_is_not_shown() -> None:
    assert UrlSource("https://me:secret@files.test/a").place("NSE") == "https://files.test/a/NSE_symbols.txt.zip"


def test_a_folder_wins_and_may_hold_files_that_are_not_zipped(tmp_path: Path) -> None:
    source = source_of(tmp_path, "https://files.test", "https://broker.test")
    assert isinstance(source, FolderSource)
    assert source.fetch("NSE") is None
    (tmp_path / "NSE_symbols.txt").write_bytes(b"plain")
    assert source.fetch("NSE") == b"plain"
    (tmp_path / "NSE_symbols.txt.zip").write_bytes(b"zipped")
    assert source.fetch("NSE") == b"zipped"
    (tmp_path / "BSE_symbols.txt.zip").mkdir()
    with pytest.raises(BadSymbolFile, match="cannot be read"):
        source.fetch("BSE")


def test_flattrades_files_are_read_as_one(base: str) -> None:
    source = source_of(None, None, "https://broker.test", f"{base}/csv")
    assert source.place("NFO") == f"{base}/csv/Nfo_Index_Derivatives.csv"
    rows = [
        (row.symbol, row.kind, row.lot_size, row.expiry, row.strike, row.option, row.tick_size)
        for row in read_symbol_file(source.fetch("NFO") or b"", "NFO")
    ]
    assert rows == [
        ("NIFTY25AUG26C25000", "OPTION", 65, "2026-08-25", "25000", "CE", None),
        ("INFY25AUG26F", "FUTURE", 400, "2026-08-25", None, None, None),
    ]
    # The file of MCX has other exchanges' contracts too.
    assert [row.symbol for row in read_symbol_file(source.fetch("MCX") or b"", "MCX")] == ["GOLD05OCT26"]
    # Half of an exchange is none.
    assert source.fetch("BFO") is None


def test_flattrades_files_are_not_asked_for_where_settings_name_another_place() -> None:
    assert source_of(None, "https://files.test", "", "https://csv.test").place("NSE").startswith("https://files.test/")
    assert profile("flattrade").symbol_files.endswith("/scripmaster")
    assert profile("flattrade", host="https://elsewhere.test").symbol_files == ""
