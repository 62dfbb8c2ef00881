"""`[paper]`: what the exchange is made of, from a settings file to the exchange itself."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from actors.service import Service
from core.paper.config import (
    AccountConfig,
    ExchangeConfig,
    HoldingConfig,
    Latency,
    PriceSource,
    RateScope,
)
from core.paper.exchange import Exchange
from core.paper.faults import FaultConfig, FaultKind
from core.settings import Settings, SettingsError, exchange_config, load_settings, own_exchange
from tests.paper.world import START
from tests.support_process import ROOT, run_py

SECRET = "JBSWY3DPEHPK3PXP"
TICKS = "time,exch,token,price\n2026-11-03T09:15:00,NSE,2885,1444.40\n2026-11-03T09:15:10,NSE,2885,1445.00\n"
SYMBOLS = """Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,
NSE,2885,1,RELIANCE,RELIANCE-EQ,EQ,10,
NSE,777,1,ODD,ODD-EQ,EQ,5,
"""


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {})


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Places, without the file's name, and messages of all that is wrong, the files of `[paper]` read."""
    with pytest.raises(SettingsError) as caught:
        own_exchange(loaded(folder, text, environ))
    return {p.place.removeprefix(f"{folder / 'settings.toml'}:"): p.message for p in caught.value.problems}


