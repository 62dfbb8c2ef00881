"""What a browser sends here for a page of another site is refused on the ports of the broker; programs are not."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
import requests
import websocket

from core.paper.server import PaperServer
from tests.paper.faces.clients import BOUND_S, Start

LOGIN = 'jData={"uid":"U1","pwd":"x","factor2":"1","appkey":"x","source":"API"}'
FOREIGN = [
    {"Origin": "http://elsewhere.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "rebound.example"},
    {"Host": "rebound.example", "Origin": "http://rebound.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.fixture
def server(start: Start) -> PaperServer:
    return start()


def logged_in(server: PaperServer, **headers: str) -> requests.Response:
    url = f"{server.rest_url}/NorenWClientTP/QuickAuth"
    return requests.post(url, data=LOGIN, headers=headers, timeout=BOUND_S)


@pytest.mark.parametrize("headers", FOREIGN)
def test_s8_a_page_of_another_site_reaches_no_call_and_no_login(server: PaperServer, headers: dict[str, str]) -> None:
    reply = logged_in(server, **headers)
    assert reply.status_code == 403, reply.text
    assert reply.text.startswith(next(iter(headers)))
    form = {"client_id": "U1_U", "uid": "U1", "password": "x", "totp": "1"}
    page = f"{server.rest_url}/OAuthlogin/authorize/oauth"
    assert requests.post(page, data=form, headers=headers, timeout=BOUND_S).status_code == 403
    assert server.snapshot()["accounts"] == [], "nothing reached the exchange"


@pytest.mark.parametrize("headers", FOREIGN)
def test_s8_a_page_of_another_site_opens_no_push_feed(server: PaperServer, headers: dict[str, str]) -> None:
    sent = [f"{name}: {value}" for name, value in headers.items() if name not in {"Host", "Origin"}]
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(
            server.ws_url,
            timeout=BOUND_S,
            header=sent,
            host=headers.get("Host"),
            origin=headers.get("Origin"),
            suppress_origin="Origin" not in headers,
        )
    assert server.snapshot()["sockets"] == []


def test_s8_programs_our_own_page_and_a_link_to_the_login_are_served(server: PaperServer) -> None:
    port = urlsplit(server.rest_url).port
    for headers in (
        {},
        {"Host": f"localhost:{port}"},
        {"Host": f"[::1]:{port}"},
        {"Origin": server.rest_url, "Sec-Fetch-Site": "same-origin"},
        # A browser's form on a page that names no referrer.
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    ):
        assert logged_in(server, **headers).json()["stat"] == "Ok", headers
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    page = f"{server.rest_url}/OAuthlogin/authorize/oauth?client_id=U1_U"
    assert requests.get(page, headers=link, timeout=BOUND_S).status_code == 200
    rebound = {"Host": "rebound.example"}
    assert requests.get(page, headers=rebound, timeout=BOUND_S).status_code == 403


@pytest.mark.parametrize("without_origin", [True, False])
def test_s8_a_program_opens_the_push_feed_with_and_without_an_origin(
    server: PaperServer, *, without_origin: bool
) -> None:
    token = logged_in(server).json()["susertoken"]
    # The clients' library writes the address it speaks to into Origin unless told otherwise.
    socket = websocket.create_connection(server.ws_url, timeout=BOUND_S, suppress_origin=without_origin)
    socket.send(json.dumps({"t": "c", "uid": "U1", "actid": "U1", "source": "API", "susertoken": token}))
    assert json.loads(socket.recv())["s"] == "OK"
    socket.close()
