"""What we rely on in NorenRestApiPy 0.0.22 (protocol 3.2, 3.3), and what our private copies change.

A newer library that behaves otherwise fails here, with the name of the trap.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from core.noren.library import load_library

LIBRARY = "NorenRestApiPy.NorenApi"
TOKEN = "5f2b8c1de0a94477b3d6c1a2f09e8d7c"


class Posts:
    """Stands where the library's `requests` is: keeps the calls and answers with one text."""

    def __init__(self, text: str = '{"stat": "Ok", "norenordno": "1"}') -> None:
        self.text = text
        self.status_code = 200
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def post(self, url: str, **kwargs: Any) -> Posts:
        self.calls.append((url, kwargs))
        return self

    @property
    def last_body(self) -> str:
        body: str = self.calls[-1][1]["data"]
        return body


@pytest.fixture
def posts() -> Posts:
    return Posts()


@pytest.fixture
def library(posts: Posts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library as it is installed, its `requests` replaced."""
    module = importlib.import_module(LIBRARY)
    monkeypatch.setattr(module, "requests", posts)
    return module


@pytest.fixture
def api(library: Any) -> Any:
    api = library.NorenApi("http://broker", "ws://broker")
    api.set_session("U1", "pw", TOKEN)
    return api


def place(api: Any) -> Any:
    return api.place_order("B", "I", "NSE", "M&M-EQ", "5", "0", "LMT", price="10.00")


# The library as it is.


def test_the_last_instance_redirects_all_others(library: Any, posts: Posts) -> None:
    first = library.NorenApi("http://first", "ws://first")
    first.set_session("U1", "pw", TOKEN)
    library.NorenApi("http://second", "ws://second")

    place(first)

    assert posts.calls[0][0] == "http://second/PlaceOrder"


def test_there_is_no_timeout_and_no_header(api: Any, posts: Posts) -> None:
    place(api)

    assert list(posts.calls[0][1]) == ["data"]


def test_before_login_every_call_raises(library: Any) -> None:
    with pytest.raises(AttributeError):
        place(library.NorenApi("http://broker", "ws://broker"))


@pytest.mark.parametrize("emsg", ["Rejected : no", "Server Timeout :  ", "Session Expired : x"])
def test_a_refusal_and_a_timeout_are_the_same_none(api: Any, posts: Posts, emsg: str) -> None:
    posts.text = json.dumps({"stat": "Not_Ok", "emsg": emsg})

    assert place(api) is None
    assert api.get_order_book() is None
    assert api.get_positions() is None
    assert api.get_trade_book() is None


@pytest.mark.parametrize(
    ("text", "error"),
    [("<html>502</html>", json.JSONDecodeError), ("", json.JSONDecodeError), ("{}", KeyError), ("[]", TypeError)],
)
def test_replies_it_does_not_know_raise(api: Any, posts: Posts, text: str, error: type[Exception]) -> None:
    posts.text = text

    with pytest.raises(error):
        place(api)


def test_a_stop_without_trigger_is_none_without_a_call(api: Any, posts: Posts) -> None:
    assert api.modify_order("1", "NSE", "INFY-EQ", "1", "SL-LMT", "1.00") is None
    assert posts.calls == []


def test_limits_are_the_one_answer_with_its_words(api: Any, posts: Posts) -> None:
    posts.text = json.dumps({"stat": "Not_Ok", "emsg": "Session Expired : x"})

    assert api.get_limits()["emsg"] == "Session Expired : x"


def test_logout_forgets_the_token_and_later_calls_send_none(api: Any, posts: Posts) -> None:
    api.logout()
    place(api)

    assert posts.last_body.endswith("&jKey=None")


def test_it_prints_urls_and_the_reply_of_a_cancel(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    api.cancel_order("1")

    assert "CancelOrder" in capsys.readouterr().out


def test_it_logs_the_whole_body_with_the_token(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LIBRARY):
        place(api)

    assert TOKEN in caplog.text


def test_a_text_with_an_ampersand_goes_out_raw(api: Any, posts: Posts) -> None:
    api.place_order("B", "I", "NSE", "A-EQ", "5", "0", "LMT", price="1.00", remarks="a&jKey=b")

    assert '"a&jKey=b"' in posts.last_body


BASE = {"ordersource": "API", "uid": "U1"}
ACCOUNT = {**BASE, "actid": "U1"}


@pytest.mark.parametrize(
    ("call", "path", "values"),
    [
        (
            place,
            "PlaceOrder",
            {
                **ACCOUNT,
                "trantype": "B",
                "prd": "I",
                "exch": "NSE",
                "tsym": "M%26M-EQ",
                "qty": "5",
                "dscqty": "0",
                "prctyp": "LMT",
                "prc": "10.00",
                "trgprc": "None",
                "ret": "DAY",
                "remarks": None,
                "amo": "NO",
            },
        ),
        (
            lambda api: api.modify_order("1", "NSE", "M&M-EQ", "5", "SL-LMT", "10.00", "9.00"),
            "ModifyOrder",
            {
                **ACCOUNT,
                "norenordno": "1",
                "exch": "NSE",
                "tsym": "M%26M-EQ",
                "qty": "5",
                "prctyp": "SL-LMT",
                "prc": "10.00",
                "trgprc": "9.00",
            },
        ),
        (lambda api: api.cancel_order("1"), "CancelOrder", {**BASE, "norenordno": "1"}),
        (lambda api: api.get_order_book(), "OrderBook", BASE),
        (lambda api: api.get_trade_book(), "TradeBook", ACCOUNT),
        (lambda api: api.get_positions(), "PositionBook", {"uid": "U1", "actid": "U1"}),
        (lambda api: api.get_limits(), "Limits", {"uid": "U1", "actid": "U1"}),
        (
            lambda api: api.searchscrip("NSE", "M&M EQ"),
            "SearchScrip",
            {"uid": "U1", "exch": "NSE", "stext": "M%26M+EQ"},
        ),
        (lambda api: api.get_quotes("NSE", "22"), "GetQuotes", {"uid": "U1", "exch": "NSE", "token": "22"}),
        (lambda api: api.logout(), "Logout", BASE),
    ],
)
def test_wire_output(api: Any, posts: Posts, call: Callable[[Any], object], path: str, values: dict[str, Any]) -> None:
    call(api)

    url, _ = posts.calls[0]
    assert url == f"http://broker/{path}"
    assert posts.last_body == f"jData={json.dumps(values)}&jKey={TOKEN}"


def test_a_generation_2_acknowledgement_never_opens_its_socket(library: Any) -> None:
    """Why the push feed does not use the library's socket (protocol 3.4)."""
    opened: list[str] = []
    api = library.NorenApi("http://broker", "ws://broker")
    api._NorenApi__on_open = lambda: opened.append("open")

    api._NorenApi__on_data_callback(message='{"t": "ak", "s": "OK"}')

    assert opened == []


# Our copies.


def test_each_copy_has_its_own_host(posts: Posts) -> None:
    other = Posts()
    first = load_library(posts).NorenApi("http://first", "ws://first")
    second = load_library(other).NorenApi("http://second", "ws://second")
    for api in (first, second):
        api.set_session("U1", "pw", TOKEN)
        place(api)

    assert (posts.calls[0][0], other.calls[0][0]) == ("http://first/PlaceOrder", "http://second/PlaceOrder")


def test_a_copy_leaves_the_installed_library_alone(posts: Posts) -> None:
    before = set(sys.modules)
    copy = load_library(posts)

    assert copy.__name__ not in sys.modules
    assert set(sys.modules) == before
    assert importlib.import_module(LIBRARY).requests is not posts


def test_a_copy_prints_and_logs_nothing(
    posts: Posts, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    api = load_library(posts).NorenApi("http://broker", "ws://broker")
    with caplog.at_level(logging.DEBUG):
        api.set_session("U1", "pw", TOKEN)
        api.modify_order("1", "NSE", "INFY-EQ", "1", "LMT", "1.00")
        api.cancel_order("1")
        api.single_order_history("1")

    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""