def test_every_key_reaches_the_exchange(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text(TICKS, encoding="utf-8")
    (tmp_path / "NSE_symbols.txt").write_text(SYMBOLS, encoding="utf-8")
    (tmp_path / "password").write_text("the word\n", encoding="utf-8")
    settings = loaded(
        tmp_path,
        f"""
        [paper]
        prefixes = ["Own"]
        price_source = "replay"
        recording = "{tmp_path / "ticks.csv"}"
        replay_speed = 60
        symbol_files = ["{tmp_path / "NSE_symbols.txt"}"]
        walk_volatility = 0
        walk_interval_s = 0.5
        depth_levels = 3
        depth_quantity = 50
        initial_cash = 1000.50
        refuse_market_orders = true
        strict_amo = true
        strict_trgprc = true
        percent_decode_tsym = false
        require_uid_for_token = true
        check_trigger_side = false
        enforce_session_hours = true
        intraday_cutoff = "15:10"
        order_ack = false
        auto_order_updates = true
        product_key = "prd"
        login_replaces_session = false
        sockets_per_user = 1
        token_expiry_time = ""
        session_expired_status = 200
        code_lifetime_s = 60
        day_roll_time = 05:00:00
        risk_delay_s = 0.1
        exchange_delay_s = 0.2
        push_delay_s = 0.3
        delay_jitter = 0.5
        book_lag_s = 1.5
        rate_per_s = 10
        rate_per_min = 120
        rate_scope = "orders"
        [[paper.accounts]]
        uid = "FA00001"
        password_file = "{tmp_path / "password"}"
        totp_secret = "{SECRET}"
        api_secret = "api"
        vendor_code = "FA00001_U"
        cash = 5
        holdings = [{{ exch = "NSE", tsym = "ODD-EQ", quantity = 10, cost = 12.50 }}]
        registered_ips = ["10.0.0.7"]
        [[paper.accounts]]
        uid = "FA00002"
        cash = ""
        [[paper.faults]]
        kind = "book_lag"
        seconds = 0.5
        count = 0
        [[paper.faults]]
        kind = "status_spelling"
        from = "CANCELED"
        to = "CANCELLED"
        """,
    )
    config = exchange_config(settings.paper)
    assert [(i.tsym, i.tick) for i in config.instruments] == [
        ("RELIANCE-EQ", Decimal("0.1")),
        ("ODD-EQ", Decimal("0.05")),
    ]
    assert [tick.price for tick in config.ticks] == [Decimal("1444.40"), Decimal("1445.00")]
    assert config.model_copy(update={"instruments": (), "ticks": ()}) == ExchangeConfig(
        prefixes=("Own", ""),
        price_source=PriceSource.REPLAY,
        replay_speed=60,
        walk_volatility=0,
        walk_interval_s=0.5,
        depth_levels=3,
        depth_quantity=50,
        initial_cash=Decimal("1000.50"),
        refuse_market_orders=True,
        strict_amo=True,
        strict_trgprc=True,
        percent_decode_tsym=False,
        require_uid_for_token=True,
        check_trigger_side=False,
        enforce_session_hours=True,
        intraday_cutoff=time(15, 10),
        order_ack=False,
        auto_order_updates=True,
        product_key="prd",
        login_replaces_session=False,
        sockets_per_user=1,
        token_expiry_time=None,
        session_expired_status=200,
        code_lifetime_s=60,
        day_roll_time=time(5, 0),
        latency=Latency(risk_s=0.1, exchange_s=0.2, push_s=0.3, jitter=0.5),
        book_lag_s=1.5,
        rate_per_s=10,
        rate_per_min=120,
        rate_scope=RateScope.ORDERS,
        accounts=(
            AccountConfig(
                uid="FA00001",
                password="the word",
                totp_secret=SECRET,
                api_secret="api",
                vendor_code="FA00001_U",
                cash=Decimal(5),
                holdings=(HoldingConfig(exch="NSE", tsym="ODD-EQ", quantity=10, cost=Decimal("12.50")),),
                registered_ips=("10.0.0.7",),
            ),
            AccountConfig(uid="FA00002"),
        ),
        faults=(
            FaultConfig(kind=FaultKind.BOOK_LAG, seconds=0.5, count=0),
            FaultConfig.model_validate({"kind": "status_spelling", "from": "CANCELED", "to": "CANCELLED"}),
        ),
    )
    left_out = set(ExchangeConfig.model_fields) - config.model_fields_set
    assert left_out == set(), "a setting of the exchange that no key of [paper] sets"
    snapshot = Exchange(config, now=START).snapshot(START)
    assert [(f["kind"], f["count"], f["parameters"]) for f in snapshot["faults"]] == [
        ("book_lag", 0, {"seconds": 0.5}),
        ("status_spelling", 1, {"from": "CANCELED", "to": "CANCELLED"}),
    ]
    assert [(row["tsym"], row["lp"]) for row in snapshot["prices"]][:1] == [("RELIANCE-EQ", "1444.40")]


def test_symbol_files_may_be_zipped_and_named_by_the_environment(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("NSE_symbols.txt", SYMBOLS.replace("NSE,", "BSE,") if name == "b.zip" else SYMBOLS)
    environ = {"SIXSTEP_PAPER__SYMBOL_FILES": f"{tmp_path / 'a.zip'}, {tmp_path / 'b.zip'}"}
    config = exchange_config(load_settings(None, environ).paper)
    assert [i.exch for i in config.instruments] == ["NSE", "NSE", "BSE", "BSE"]


def test_all_mistakes_are_reported_at_once_each_with_its_place(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        [paper]
        price_source = "random"
        product_key = "product"
        intraday_cutoff = "3 pm"
        day_roll_time = 6
        session_expired_status = 99
        symbol_files = [5]
        [[paper.accounts]]
        password = "hunter2"
        [[paper.accounts]]
        uid = "A"
        pasword = "hunter2"
        holdings = [{ exch = "MCX", tsym = "X", quantity = 0 }]
        [[paper.faults]]
        kind = "gremlins"
        [[paper.faults]]
        kind = "drop_502"
        path = "PlaceOrdr"
        seconds = 1
        secnods = 1
        probability = 2
        """,
    )
    assert set(found) == {
        "paper.price_source",
        "paper.product_key",
        "paper.intraday_cutoff",
        "paper.day_roll_time",
        "paper.session_expired_status",
        "paper.symbol_files[1]",
        "paper.accounts[1].uid",
        "paper.accounts[2].pasword",
        "paper.accounts[2].holdings[1].exch",
        "paper.accounts[2].holdings[1].quantity",
        "paper.faults[1].kind",
        "paper.faults[2].path",
        "paper.faults[2].seconds",
        "paper.faults[2].secnods",
        "paper.faults[2].probability",
    }
    assert "hunter2" not in str(found)
    assert "did you mean password?" in found["paper.accounts[2].pasword"]
    assert "did you mean seconds?" in found["paper.faults[2].secnods"]
    assert found["paper.accounts[1].uid"].startswith("is missing. User and account id.")
    assert found["paper.faults[1].kind"].startswith("no fault 'gremlins'; there are accept_hang, ")
    assert found["paper.faults[2].path"].startswith("no endpoint 'PlaceOrdr'; there are *, QuickAuth, ")
    assert found["paper.faults[2].seconds"].startswith("drop_502 takes no seconds")
    assert "got 'random'" in found["paper.price_source"]
    assert '"15:20"' in found["paper.intraday_cutoff"]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('price_source = "replay"', "paper.recording", "is missing"),
        ('recording = "x.csv"', "paper.recording", 'make it "replay"'),
        ("accounts = 5", "paper.accounts", "[[paper.accounts]]"),
        (
            '[[paper.accounts]]\nuid = "A"\n[[paper.accounts]]\nuid = "A"',
            "paper.accounts",
            "uid A is used more than once",
        ),
        ('[[paper.accounts]]\nuid = "A"\npassword_file = "/none"', "paper.accounts[1].password_file", "cannot be read"),
        (
            '[[paper.accounts]]\nuid = "A"\npassword = "p"\npassword_file = "/none"',
            "paper.accounts[1].password_file",
            "keep one of them",
        ),
    ],
)
def test_mistakes_beyond_a_single_value(tmp_path: Path, text: str, place: str, words: str) -> None:
    found = problems(tmp_path, f"[paper]\n{text}")
    assert list(found) == [place]
    assert words in found[place]


def test_a_list_of_tables_does_not_come_from_the_environment() -> None:
    with pytest.raises(SettingsError, match=r"SIXSTEP_PAPER__ACCOUNTS: must be written in the settings file"):
        load_settings(None, {"SIXSTEP_PAPER__ACCOUNTS": "FA00001"})


def test_files_that_cannot_be_used_are_named_with_the_row(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text("time,exch,token,price\nyesterday,NSE,2885,1\n", encoding="utf-8")
    (tmp_path / "symbols.txt").write_text("Exchange,Token\nNSE,1\n", encoding="utf-8")
    text = f"""
        [paper]
        price_source = "replay"
        recording = "{tmp_path / "ticks.csv"}"
        symbol_files = ["{tmp_path / "symbols.txt"}", "{tmp_path / "none.zip"}"]
        [[paper.accounts]]
        uid = "A"
        totp_secret = "not base 32!"
    """
    with pytest.raises(SettingsError) as caught:
        exchange_config(loaded(tmp_path, text).paper)
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 4
    assert told[0].startswith(f"paper.symbol_files: {tmp_path / 'symbols.txt'}: symbol file: no column ")
    assert told[1] == f"paper.symbol_files: {tmp_path / 'none.zip'}: No such file or directory"
    assert told[2].startswith(f"paper.recording: {tmp_path / 'ticks.csv'}: ticks, row 2: ")
    assert told[3] == "paper.accounts[1].totp_secret: must be a base 32 text: A-Z and 2-7"


def test_names_that_are_not_listed_are_told(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text(TICKS.replace("2885", "999999"), encoding="utf-8")
    text = f"""
        [paper]
        price_source = "replay"
        recording = "{tmp_path / "ticks.csv"}"
        [[paper.accounts]]
        uid = "PAPER"
        holdings = [{{ exch = "NSE", tsym = "NOBODY-EQ", quantity = 1 }}]
    """
    found = problems(tmp_path, text)
    assert "NSE:NOBODY-EQ is no share listed here" in found["paper.accounts[1].holdings"]
    assert "token 999999 of NSE" in found["paper.recording"]


# The service and its own exchange.

NAMED = f"""
[[paper.accounts]]
uid = "FA00001"
password = "the word"
totp_secret = "{SECRET}"
api_secret = "the key"
vendor_code = "FA00001_U"
"""


def test_the_service_must_be_one_of_the_accounts_that_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, NAMED)
    assert list(found) == ["broker.user_id"]
    assert "is PAPER, and [[paper.accounts]] names only FA00001: make user_id one of them" in found["broker.user_id"]
    found = problems(tmp_path, '[broker]\nuser_id = "FA00001"\npassword = "another"' + NAMED)
    assert list(found) == ["broker.password"]
    assert "another" not in str(found)
    assert "the word" not in str(found)


def test_alone_the_exchange_does_not_mind_who_the_service_would_be(tmp_path: Path) -> None:
    assert [account.uid for account in exchange_config(loaded(tmp_path, NAMED).paper).accounts] == ["FA00001"]


def test_the_service_logs_in_with_what_the_named_account_knows(tmp_path: Path) -> None:
    text = f'[service]\ndata_dir = "{tmp_path}"\n[web]\nport = 0\n[broker]\nuser_id = "FA00001"{NAMED}'
    service = Service(loaded(tmp_path, text))
    service.start()
    try:
        assert service.wait_ready(20)
        assert service.paper is not None
        (account,) = service.paper.snapshot()["accounts"]
        assert (account["uid"], account["sessions"]) == ("FA00001", 1)
    finally:
        assert service.stop() == []


def test_secrets_of_accounts_are_not_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, NAMED)
    shown = repr(settings) + settings.model_dump_json() + repr(exchange_config(settings.paper))
    assert not [secret for secret in ("the word", SECRET, "the key") if secret in shown]
    with pytest.raises(ValueError, match="totp_secret") as caught:
        AccountConfig(uid="A", totp_secret="hunter2!")
    assert "hunter2" not in str(caught.value)


# The command line.


def test_run_paper_serves_what_the_settings_say(tmp_path: Path) -> None:
    loaded(tmp_path, f'[paper]\nprice_source = "manual"\n{NAMED}[[paper.faults]]\nkind = "drop_502"\n')
    process = subprocess.Popen(
        [sys.executable, "run.py", "--settings", str(tmp_path / "settings.toml"), "paper", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        urls = json.loads(process.stdout.readline())
        snapshot = requests.get(urls["control"] + "/snapshot", timeout=10).json()
        assert snapshot["source"] == "manual"
        assert [fault["kind"] for fault in snapshot["faults"]] == ["drop_502"]
        assert [account["uid"] for account in snapshot["accounts"]] == ["FA00001"]
        stranger = 'jData={"uid":"FA00009","pwd":"x","factor2":"1"}'
        refused = requests.post(urls["host"] + "/NorenWClientTP/QuickAuth", data=stranger, timeout=10).json()
        assert refused["emsg"] == "Invalid Input : Wrong Password"
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("command", ["paper", "run", "check-settings"])
def test_a_recording_that_cannot_be_read_ends_the_command_with_its_place(tmp_path: Path, command: str) -> None:
    loaded(tmp_path, f'[paper]\nprice_source = "replay"\nrecording = "{tmp_path / "none.csv"}"\n')
    done = run_py("--settings", str(tmp_path / "settings.toml"), command, process=command == "run")
    assert done.returncode == 2
    assert f"error: paper.recording: {tmp_path / 'none.csv'}: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
