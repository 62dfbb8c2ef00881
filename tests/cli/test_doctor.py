"""`run.py doctor`: what it finds, what it leaves alone, and what it says to do."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyotp
import pytest
import requests

from actors.service import Service, broker_client, push_feed
from actors.strategy_classes import strategy_classes
from core.cli import CliError
from core.cli.doctor import Asked, Makers, doctor
from core.files.instance import InstanceLock
from core.model.outcomes import LoggedIn
from core.noren import NorenClient, profile
from core.noren.credentials import Credentials
from core.paper.config import AccountConfig, ExchangeConfig
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.settings import load_settings
from core.store import Owner, Store
from tests.cli.test_cli import one_line
from tests.support import wait_until
from tests.support_process import lasting_ports, run_py
from tests.telegram.bot_api import CHAT, TOKEN, bot_api

CLOCK = SystemClock()
MAKERS = Makers(
    client=lambda settings, broker: broker_client(settings, broker, CLOCK, None),
    feed=lambda settings, broker, deliver: push_feed(settings, broker, CLOCK, deliver),
    strategies=strategy_classes,
)
TOTP = pyotp.random_base32()


class Person:
    """Somebody at the keyboard, with settings in the environment and a folder of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        for name in [name for name in os.environ if name.startswith("SIXSTEP_")]:
            monkeypatch.delenv(name)
        [port] = lasting_ports(1)
        self.set(WEB__PORT=port, SERVICE__DATA_DIR=folder / "data")

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self._monkeypatch.setenv(f"SIXSTEP_{name}", str(value))

    def at(self, exchange: PaperServer, prefix: str = "NorenWClientTP") -> None:
        """The broker is this exchange."""
        self.set(
            BROKER__PROFILE="noren-gen1",
            BROKER__HOST=f"{exchange.rest_url}/{prefix}",
            BROKER__WEBSOCKET=exchange.ws_url,
            BROKER__USER_ID="FA00001",
            BROKER__PASSWORD="pass",
            BROKER__TOTP_SECRET=TOTP,
            BROKER__VENDOR_CODE="FA00001_U",
            BROKER__API_SECRET="api-secret",
            BROKER__CONNECT_TIMEOUT_S="30",
            BROKER__READ_TIMEOUT_S="30",
        )

    def asks(self, **asked: Any) -> dict[str, list[dict[str, str]]]:
        """The report, by name of the check."""
        failed = False
        try:
            text = doctor(None, self.folder, MAKERS, Asked(**asked), CLOCK, as_json=True)
        except CliError as error:
            text, failed = error.output or "", True
        assert json.loads(text)["ok"] is not failed
        found: dict[str, list[dict[str, str]]] = {}
        for line in json.loads(text)["checks"]:
            found.setdefault(line["name"], []).append(line)
        return found

    def verdict(self, name: str, **asked: Any) -> tuple[str, str]:
        (line,) = self.asks(**asked)[name]
        return line["verdict"], line["found"]


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(tmp_path, monkeypatch)


@pytest.fixture
def exchange() -> Iterator[PaperServer]:
    account = AccountConfig(
        uid="FA00001", password="pass", totp_secret=TOTP, api_secret="api-secret", vendor_code="FA00001_U"
    )
    server = PaperServer(ExchangeConfig(accounts=(account,)), clock=CLOCK)
    server.start()
    yield server
    server.stop()


