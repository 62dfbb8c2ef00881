"""The control port: who may give commands, how bad input is told, and a page that shows texts as texts."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
import requests

from core.paper.config import AccountConfig, ExchangeConfig, PriceSource
from core.paper.control import STREAM_LIMIT
from core.paper.faults import FaultKind
from core.paper.server import PaperServer
from tests.paper.faces.clients import BOUND_S, Start, wait_until

NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


@pytest.fixture
def server(start: Start) -> PaperServer:
    return start(ExchangeConfig(price_source=PriceSource.MANUAL))


def send(server: PaperServer, command: str, arguments: object = None, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{server.control_url}/control/{command}", json=arguments, headers=named, timeout=BOUND_S)


def test_a_command_is_obeyed_and_seen_in_the_snapshot(server: PaperServer) -> None:
    reply = send(server, "set_price", {"exch": "NSE", "tsym": "RELIANCE-EQ", "price": "1500.00"})
    assert reply.status_code == 200, reply.text
    snapshot = requests.get(server.control_url + "/snapshot", timeout=BOUND_S).json()
    assert [row["lp"] for row in snapshot["prices"] if row["tsym"] == "RELIANCE-EQ"] == ["1500.00"]


@pytest.mark.parametrize(
    ("command", "arguments", "named"),
    [
        ("set_price", {"exch": "NSE", "tsym": "RELIANCE-EQ", "price": "much"}, "price: "),
        ("set_price", {"exch": "NSE", "tsym": "NOBODY-EQ", "price": "1"}, "exch/tsym: NSE:NOBODY-EQ"),
        ("add_fault", {"kind": "gremlins"}, "kind: no fault 'gremlins'; there are "),
        ("remove_fault", {}, "id: "),
        ("no_such_command", {}, "command: no command 'no_such_command'"),
        ("set_price", [1, 2], "body: "),
        ("close_sockets", {"code": "soon"}, "code: "),
        ("set_switch", {"name": "book_lag_s", "value": "long"}, "value: of book_lag_s: "),
    ],
)
def test_bad_input_is_refused_and_the_field_is_named(
    server: PaperServer, command: str, arguments: object, named: str
) -> None:
    reply = send(server, command, arguments)
    assert reply.status_code == 422
    assert reply.json()["error"].startswith(named)


def test_a_body_that_is_not_json_is_refused(server: PaperServer) -> None:
    reply = requests.post(server.control_url + "/control/help", data="{", timeout=BOUND_S)
    assert (reply.status_code, reply.json()["error"].partition(":")[0]) == (422, "body")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Origin", "http://elsewhere.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Host", "elsewhere.example"),
    ],
)
def test_a_page_of_another_origin_may_not_give_commands(server: PaperServer, header: str, value: str) -> None:
    reply = send(server, "kill_token", {}, **{header.replace("-", "_"): value})
    assert reply.status_code == 403
    assert reply.json()["error"].startswith(f"{header}: ")


def test_a_name_that_points_here_may_not_even_read(server: PaperServer) -> None:
    reply = requests.get(server.control_url + "/snapshot", headers={"Host": "rebound.example"}, timeout=BOUND_S)
    assert reply.status_code == 403


def test_our_own_page_may_give_commands(server: PaperServer) -> None:
    assert send(server, "help", {}, Origin=server.control_url, Sec_Fetch_Site="same-origin").status_code == 200


def test_a_form_posted_without_script_leads_back_to_the_page(server: PaperServer) -> None:
    reply = requests.post(
        server.control_url + "/control/set_price",
        data={"exch": "NSE", "tsym": "RELIANCE-EQ", "price": "1499.50"},
        allow_redirects=False,
        timeout=BOUND_S,
    )
    assert (reply.status_code, reply.headers["Location"]) == (303, "/")


def test_events_bring_a_snapshot_and_a_new_one_after_a_change(server: PaperServer) -> None:
    with requests.get(server.control_url + "/events", stream=True, timeout=BOUND_S) as events:
        assert events.headers["Content-Type"] == "text/event-stream"
        lines = events.iter_lines(chunk_size=1)
        send(server, "set_price", {"exch": "NSE", "tsym": "RELIANCE-EQ", "price": "1501.00"})
        for line in lines:
            if line.startswith(b"data: ") and any(row["lp"] == "1501.00" for row in json.loads(line[6:])["prices"]):
                break


def test_the_page_escapes_what_clients_say(server: PaperServer) -> None:
    arguments = {"account": NASTY, "exch": "NSE", "tsym": "RELIANCE-EQ", "trantype": "B", "qty": 1, "prc": "1000.00"}
    placed = send(server, "external_order", arguments | {"remarks": NASTY})
    assert placed.status_code == 200, placed.text
    page = requests.get(server.control_url + "/", timeout=BOUND_S).text
    assert placed.json()["norenordno"] in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<img" not in page
    with requests.get(server.control_url + "/events?as=html", stream=True, timeout=BOUND_S) as events:
        for line in events.iter_lines(chunk_size=1):
            assert b"<img" not in line
            if b"&lt;script&gt;" in line:
                break


def test_the_page_is_held_by_a_strict_policy_and_loads_only_from_here(server: PaperServer) -> None:
    page = requests.get(server.control_url + "/", timeout=BOUND_S)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    loaded = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
    assert loaded
    assert [url for url in loaded if not url.startswith(("/", "#")) and url != "data:,"] == []
    assert re.search(r"<script>|\son\w+=|style=", page.text) is None
    assert 'name="viewport"' in page.text
    for path in [url for url in loaded if url.startswith("/page.")]:
        assert requests.get(server.control_url + path, timeout=BOUND_S).status_code == 200


def test_every_button_of_the_page_is_a_command_that_exists(server: PaperServer) -> None:
    page = requests.get(server.control_url + "/", timeout=BOUND_S).text
    commands = set(re.findall(r'action="/control/(\w+)"', page))
    assert {"add_fault", "clear_faults", "set_price", "kill_token", "close_sockets"} <= commands
    assert commands <= {command["name"] for command in server.control("help")["commands"]}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_refused(server: PaperServer, method: str) -> None:
    assert requests.request(method, server.control_url + "/snapshot", timeout=BOUND_S).status_code == 405


def test_the_login_page_escapes_what_the_address_says(server: PaperServer) -> None:
    url = server.rest_url + "/OAuthlogin/authorize/oauth"
    page = requests.get(url, params={"client_id": NASTY, "redirect_uri": '"><script>x</script>'}, timeout=BOUND_S)
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"client_id": "A_U", "redirect_uri": "", "uid": "A", "password": "wrong", "totp": "000000"}


def test_a_refused_login_shows_the_form_again_with_the_reason(start: Start) -> None:
    account = AccountConfig(uid="A", password="right")
    url = start(ExchangeConfig(accounts=(account,))).rest_url + "/OAuthlogin/authorize/oauth"
    page = requests.post(url, data=FORM | {"redirect_uri": NASTY}, headers=BROWSER, timeout=BOUND_S)
    assert (page.status_code, page.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert "Wrong Password" in page.text
    assert "<img" not in page.text
    assert '"wrong"' not in page.text
    told = requests.post(url, data=FORM, timeout=BOUND_S)
    assert (told.status_code, told.json()["stat"]) == (401, "Not_Ok")


def test_a_login_without_a_redirect_address_shows_the_code(server: PaperServer) -> None:
    url = server.rest_url + "/OAuthlogin/authorize/oauth"
    page = requests.post(url, data=FORM, headers=BROWSER, timeout=BOUND_S)
    assert page.status_code == 200
    assert re.search(r"<code>[0-9a-f]{32}</code>", page.text)
    assert requests.post(url, data=FORM, timeout=BOUND_S).json()["code"]


def test_a_login_never_leads_to_a_script(server: PaperServer) -> None:
    form = FORM | {"redirect_uri": "javascript:alert(1)"}
    page = requests.post(server.rest_url + "/OAuthlogin/authorize/oauth", data=form, headers=BROWSER, timeout=BOUND_S)
    assert (page.status_code, page.headers.get("Location")) == (200, None)


class Forms(HTMLParser):
    """The forms of a page: their addresses and what a browser would send if nothing were typed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((told["action"], {}))
        elif tag == "input":
            self.forms[-1][1][told["name"]] = told.get("value", "")


