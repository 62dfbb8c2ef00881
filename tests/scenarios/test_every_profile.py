"""Every shipped profile logs in at the paper exchange, where `[broker] host` points, and trades a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from core.cli.login import BrowserLogin
from core.model.order import ExecutionType, Side, Status
from core.noren import PROFILES, LoginStyle, profile
from core.paper.config import AccountConfig, ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.settings import load_for_login
from tests.scenarios.orders import marketable
from tests.support import roll_time
from tests.support_service import running

UID, KEY, SECRET = "FA00001", "FA00001_U", "api-secret"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PREFIX = {"flattrade": "PiConnectAPI", "tradesmart": "NorenWClientAPIv2", "noren-gen1": "NorenWClientTP"}
ELSEWHERE = sorted(set(PROFILES) - {"paper"})


@pytest.fixture
def strict() -> Iterator[PaperServer]:
    """An exchange that knows one account, and checks every part of its login."""
    account = AccountConfig(uid=UID, password="pass", totp_secret=TOTP, api_secret=SECRET, vendor_code=KEY)
    config = ExchangeConfig(
        accounts=(account,), walk_volatility=0, token_expiry_time=None, day_roll_time=roll_time(), order_ack=True
    )
    server = PaperServer(config, clock=SystemClock())
    server.start()
    server.control("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "1500"})
    yield server
    server.stop()


def environ_of(name: str, exchange: PaperServer) -> dict[str, str]:
    return {
        "SIXSTEP_BROKER__PROFILE": name,
        "SIXSTEP_BROKER__HOST": f"{exchange.rest_url}/{PREFIX.get(name, 'NorenWClientAPI')}",
        "SIXSTEP_BROKER__WEBSOCKET": exchange.ws_url,
        "SIXSTEP_BROKER__USER_ID": UID,
        "SIXSTEP_BROKER__PASSWORD": "pass",
        "SIXSTEP_BROKER__TOTP_SECRET": TOTP,
        "SIXSTEP_BROKER__VENDOR_CODE": KEY,
        "SIXSTEP_BROKER__API_SECRET": SECRET,
    }


def token_by_browser(environ: dict[str, str]) -> str:
    """What `run.py login` does: the page, a person who logs in there, the code, the token."""
    import pyotp

    begun = BrowserLogin(load_for_login(None, environ)[0])
    page = requests.get(begun.address, timeout=10)
    assert KEY in page.text, "the page knows for whom it is"
    form = {
        "client_id": KEY,
        "redirect_uri": "http://127.0.0.1:9/back",
        "uid": UID,
        "password": "pass",
        "totp": pyotp.TOTP(TOTP).now(),
    }
    reply = requests.post(begun.address, data=form, allow_redirects=False, timeout=10)
    assert reply.status_code == 302, reply.text
    (code,) = parse_qs(urlsplit(reply.headers["Location"]).query)["code"]
    return begun.token(code)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_t29_every_shipped_profile_logs_in_at_the_paper_exchange_and_trades_a_round_trip(
    name: str, strict: PaperServer, tmp_path: Path
) -> None:
    environ = environ_of(name, strict)
    if PROFILES[name].login is LoginStyle.OAUTH_CODE:
        environ["SIXSTEP_BROKER__ACCESS_TOKEN"] = token_by_browser(environ)
    with running(tmp_path, exchange=strict, **environ) as run:
        bought = run.submit(marketable())
        run.wait_for(bought.command_id, "EXECUTED")
        run.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        sold = run.submit(marketable(ExecutionType.EXIT, Side.SELL))
        assert run.wait_for(sold.command_id, "EXECUTED")["status"] == Status.EXECUTED.value
        run.wait_for_guard([])
        [position] = run.snapshot()["positions"]
        assert (position["account"], position["netqty"]) == (UID, 0)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_t28_with_a_host_of_its_own_nothing_of_the_login_goes_to_the_broker_it_is_named_after(name: str) -> None:
    moved = profile(name, host="http://127.0.0.1:9001/X", websocket="ws://127.0.0.1:9002/")
    addresses = [moved.host, moved.websocket]
    if moved.code_exchange is not None:
        exchange = moved.code_exchange
        addresses += [exchange.authorize_url, exchange.url if "://" in exchange.url else moved.host + exchange.url]
    assert {urlsplit(address).hostname for address in addresses} == {"127.0.0.1"}


@pytest.mark.parametrize("name", [name for name in ELSEWHERE if PROFILES[name].code_exchange is not None])
def test_t28_at_the_brokers_own_server_the_login_stays_where_the_broker_has_it(name: str) -> None:
    official = PROFILES[name]
    assert profile(name).code_exchange == official.code_exchange
    other_path = official.host.rpartition("/")[0] + "/NorenWClientOther"
    assert profile(name, host=other_path).code_exchange == official.code_exchange