@contextmanager
def web_server(status: int = 404, *, ahead_s: float | None = 0.0) -> Iterator[str]:
    """Something that answers every GET like this, with a clock so far ahead, or without one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            if ahead_s is not None:
                date = (CLOCK.now() + timedelta(seconds=ahead_s)).replace(microsecond=0)
                self.send_header("Date", format_datetime(date, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/NorenWClientTP"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# On this machine.


def test_on_paper_all_is_well_nothing_is_called_and_nothing_is_made(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: called.append(address))
    found = person.asks()
    # The lists of holidays end with a year, which is warned of before: `rules/test_market_hours.py`.
    assert found.pop("holidays")
    assert {line["verdict"] for lines in found.values() for line in lines} == {"ok", "skip"}
    assert called == []
    assert list(person.folder.iterdir()) == []


def test_a_port_that_another_program_has_is_a_failure_with_exit_code_1(person: Person) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environ = {"SIXSTEP_WEB__PORT": str(port), "SIXSTEP_SERVICE__DATA_DIR": str(person.folder / "data")}
        done = run_py("doctor", "--json", environ=environ)
    assert done.returncode == 1
    assert "checks failed: web port" in one_line(done.stderr)
    found = json.loads(done.stdout)
    (line,) = [line for line in found["checks"] if line["verdict"] == "fail"]
    assert not found["ok"]
    assert str(port) in line["found"]
    assert "another [web] host or port" in line["to_do"]


def test_mistakes_in_the_settings_are_all_told_and_doubts_are_warnings(person: Person) -> None:
    person.set(WATCHER__INTERVAL_S="0.1")
    assert [line["verdict"] for line in person.asks()["settings"]] == ["ok", "warn"]
    person.set(WEB__PORT="x", RISK__MAX_LOSS="y")
    lines = person.asks()["settings"]
    assert [line["verdict"] for line in lines] == ["fail", "fail"]


def test_a_data_dir_that_cannot_be_made_and_a_full_disk_are_told(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 5_000_000})())
    verdict, found = person.verdict("disk")
    assert verdict == "warn"
    assert "0.0 GB free" in found
    (person.folder / "data").write_text("a file")
    assert person.verdict("disk") == ("fail", f"[service] data_dir: {person.folder}/data is a file; name a directory")


def test_another_users_record_is_not_touched(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    (person.folder / "data").mkdir()
    us = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: us + 1)
    found = person.asks()
    assert found["user"][0]["verdict"] == "fail"
    assert found.keys() == {"python", "settings", "user"}, "their lock, token and session are theirs too"


def record(person: Person, owner: Owner) -> Store:
    (person.folder / "data").mkdir()
    store = Store.open(f"sqlite:///{person.folder}/data/sixstep.db")
    with store.transaction():
        store.claim(owner, CLOCK.now())
    return store


def test_a_sound_database_and_one_with_a_contradiction(person: Person) -> None:
    store = record(person, Owner("paper", "", "PAPER"))
    assert person.verdict("database") == ("ok", "sound, of account PAPER of paper")
    with store.transaction():
        store.database.write(
            "INSERT INTO positions (account, strategy, exchange, symbol, product, quantity, average_price, updated_at) "
            "VALUES ('PAPER', 'a', 'NSE', 'INFY-EQ', 'MIS', 5, '10', '2026-11-23T06:30:00+00:00')"
        )
    store.close()
    verdict, told = person.verdict("database")
    assert verdict == "fail"
    assert told.startswith("1 contradiction(s)")


def test_a_database_of_another_account_is_a_failure(person: Person) -> None:
    record(person, Owner("shoonya", "api.shoonya.com", "FA00001")).close()
    (line,) = person.asks()["database"]
    assert line["verdict"] == "fail"
    assert "account FA00001 of shoonya" in line["found"]
    assert "name another [database] url" in line["to_do"]


def test_a_lock_tells_its_holder_and_asking_takes_nothing(tmp_path: Path) -> None:
    lock, other = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    assert other.holder() is None
    assert not (tmp_path / "lock").exists()
    lock.acquire()
    assert f"process {os.getpid()}" in str(other.holder())
    lock.release()
    assert other.holder() is None
    other.acquire()
    other.release()


def test_backups_by_the_age_of_the_newest(person: Person) -> None:
    folder = person.folder / "backup"
    assert person.verdict("backups")[0] == "skip"
    assert person.verdict("backups", backups=folder)[0] == "fail"
    folder.mkdir()
    (folder / "empty.db").touch()
    assert person.verdict("backups", backups=folder) == ("fail", f"there is none in {folder}")
    old, new = folder / "old.db", folder / "new.db"
    for file, age in ((old, timedelta(days=3)), (new, timedelta(hours=5))):
        file.write_text("rows")
        at = (CLOCK.now() - age).timestamp()
        os.utime(file, (at, at))
    assert person.verdict("backups", backups=folder)[0] == "ok"
    new.unlink()
    assert person.verdict("backups", backups=folder)[0] == "warn"


# Beside a service.


def test_a_running_service_is_asked_and_what_it_holds_is_left_alone(person: Person) -> None:
    person.set(LIMITS__BROKER_CALLS_PER_S=1000, LIMITS__BROKER_CALLS_PER_MIN=50_000, RISK__PNL_MAX_AGE_S=600)
    service = Service(load_settings(None))
    service.start()
    try:
        assert service.wait_ready(120)
        names = ("service", "database", "trading", "push feed")
        wait_until(lambda: {person.verdict(name)[0] for name in names} == {"ok"}, 120)
        found = person.asks()
        assert f"process {os.getpid()}" in found["service"][0]["found"]
        assert "web port" not in found, "the port is the service's own"
        assert service.web is not None
        requests.post(f"{service.web.url}/api/halt", json={"reason": "news"}, timeout=60)
        wait_until(lambda: person.verdict("trading") == ("warn", "halted: news"))
    finally:
        service.stop()


def test_a_service_that_does_not_answer_is_a_failure(person: Person) -> None:
    (person.folder / "data").mkdir()
    lock = InstanceLock(person.folder / "data" / "sixstep.db.lock")
    lock.acquire()
    try:
        verdict, found = person.verdict("service")
    finally:
        lock.release()
    assert verdict == "fail"
    assert "works on this record, but: no service runs at" in found


# The way to the broker.


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "found"),
    [
        (0, "ok", "goes with the broker's"),
        (-600, "fail", "ahead of the broker's"),
        (600, "fail", "behind the broker's"),
        (None, "warn", "the broker says no time"),
    ],
)
def test_the_clock_is_compared_with_the_brokers_answer(
    person: Person, exchange: PaperServer, ahead_s: float | None, verdict: str, found: str
) -> None:
    person.at(exchange)
    with web_server(ahead_s=ahead_s) as url:
        person.set(BROKER__HOST=url)
        told = person.verdict("clock")
    assert told[0] == verdict
    assert found in told[1]


def test_the_network_is_judged_by_any_answer(person: Person, exchange: PaperServer) -> None:
    person.at(exchange)
    assert person.verdict("network")[0] == "ok"
    assert person.verdict("address") == ("skip", "the broker is on this machine")
    person.set(BROKER__HOST=exchange.rest_url.replace("http:", "https:"))
    verdict, found = person.verdict("network")
    assert verdict == "fail"
    assert "TLS fails" in found
    with web_server(502) as url:
        person.set(BROKER__HOST=url)
        assert person.verdict("network")[0] == "warn"
    person.set(BROKER__HOST=url)
    verdict, found = person.verdict("network")
    assert verdict == "fail"
    assert "refused" in found


# The session.


def logged_in(exchange: PaperServer) -> NorenClient:
    client = NorenClient(
        profile("noren-gen1", host=f"{exchange.rest_url}/NorenWClientTP", websocket=exchange.ws_url),
        Credentials(
            user_id="FA00001", password="pass", totp_secret=TOTP, vendor_code="FA00001_U", api_secret="api-secret"
        ),
        clock=CLOCK,
        connect_timeout_s=5,
        read_timeout_s=30,
    )
    assert isinstance(client.login(), LoggedIn)
    return client


def test_a_login_is_made_only_when_asked_for_because_it_ends_other_sessions(
    person: Person, exchange: PaperServer
) -> None:
    person.at(exchange)
    earlier = logged_in(exchange)
    assert person.verdict("login") == ("skip", "not tried: at many brokers a login ends another session")
    assert earlier.limits() is not None, "the session of before goes on"
    found = person.asks(login=True)
    told = {name: found[name][0] for name in ("login", "rights", "quote", "push feed")}
    assert {line["verdict"] for line in told.values()} == {"ok"}, told
    assert "exchanges NSE, NFO" in told["rights"]["found"]
    assert "products C, M, I" in told["rights"]["found"]
    assert told["quote"]["found"].startswith("NSE:INFY-EQ at ")
    earlier.close()
    person.set(BROKER__PASSWORD="another one")
    (person.folder / "data" / "broker-session").unlink()
    assert person.verdict("login", login=True)[0] == "fail"


def test_a_token_that_is_there_is_tried_without_a_login(person: Person, exchange: PaperServer) -> None:
    person.at(exchange)
    client = logged_in(exchange)
    file = person.folder / "token"
    file.write_text(str(client.session_token))
    file.chmod(0o600)
    client.close()
    person.set(BROKER__PROFILE="shoonya", BROKER__ACCESS_TOKEN_FILE=file)
    found = person.asks()
    told = {name: found[name][0]["verdict"] for name in ("token", "login", "rights", "quote", "push feed")}
    assert told == {"token": "ok", "login": "ok", "rights": "ok", "quote": "ok", "push feed": "skip"}, found
    at = (CLOCK.now() - timedelta(days=2)).timestamp()
    os.utime(file, (at, at))
    assert person.verdict("token")[0] == "warn"
    file.write_text("another")
    assert person.verdict("login")[0] == "fail"
    file.unlink()
    found = person.asks()
    assert (found["token"][0]["verdict"], found["token"][0]["to_do"]) == ("fail", "python run.py login")
    assert found["settings"][0]["verdict"] == "ok", "the day's token alone is missing"
    assert "login" not in found


def test_telegram_is_sent_a_message_only_when_asked_to(person: Person) -> None:
    assert person.verdict("telegram")[0] == "skip"
    assert person.verdict("telegram", telegram=True)[0] == "fail"
    with bot_api() as api:
        person.set(TELEGRAM__TOKEN=TOKEN, TELEGRAM__CHAT_ID=CHAT, TELEGRAM__BASE_URL=api.url)
        assert person.verdict("telegram")[0] == "skip"
        assert api.sent == []
        assert person.verdict("telegram", telegram=True)[0] == "ok"
        assert api.sent == [(str(CHAT), "Sixstep doctor: alerts reach this chat.")]
        api.failures = [(403, {"description": "bot was kicked"})]
        verdict, found = person.verdict("telegram", telegram=True)
    assert verdict == "fail"
    assert "kicked" in found
