"""An order's whole life with the libraries that people use, over real HTTP and WebSocket.

Nobody here wrote these clients; what they send is taken as it comes. The two share one import name, so the newer one
lives in a virtual environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from NorenRestApiPy.NorenApi import NorenApi

from core.paper.config import ExchangeConfig, PriceSource
from core.paper.server import PaperServer
from tests.paper.faces.clients import BOUND_S, Received, Start

OAUTH_LIBRARY = "norenrestapi==0.0.37"
WHAT_IT_IMPORTS = ("requests", "websocket-client", "urllib3", "idna", "certifi", "charset-normalizer")
"""It declares pandas and PyYAML and imports neither. The last four are what requests imports."""


def quiet_market() -> ExchangeConfig:
    """Prices that stay where they are, so that a test knows what rests and what trades."""
    return ExchangeConfig(price_source=PriceSource.MANUAL)


class Client:
    """NorenRestApiPy 0.0.22, logged in, its socket open and taking order updates."""

    def __init__(self, server: PaperServer, uid: str = "FA00022") -> None:
        self.api = NorenApi(host=server.rest_url + "/NorenWClientTP/", websocket=server.ws_url)
        self.session = self.api.login(uid, "password", "123456", f"{uid}_U", "secret", "abc1234")
        self.frames, self.opened = Received(), Received()
        self.api.start_websocket(order_update_callback=self.frames.add, socket_open_callback=self.opened.add)
        self.opened.wait_for(len)
        self.api.subscribe_orders()

    def wait_for(self, number: str, report: str) -> dict[str, Any]:
        """Wait for an `om` of one order with one report type."""

        def told(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [frame for frame in frames if (frame["norenordno"], frame["reporttype"]) == (number, report)]

        return dict(self.frames.wait_for(told)[0])

    def reports(self, number: str) -> list[tuple[str, str]]:
        """Status and report type of each `om` of one order, as they came."""
        frames = (frame for frame in self.frames.items if frame["norenordno"] == number)
        return [(frame["status"], frame["reporttype"]) for frame in frames]


def test_the_life_of_an_order_with_norenrestapipy_0_0_22(start: Start) -> None:
    client = Client(start(quiet_market()))
    api = client.api
    assert client.session["susertoken"]
    quote = api.get_quotes("NSE", "2885")
    low, high = (round(round(float(quote["lp"]) * share, 1), 2) for share in (0.97, 1.02))
    assert api.get_order_book() is None  # empty: the library makes one of it and of an error

    placed = api.place_order("B", "I", "NSE", "RELIANCE-EQ", 5, 0, "LMT", low, remarks="life-1")
    number = placed["norenordno"]
    client.wait_for(number, "New")
    assert [(row["norenordno"], row["status"], row["remarks"]) for row in api.get_order_book()] == [
        (number, "OPEN", "life-1")
    ]
    assert api.modify_order(number, "NSE", "RELIANCE-EQ", 7, "LMT", high)["result"] == number
    fill = client.wait_for(number, "Fill")
    assert (fill["status"], fill["fillshares"], fill["remarks"]) == ("COMPLETE", "7", "life-1")

    other = api.place_order("S", "I", "NSE", "RELIANCE-EQ", 1, 0, "LMT", high)["norenordno"]
    client.wait_for(other, "New")
    assert api.cancel_order(other)["result"] == other
    client.wait_for(other, "Canceled")
    assert api.cancel_order(other) is None  # it is final: a refusal

    assert {row["norenordno"]: row["status"] for row in api.get_order_book()} == {number: "COMPLETE", other: "CANCELED"}
    assert [row["rpt"] for row in api.single_order_history(other)] == [
        "Canceled", "PendingCancel", "CanAck", "New", "PendingNew", "NewAck",
    ]  # fmt: skip
    assert sum(int(row["flqty"]) for row in api.get_trade_book()) == 7
    (position,) = api.get_positions()
    assert (position["tsym"], position["prd"], position["netqty"]) == ("RELIANCE-EQ", "I", "7")
    assert position["netavgprc"] == fill["avgprc"]
    assert float(api.get_limits()["marginused"]) > 0
    assert client.reports(other) == [
        ("PENDING", "NewAck"), ("PENDING", "PendingNew"), ("OPEN", "New"),
        ("PENDING", "CanAck"), ("PENDING", "PendingCancel"), ("CANCELED", "Canceled"),
    ]  # fmt: skip
    api.close_websocket()
    assert api.logout()["stat"] == "Ok"


def test_the_library_quotes_symbols_and_sends_words_for_nothing(start: Start) -> None:
    """`M%26M-EQ`, `trgprc:"None"`, `remarks:null`, `amo:"NO"` and 10.0: all as 0.0.22 writes them."""
    client = Client(start(quiet_market()))
    (found,) = client.api.searchscrip("NSE", "M&M-EQ")["values"]
    last = float(client.api.get_quotes("NSE", found["token"])["lp"])
    placed = client.api.place_order("B", "C", "NSE", "M&M-EQ", 1, 0, "LMT", float(round(last * 0.97)))
    client.wait_for(placed["norenordno"], "New")
    (row,) = client.api.get_order_book()
    assert row["tsym"] == "M&M-EQ"
    assert "trgprc" not in row
    client.api.close_websocket()


@pytest.fixture(scope="session")
def oauth_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that holds the OAuth library, made anew in each run by our own pip."""
    place = tmp_path_factory.mktemp("oauth") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=120)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", OAUTH_LIBRARY, *WHAT_IT_IMPORTS], check=True, timeout=300)
    return python


def test_the_life_of_an_order_with_norenrestapi_0_0_37(start: Start, oauth_python: Path) -> None:
    server = start(quiet_market())
    script = Path(__file__).with_name("oauth_client.py")
    command = [oauth_python, script, server.rest_url, server.ws_url, server.control_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=6 * BOUND_S, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "user": "FA00037",
        "account": "FA00037",
        "token": True,
        "opened": 0,  # the library still looks for `ck` (protocol 0.1 point 9)
        "book": {"false": "CANCELED", "true": "COMPLETE"},
        "history": ["Canceled", "PendingCancel", "CanAck", "Replaced", "PendingReplace", "ModAck",
                    "New", "PendingNew", "NewAck"],
        "trades": [[True, "2"]],
        "positions": [["RELIANCE-EQ", "2"]],
        "events": ["NewAck", "PendingNew", "New", "Fill"],
        "limits": "Ok",
        "logout": "Ok",
    }  # fmt: skip
