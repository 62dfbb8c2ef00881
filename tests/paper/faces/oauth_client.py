"""The life of an order with norenrestapi 0.0.37, run by `test_faces_norenrestapi.py` in an environment of its own.

    python oauth_client.py REST_URL WS_URL CONTROL_URL

Stands alone on purpose: it may import that library, `requests` and nothing of ours. Prints what it saw as one JSON
object on the last line (the library prints lines of its own).
"""

from __future__ import annotations

import json
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import requests
from NorenRestApiPy.NorenApi import NorenApi

BOUND_S = 10.0
UID = "FA00037"
CLIENT_ID = "FA00037_U"
SECRET = "a secret of the app"


class Form(HTMLParser):
    """The names and values of a page's input fields."""

    def __init__(self, page):
        super().__init__()
        self.fields = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "input":
            attributes = dict(attrs)
            self.fields[attributes["name"]] = attributes.get("value", "")


class Frames:
    """The order updates that came, and waiting for them."""

    def __init__(self):
        self.items = []
        self._changed = threading.Condition()

    def add(self, frame):
        with self._changed:
            self.items.append(frame)
            self._changed.notify_all()

    def wait(self, number, report):
        def told():
            return any(frame["norenordno"] == number and frame["reporttype"] == report for frame in self.items)

        with self._changed:
            assert self._changed.wait_for(told, BOUND_S), f"no {report} of {number}: {self.items}"


def log_in(api, rest_url):
    """What a person does in the browser, then what the library does with the code."""
    url = api.getOAuthURL(rest_url + "/OAuthlogin/authorize/oauth", CLIENT_ID)
    page = requests.get(url + "&redirect_uri=http://127.0.0.1:1/back", timeout=BOUND_S)
    form = Form(page.text).fields | {"uid": UID, "password": "pw", "totp": "123456"}
    sent = requests.post(page.url, data=form, allow_redirects=False, timeout=BOUND_S)
    assert sent.status_code in (302, 303), (sent.status_code, sent.text)
    back = urlsplit(sent.headers["Location"])
    assert (back.netloc, back.path) == ("127.0.0.1:1", "/back")
    code = parse_qs(back.query)["code"][0]
    token = api.getAccessToken(code, SECRET, CLIENT_ID, UID)
    assert token is not None
    assert api.getAccessToken(code, SECRET, CLIENT_ID, UID) is None  # good once
    return token


def wait_for_session(control_url):
    """Wait until the exchange knows the socket: the library tells nobody when `ak` comes (protocol 0.1 point 9)."""
    with requests.get(control_url + "/events", stream=True, timeout=BOUND_S) as events:
        for line in events.iter_lines():
            if line.startswith(b"data: "):
                sockets = json.loads(line[6:])["sockets"]
                if any(socket["uid"] == UID and socket["state"] == "up" for socket in sockets):
                    return


def main(rest_url, ws_url, control_url):
    api = NorenApi(host=rest_url + "/NorenWClientAPI/", websocket=ws_url)
    access_token, user, _, account = log_in(api, rest_url)
    frames, opened = Frames(), []
    api.start_websocket(
        order_update_callback=frames.add, subscribe_callback=frames.add, socket_open_callback=lambda: opened.append(1)
    )
    wait_for_session(control_url)
    api.subscribe_orders()

    share = {"exchange": "NSE", "tradingsymbol": "RELIANCE-EQ"}
    low, high = quote_around(api)

    def place(price):
        return api.place_order("B", "I", quantity=2, discloseqty=0, price_type="LMT", price=price, **share)[
            "norenordno"
        ]

    resting = place(low)
    frames.wait(resting, "New")
    assert api.modify_order(resting, newquantity=3, newprice_type="LMT", newprice=low, **share)["result"] == resting
    frames.wait(resting, "Replaced")
    assert api.cancel_order(resting)["result"] == resting
    frames.wait(resting, "Canceled")
    bought = place(high)
    frames.wait(bought, "Fill")
    seen = {
        "user": user,
        "account": account,
        "token": bool(access_token),
        "opened": len(opened),
        "book": {row["norenordno"] == bought: row["status"] for row in api.get_order_book()},
        "history": [row["rpt"] for row in api.single_order_history(resting)],
        "trades": [(row["norenordno"] == bought, row["flqty"]) for row in api.get_trade_book()],
        "positions": [(row["tsym"], row["netqty"]) for row in api.get_positions()],
        "events": [frame["reporttype"] for frame in frames.items if frame.get("norenordno") == bought],
        "limits": api.get_limits()["stat"],
    }
    api.close_websocket()
    seen["logout"] = api.logout()["stat"]
    sys.stdout.write(json.dumps(seen) + "\n")


def quote_around(api):
    """A price that rests and one that trades at once, both on the tick."""
    quote = api.get_quotes("NSE", "2885")
    tick = float(quote["ti"])
    return tuple(round(round(float(quote["lp"]) * share / tick) * tick, 2) for share in (0.97, 1.02))


if __name__ == "__main__":
    main(*sys.argv[1:])