def test_every_fault_of_the_page_works_with_one_click(server: PaperServer) -> None:
    page = Forms(requests.get(server.control_url + "/", timeout=BOUND_S).text)
    faults = [fields for action, fields in page.forms if action == "/control/add_fault"]
    assert {fields["kind"] for fields in faults} == {kind.value for kind in FaultKind}
    for fields in faults:
        url = server.control_url + "/control/add_fault"
        reply = requests.post(url, data=fields, headers={"Accept": "application/json"}, timeout=BOUND_S)
        assert reply.status_code == 200, reply.text
    assert len(server.snapshot()["faults"]) == len(FaultKind)
    assert all(fault["count"] == 1 for fault in server.snapshot()["faults"])


def test_every_switch_of_the_page_can_be_turned_and_turned_back(server: PaperServer) -> None:
    before = server.snapshot()["switches"]
    for wanted in (False, True):
        page = Forms(requests.get(server.control_url + "/", timeout=BOUND_S).text)
        switches = [fields for action, fields in page.forms if action == "/control/set_switch" and "value" in fields]
        for fields in switches:
            url = server.control_url + "/control/set_switch"
            reply = requests.post(url, data=fields, headers={"Accept": "application/json"}, timeout=BOUND_S)
            assert reply.status_code == 200, reply.text
        assert (server.snapshot()["switches"] == before) is wanted


def test_the_login_page_is_found_behind_a_prefix_too(server: PaperServer) -> None:
    for prefix in ("", "/NorenWClientAPI", "/NorenWClientAPI/"):
        page = requests.get(f"{server.rest_url}{prefix}/OAuthlogin/authorize/oauth?client_id=A_U", timeout=BOUND_S)
        assert (page.status_code, urlsplit(page.url).query) == (200, "client_id=A_U")
        assert 'value="A"' in page.text


def test_streams_of_events_are_limited_and_free_again_when_left(server: PaperServer) -> None:
    streams = [requests.get(server.control_url + "/events", stream=True, timeout=BOUND_S) for _ in range(STREAM_LIMIT)]
    assert {stream.status_code for stream in streams} == {200}
    with requests.get(server.control_url + "/events", stream=True, timeout=BOUND_S) as refused:
        assert (refused.status_code, refused.json()["error"].partition(":")[0]) == (503, "events")
    for stream in streams:
        stream.close()
    assert wait_until(lambda: requests.get(server.control_url + "/events", stream=True, timeout=BOUND_S).ok)
