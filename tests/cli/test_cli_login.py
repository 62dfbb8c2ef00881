"""`run.py login` against the paper exchange: the page a person opens, the code, the token where settings expect it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from core.cli.login import BrowserLogin
from core.model.outcomes import LoggedIn
from core.noren import NorenClient, profile
from core.noren.credentials import Credentials
from core.paper.config import AccountConfig, ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.settings import load_for_login, load_settings
from tests.cli.test_cli import one_line
from tests.support_process import run_py

BACK = "http://127.0.0.1:9/back?from=broker"


@pytest.fixture
def exchange() -> Iterator[PaperServer]:
    account = AccountConfig(uid="FA00001", password="pass", api_secret="api-secret", vendor_code="FA00001_U")
    server = PaperServer(ExchangeConfig(accounts=(account,)), clock=SystemClock())
    server.start()
    yield server
    server.stop()


def environ_at(exchange: PaperServer, **more: str) -> dict[str, str]:
    return {
        "SIXSTEP_BROKER__PROFILE": "shoonya",
        "SIXSTEP_BROKER__HOST": f"{exchange.rest_url}/NorenWClientAPI",
        "SIXSTEP_BROKER__WEBSOCKET": exchange.ws_url,
        "SIXSTEP_BROKER__USER_ID": "FA00001",
        "SIXSTEP_BROKER__VENDOR_CODE": "FA00001_U",
        "SIXSTEP_BROKER__API_SECRET": "api-secret",
        **more,
    }


def brought_back(environ: dict[str, str]) -> str:
    """The address a person's browser ends at, after the page of the address that the login prints."""
    page = BrowserLogin(load_for_login(None, environ)[0]).address
    client_id = parse_qs(urlsplit(page).query)["client_id"][0]
    form = {"client_id": client_id, "redirect_uri": BACK, "uid": "FA00001", "password": "pass", "totp": ""}
    reply = requests.post(page, data=form, allow_redirects=False, timeout=10)
    assert reply.status_code == 302, reply.text
    return reply.headers["Location"]


def login(environ: dict[str, str], given: str, *arguments: str) -> CompletedProcess[str]:
    return run_py("login", *arguments, environ=environ, stdin=f"{given}\n")


def opens_a_session(exchange: PaperServer, token: str) -> bool:
    client = NorenClient(
        profile("shoonya", host=f"{exchange.rest_url}/NorenWClientAPI"),
        Credentials(user_id="FA00001", access_token=token),
        clock=SystemClock(),
        connect_timeout_s=5,
        read_timeout_s=5,
    )
    outcome = client.login()
    client.close()
    return isinstance(outcome, LoggedIn)


def test_the_token_is_kept_where_settings_look_for_it_readable_by_its_owner_alone(
    exchange: PaperServer, tmp_path: Path
) -> None:
    file = tmp_path / "access_token"
    environ = environ_at(exchange, SIXSTEP_BROKER__ACCESS_TOKEN_FILE=str(file))
    done = login(environ, brought_back(environ))
    assert done.returncode == 0, done.stderr
    assert f"open {exchange.rest_url}/OAuthlogin/authorize/oauth?client_id=FA00001_U" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    secret = load_settings(None, environ).broker.access_token
    assert secret is not None
    assert secret.get_secret_value() not in done.stdout + done.stderr
    assert opens_a_session(exchange, secret.get_secret_value())
    # Tomorrow's takes its place.
    assert login(environ, brought_back(environ)).returncode == 0
    assert file.read_text() != f"{secret.get_secret_value()}\n"
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_file_the_token_alone_is_printed_and_the_bare_code_will_do(exchange: PaperServer) -> None:
    environ = environ_at(exchange)
    (code,) = parse_qs(urlsplit(brought_back(environ)).query)["code"]
    done = login(environ, code)
    assert re.fullmatch(r"\S+\n", done.stdout), done
    assert opens_a_session(exchange, done.stdout.strip())
    (code,) = parse_qs(urlsplit(brought_back(environ)).query)["code"]
    assert set(json.loads(login(environ, code, "--json").stdout)) == {"access_token"}


def test_a_code_the_broker_refuses_is_told_in_its_words_and_nothing_is_kept(
    exchange: PaperServer, tmp_path: Path
) -> None:
    file = tmp_path / "access_token"
    environ = environ_at(exchange, SIXSTEP_BROKER__ACCESS_TOKEN_FILE=str(file))
    done = login(environ, "0123456789abcdef")
    assert (done.returncode, done.stdout) == (1, "")
    assert "INVALID_VERIFIER" in done.stderr
    assert "0123456789abcdef" not in done.stderr
    assert not file.exists()


@pytest.mark.parametrize("given", ["", "http://127.0.0.1/back?error=denied"])
def test_an_answer_without_a_code_goes_no_further(exchange: PaperServer, given: str) -> None:
    done = login(environ_at(exchange), given)
    assert done.returncode == 1
    assert "there is no code in it" in done.stderr


def test_what_the_login_needs_is_named() -> None:
    environ = {"SIXSTEP_BROKER__PROFILE": "shoonya", "SIXSTEP_BROKER__USER_ID": "FA00001"}
    done = login(environ, "x")
    assert one_line(done.stderr) == "error: missing in [broker]: vendor_code, api_secret; the login needs it\n"
    assert "logs in by itself" in one_line(login({}, "x").stderr)
