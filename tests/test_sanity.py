"""G23, S7, S12: settings that cannot be meant are refused or warned of, each with its reason, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.settings import Settings, SettingsError, load_settings
from tests.test_new_user import run_py

LIVE = {
    "SIXSTEP_BROKER__PROFILE": "shoonya",
    "SIXSTEP_BROKER__USER_ID": "FA1",
    "SIXSTEP_BROKER__ACCESS_TOKEN": "token",
    "SIXSTEP_SERVICE__DATA_DIR": "/var/lib/sixstep",
}
PRACTICE = LIVE | {
    "SIXSTEP_BROKER__HOST": "http://127.0.0.1:9/NorenWClientAPI",
    "SIXSTEP_BROKER__WEBSOCKET": "ws://127.0.0.1:9/",
}


def refused(environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ)
    return {problem.place: problem.message for problem in caught.value.problems}


def warned(environ: dict[str, str]) -> dict[str, str]:
    return {warning.place: warning.message for warning in load_settings(None, environ).warnings}


def test_g23_a_sound_live_profile_is_neither_refused_nor_warned_of() -> None:
    assert warned(LIVE) == {}
    assert warned(PRACTICE) == {}
    assert warned({}) == {}
    assert Settings().warnings == ()


NO_LIMITS = {
    f"SIXSTEP_RISK__{key}": "0"
    for key in (
        "MAX_DAILY_LOSS",
        "MAX_LOSS",
        "MAX_ORDER_QUANTITY",
        "MAX_ORDER_VALUE",
        "MAX_OPEN_ORDERS",
        "MAX_ORDERS_PER_DAY",
    )
}
CANNOT_BE_MEANT = [
    ({"SIXSTEP_BROKER__HOST": "http://api.example.com/NorenWClientAPI"}, "write https://"),
    ({"SIXSTEP_BROKER__WEBSOCKET": "ws://api.example.com/NorenWSAPI/"}, "write wss://"),
    ({"SIXSTEP_SERVICE__TIMEZONE": "America/New_York"}, 'write "Asia/Kolkata"'),
    ({"SIXSTEP_BROKER__ABSENCE_GRACE_S": "0.01"}, "is 0.01, below 5: an order that"),
    ({"SIXSTEP_LIMITS__SEND_DEADLINE_S": "1800", "SIXSTEP_LIMITS__EXIT_DEADLINE_S": "3600"}, "make it at most 300"),
    ({"SIXSTEP_LIMITS__SEND_DEADLINE_S": "0.1"}, "make it at least 1"),
    ({"SIXSTEP_LIMITS__EXIT_DEADLINE_S": "2", "SIXSTEP_LIMITS__SEND_DEADLINE_S": "2"}, "make it at least 10"),
    ({"SIXSTEP_LIMITS__MAILBOX_LETTERS": "1"}, "make it at least 100"),
    ({"SIXSTEP_BROKER__READ_TIMEOUT_S": "0.01"}, "make it at least 1"),
    ({"SIXSTEP_BROKER__READ_TIMEOUT_S": "3600"}, "make it at most 60"),
    ({"SIXSTEP_WATCHER__INTERVAL_S": "3600"}, "make it at most 30"),
    ({"SIXSTEP_RISK__PNL_MAX_AGE_S": "86400"}, "make it at most 300"),
    ({"SIXSTEP_BROKER__TOTP_SECRET": "123456"}, "give the secret itself"),
    (NO_LIMITS, "nothing would stop a program that errs"),
]


@pytest.mark.parametrize(("environ", "told"), CANNOT_BE_MEANT)
def test_g23_what_cannot_be_meant_with_real_money_is_refused_and_says_why(environ: dict[str, str], told: str) -> None:
    found = refused(LIVE | environ)
    assert len(found) == 1
    place, message = found.popitem()
    assert place in {*environ, f"settings:{place}"}, "the place that was written"
    assert told in message


def test_g23_all_of_them_are_told_at_once_with_the_mistakes() -> None:
    environ = {name: value for one, _ in CANNOT_BE_MEANT[:4] for name, value in one.items()}
    environ |= {"SIXSTEP_WEB__PORT": "-1", "SIXSTEP_LIMITS__EXIT_DEADLINE_S": "86400"}
    found = refused(LIVE | environ | {"SIXSTEP_LIMITS__SEND_DEADLINE_S": "86400"})
    assert set(found) == {*environ, "SIXSTEP_LIMITS__SEND_DEADLINE_S"}


@pytest.mark.parametrize(("environ", "told"), [one for one in CANNOT_BE_MEANT if "_BROKER__HOST" not in str(one)][2:])
def test_g23_at_an_exchange_on_this_machine_it_is_a_warning(environ: dict[str, str], told: str) -> None:
    assert told in str(warned(PRACTICE | environ).values())


def test_g23_another_time_zone_is_refused_in_practice_too_and_free_on_paper() -> None:
    zone = {"SIXSTEP_SERVICE__TIMEZONE": "Europe/Berlin"}
    assert set(refused(PRACTICE | zone)) == set(zone)
    assert warned(zone) == {}


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SIXSTEP_RISK__MAX_DAILY_LOSS": "0", "SIXSTEP_RISK__MAX_LOSS": "0"}, "NO LOSS STOPS TRADING"),
        ({"SIXSTEP_RISK__MAX_ORDER_QUANTITY": "0", "SIXSTEP_RISK__MAX_ORDER_VALUE": "0"}, "OF ANY SIZE"),
        ({"SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "50"}, "make it at most 10"),
        ({"SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "5000"}, "make it at most 200"),
        ({"SIXSTEP_WATCHER__INTERVAL_S": "0.1"}, "612 calls a minute, of 90"),
        ({"SIXSTEP_WATCHER__INTERVAL_S": "20"}, "make it at most 5"),
        ({"SIXSTEP_BROKER__HOST": "https://api.example.com"}, "the push feed of profile shoonya itself"),
        ({"SIXSTEP_BROKER__MARKET_AS_LIMIT": "false"}, "brokers refuse MARKET"),
        ({"SIXSTEP_DATABASE__URL": "sqlite:////tmp/six.db"}, "removes the database"),
        ({"SIXSTEP_TELEGRAM__COMMAND_CHATS": "1"}, "no command is taken without token"),
        ({"SIXSTEP_TELEGRAM__CHAT_ID": "1"}, "no alert is sent without token"),
        ({"SIXSTEP_RISK__SQUARE_OFF_ON_MAX_LOSS": "true", "SIXSTEP_RISK__MAX_LOSS": "0"}, "it never happens"),
        ({"SIXSTEP_WEB__TRUSTED_PROXIES": "10.0.0.1, 0.0.0.0/0"}, "anybody could name any address"),
        ({"SIXSTEP_LOG__LEVEL": "TRACE"}, "INFO is for trading"),
    ],
)
def test_g23_what_is_hardly_meant_is_warned_of(environ: dict[str, str], told: str) -> None:
    found = warned(LIVE | environ)
    assert len(found) == 1
    assert told in str(found.values())


def test_s12_a_host_in_clear_text_is_refused_and_its_login_not_shown() -> None:
    found = refused(LIVE | {"SIXSTEP_BROKER__HOST": "http://me:hidden@10.0.0.5/NorenWClientAPI"})
    assert "http://10.0.0.5" in found["SIXSTEP_BROKER__HOST"]
    assert "hidden" not in str(found)
    token = {"SIXSTEP_TELEGRAM__TOKEN": "t", "SIXSTEP_TELEGRAM__CHAT_ID": "1"}
    bot = refused(token | {"SIXSTEP_TELEGRAM__BASE_URL": "http://bots.example.com"})
    assert set(bot) == {"SIXSTEP_TELEGRAM__BASE_URL"}


def test_s7_settings_and_secret_files_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    file, secret = tmp_path / "settings.toml", tmp_path / "hook"
    secret.write_text("a secret of some length")
    file.write_text(f'[web]\napi_token = "a token of some length"\nwebhook_secret_file = "{secret}"')
    for path in (file, secret):
        path.chmod(0o644)
    found = {warning.place: warning.message for warning in load_settings(file, {}).warnings}
    assert set(found) == {str(file), f"{file}:web.webhook_secret_file"}
    assert all("chmod 600" in message and "mode 0644" in message for message in found.values())
    for path in (file, secret):
        path.chmod(0o600)
    assert load_settings(file, {}).warnings == ()
    secret.chmod(0o440)
    assert load_settings(file, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).warnings == ()
    file.write_text("[web]\nport = 9000\n")
    file.chmod(0o644)
    assert load_settings(file, {}).warnings == (), "without secrets it may be read by all"


def test_g23_check_settings_shows_the_warnings(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[watcher]\ninterval_s = 0.1\n")
    done = run_py("--settings", str(file), "check-settings")
    assert done.returncode == 0
    line = f"warning: {file}:watcher.interval_s: is 0.1 s, and positions are read each 5 s: 612 calls a minute"
    assert line in done.stdout
    assert done.stdout.endswith("the settings are valid\n")
    told = json.loads(run_py("--settings", str(file), "check-settings", "--json").stdout)
    assert [line.split(": ")[0] for line in told["warnings"]] == [f"{file}:watcher.interval_s"]
