"""Settings: defaults, overriding, secrets, and every mistake reported at once with its place."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.paper.config import ExchangeConfig
from core.paper.faults import FaultConfig, FaultKind
from core.settings import (
    Profile,
    Settings,
    SettingsError,
    SettingsProblem,
    exchange_config,
    load_settings,
    settings_template,
)
from core.settings.models import Section
from core.settings.paper import PaperAccountSettings
from core.settings.values import rows_of

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None = None, environ: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ or {})
    return {problem.place: problem.message for problem in caught.value.problems}


def test_without_file_and_environment_every_setting_has_its_default() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_defaults_trade_on_paper_and_listen_to_this_machine_only() -> None:
    settings = load_settings(None, {})
    assert settings.broker.profile is Profile.PAPER
    assert settings.runs_paper_exchange
    assert settings.web.host == "127.0.0.1"
    assert settings.account == "PAPER"
    assert settings.database_url == "sqlite:///data/sixstep.db"
    assert (settings.log_dir, settings.trace_dir) == (Path("data/log"), Path("data/trace"))


def test_settings_toml_holds_every_key_with_exactly_the_default() -> None:
    document = tomllib.loads((ROOT / "settings.toml").read_text(encoding="utf-8"))
    keys = {(section, key) for section, table in document.items() if section != "strategies" for key in table}
    models = {name: getattr(Settings(), name) for name in Settings.model_fields}
    assert keys == {
        (name, key)
        for name, part in models.items()
        if isinstance(part, Section)
        for key, field in type(part).model_fields.items()
        if rows_of(field) is None
    }
    loaded = load_settings(ROOT / "settings.toml", {})
    assert [entry.name for entry in loaded.strategies] == ["example"]
    in_its_folder = Settings().service.model_copy(update={"data_dir": ROOT / "data"})
    assert loaded.model_copy(update={"strategies": ()}) == Settings(service=in_its_folder)


def test_settings_toml_shows_each_list_of_tables_commented_out_and_ready_to_use(tmp_path: Path) -> None:
    text = (ROOT / "settings.toml").read_text(encoding="utf-8")
    begin, end = text.index("# [[paper.accounts]]"), text.index("# Strategies")
    shown = [line for line in text[begin:end].splitlines() if re.match(r"# (\[\[|\w+ = )", line)]
    for model, table in ((PaperAccountSettings, "accounts"), (FaultConfig, "faults")):
        keys = {field.alias or name for name, field in model.model_fields.items()}
        block = text[text.index(f"# [[paper.{table}]]") :].partition("\n\n")[0]
        assert set(re.findall(r"^# (\w+) = ", block, re.M)) == keys
    settings = load_settings(written(tmp_path, "\n".join(line.removeprefix("# ") for line in shown)), {})
    assert settings.paper.accounts == (PaperAccountSettings(uid="FA00001"),)
    assert settings.paper.faults == (FaultConfig(kind=FaultKind.ACCEPT_502),)


def test_settings_toml_says_what_each_key_does() -> None:
    text = (ROOT / "settings.toml").read_text(encoding="utf-8")
    assert text == settings_template()
    lines = text.partition("[[strategies]]")[0].splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+ = ", line):
            assert lines[number - 1].startswith("# "), line


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[web]\nport = 9000\nwait_s = 2\n[risk]\nmax_daily_loss = 2000.10\nmax_loss = 5000")
    settings = load_settings(path, {"SIXSTEP_WEB__PORT": "9001", "SIXSTEP_RISK__SQUARE_OFF_ON_MAX_LOSS": "true"})
    assert (settings.web.port, settings.web.wait_s) == (9001, 2.0)
    assert settings.risk.max_daily_loss == Decimal("2000.10")
    assert settings.risk.square_off_on_max_loss is True


def test_an_empty_variable_leaves_the_value_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[web]\nport = 9000\napi_token = 'from the file'")
    settings = load_settings(path, {"SIXSTEP_WEB__PORT": "", "SIXSTEP_WEB__API_TOKEN": ""})
    assert settings.web.port == 9000
    assert settings.web.api_token is not None


def test_all_mistakes_of_file_and_environment_are_reported_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        port = 5
        [risk]
        max_daily_los = 5
        max_daily_loss = -5
        max_order_quantity = true
        [web]
        requests_per_min = 1.5
        [brokr]
        x = 1
        [broker]
        profile = "shonya"
        [service]
        timezone = "Mars/Olympus"
        [limits]
        interval_s = 1
        """,
    )
    environ = {"SIXSTEP_WEB__PROT": "1", "SIXSTEP_WEB__PORT": "x", "SIXSTEP_PORT": "1", "PATH": "/bin"}
    found = problems(path, environ)
    assert set(found) == {
        f"{path}:port",
        f"{path}:risk.max_daily_los",
        f"{path}:risk.max_daily_loss",
        f"{path}:risk.max_order_quantity",
        f"{path}:web.requests_per_min",
        f"{path}:brokr",
        f"{path}:broker.profile",
        f"{path}:service.timezone",
        f"{path}:limits.interval_s",
        "SIXSTEP_WEB__PROT",
        "SIXSTEP_WEB__PORT",
        "SIXSTEP_PORT",
    }
    assert "did you mean max_daily_loss?" in found[f"{path}:risk.max_daily_los"]
    assert "put it below [web]" in found[f"{path}:port"]
    assert "did you mean broker?" in found[f"{path}:brokr"]
    assert "did you mean SIXSTEP_WEB__PORT?" in found["SIXSTEP_WEB__PROT"]
    assert "did you mean watcher.interval_s?" in found[f"{path}:limits.interval_s"]
    assert "got -5" in found[f"{path}:risk.max_daily_loss"]
    assert "Default: 10000." in found[f"{path}:risk.max_daily_loss"]
    assert "'paper'" in found[f"{path}:broker.profile"]
    assert "not true or false" in found[f"{path}:risk.max_order_quantity"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e400", "x", "1,5", "'5", "true"])
@pytest.mark.parametrize("key", ["RISK__MAX_LOSS", "LIMITS__SEND_DEADLINE_S", "WATCHER__UNREADABLE_ALARM_AFTER"])
def test_a_number_must_be_finite_and_in_range(key: str, value: str) -> None:
    assert set(problems(None, {f"SIXSTEP_{key}": value})) == {f"SIXSTEP_{key}"}


def test_a_file_that_is_no_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[web]\nport = \n")
    assert "line 2" in problems(path)[str(path)]


@pytest.mark.parametrize("text", ["[web]\nport = 1\nport = 2", "a = " + "[" * 5000, "a = 1e99999999999999999999"])
def test_a_file_that_cannot_be_parsed_is_one_clear_problem(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert "is no valid TOML" in problems(path)[str(path)]


def test_an_unreadable_file_is_reported_with_the_mistakes_of_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"
    found = problems(path, {"SIXSTEP_WEB__PORT": "x"})
    assert "No such file" in found[str(path)]
    assert "SIXSTEP_WEB__PORT" in found


def test_a_file_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"[web]\nhost = '\xff'")
    assert "not UTF-8" in problems(path)[str(path)]


def test_a_section_that_is_no_table_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "web = 5\nstrategies = 5")
    assert set(problems(path)) == {f"{path}:web", f"{path}:strategies"}


# Secrets (law 11).


def test_law11_no_secret_is_in_a_repr_or_in_an_error(tmp_path: Path) -> None:
    secrets = {
        "SIXSTEP_BROKER__PASSWORD": "pw-hidden",
        "SIXSTEP_BROKER__TOTP_SECRET": "totp-hidden",
        "SIXSTEP_WEB__WEBHOOK_SECRET": "hook-hidden",
        "SIXSTEP_WEB__API_TOKEN": "api-hidden",
        "SIXSTEP_TELEGRAM__TOKEN": "bot-hidden",
        "SIXSTEP_TELEGRAM__CHAT_ID": "1",
        "SIXSTEP_DATABASE__URL": "postgresql://u:db-hidden@h/d",
    }
    path = written(tmp_path, "[[strategies]]\nclass = 'a.B'\nname = 'b'\nkey = 'strategy-hidden'")
    settings = load_settings(path, secrets)
    assert settings.web.webhook_secret is not None
    assert settings.web.webhook_secret.get_secret_value() == "hook-hidden"
    assert settings.database_url == "postgresql://u:db-hidden@h/d"
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings)
    mistaken = {**secrets, "SIXSTEP_DATABASE__URL": "mysql://u:db-hidden@h/d", "SIXSTEP_BROKER__PROFILE": "shoonya"}
    assert "hidden" not in str(problems(None, mistaken))


def test_a_secret_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, "[web]\nwebhook_secret = 987654321")
    assert "987654321" not in str(problems(path))


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("from a file\n", encoding="utf-8")
    settings = load_settings(None, {"SIXSTEP_WEB__WEBHOOK_SECRET_FILE": str(tmp_path / "hook")})
    assert settings.web.webhook_secret is not None
    assert settings.web.webhook_secret.get_secret_value() == "from a file"


def test_a_secret_and_its_file_both_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("a", encoding="utf-8")
    environ = {"SIXSTEP_WEB__WEBHOOK_SECRET_FILE": str(tmp_path / "hook"), "SIXSTEP_WEB__WEBHOOK_SECRET": "b"}
    assert "keep one" in problems(None, environ)["SIXSTEP_WEB__WEBHOOK_SECRET_FILE"]


@pytest.mark.parametrize("content", ["", "\n", "x" * 10_001])
def test_a_secret_file_that_holds_no_secret_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content, encoding="utf-8")
    place = "SIXSTEP_WEB__API_TOKEN_FILE"
    assert "must hold the secret" in problems(None, {place: str(tmp_path / "token")})[place]


def test_a_secret_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    place = "SIXSTEP_WEB__API_TOKEN_FILE"
    assert "No such file" in problems(None, {place: str(tmp_path / "none")})[place]


# What must hold between settings.


def test_the_hard_threshold_lies_at_or_beyond_the_daily_limit(tmp_path: Path) -> None:
    path = written(tmp_path, "[risk]\nmax_daily_loss = 2000\nmax_loss = 1999")
    assert "max_daily_loss 2000" in problems(path)[f"{path}:risk.max_loss"]
    written(tmp_path, "[risk]\nmax_daily_loss = 2000\nmax_loss = 2000")
    assert load_settings(path, {}).risk.max_loss == 2000
    written(tmp_path, "[risk]\nmax_daily_loss = 2000\nmax_loss = 0")
    assert load_settings(path, {}).risk.max_loss == 0


def test_a_live_profile_names_all_missing_credentials_at_once() -> None:
    found = problems(None, {"SIXSTEP_BROKER__PROFILE": "noren-gen1", "SIXSTEP_BROKER__USER_ID": "FA1"})
    assert {place.rpartition(".")[2] for place in found} == {
        "host",
        "websocket",
        "password",
        "totp_secret",
        "vendor_code",
        "api_secret",
    }


def test_a_live_profile_with_a_token_needs_no_password() -> None:
    environ = {"SIXSTEP_BROKER__PROFILE": "flattrade", "SIXSTEP_BROKER__USER_ID": "FA1"}
    assert set(problems(None, environ)) == {"settings:broker.access_token"}
    settings = load_settings(None, {**environ, "SIXSTEP_BROKER__ACCESS_TOKEN": "t"})
    assert settings.account == "FA1"
    assert not settings.runs_paper_exchange


def test_another_host_needs_no_paper_exchange() -> None:
    assert not load_settings(None, {"SIXSTEP_BROKER__HOST": "http://127.0.0.1:9/"}).runs_paper_exchange


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_listening_to_others_needs_both_secrets(host: str) -> None:
    found = problems(None, {"SIXSTEP_WEB__HOST": host})
    assert set(found) == {"settings:web.webhook_secret", "settings:web.api_token"}
    secrets = {"SIXSTEP_WEB__WEBHOOK_SECRET": "s" * 16, "SIXSTEP_WEB__DASHBOARD_PASSWORD": "p" * 16}
    assert load_settings(None, {"SIXSTEP_WEB__HOST": host, **secrets}).web.host == host


SECRETS = [f"SIXSTEP_WEB__{key}" for key in ("WEBHOOK_SECRET", "API_TOKEN", "DASHBOARD_PASSWORD")]


@pytest.mark.parametrize("key", SECRETS)
def test_s6_a_secret_of_fewer_than_16_characters_is_refused_where_others_can_try_it(key: str) -> None:
    enough = {"SIXSTEP_WEB__HOST": "0.0.0.0", **dict.fromkeys(SECRETS, "s" * 16)}
    assert load_settings(None, enough).web.host == "0.0.0.0"
    assert set(problems(None, {**enough, key: "s" * 15})) == {key}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_listening_to_this_machine_needs_no_secret(host: str) -> None:
    assert load_settings(None, {"SIXSTEP_WEB__HOST": host}).web.host == host


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"SIXSTEP_RISK__PNL_MAX_AGE_S": "5"}, "SIXSTEP_RISK__PNL_MAX_AGE_S"),
        ({"SIXSTEP_LIMITS__RESERVE_CALLS_FOR_EXITS": "10"}, "SIXSTEP_LIMITS__RESERVE_CALLS_FOR_EXITS"),
        ({"SIXSTEP_TELEGRAM__TOKEN": "t"}, "settings:telegram.chat_id"),
        ({"SIXSTEP_DATABASE__URL": "mysql://h/d"}, "SIXSTEP_DATABASE__URL"),
        ({"SIXSTEP_PAPER__REST_PORT": "8787"}, "SIXSTEP_PAPER__REST_PORT"),
        ({"SIXSTEP_PAPER__REST_PORT": "9100", "SIXSTEP_PAPER__WS_PORT": "9100"}, "SIXSTEP_PAPER__WS_PORT"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], place: str) -> None:
    assert set(problems(None, environ)) == {place}


def test_the_defaults_of_the_paper_exchange_are_the_same_in_both_places() -> None:
    assert exchange_config(Settings().paper) == ExchangeConfig()


# Strategies.


def test_a_strategy_has_a_class_a_name_and_free_parameters(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[[strategies]]\nclass = 'pkg.mod.Class'\nname = 'one'\nsymbol = 'M&M-EQ'\nstep = 0.05\nlist = [1, 2.5]",
    )
    (strategy,) = load_settings(path, {}).strategies
    assert (strategy.class_path, strategy.name) == ("pkg.mod.Class", "one")
    assert strategy.parameters == {"symbol": "M&M-EQ", "step": 0.05, "list": [1, 2.5]}
    assert type(strategy.parameters["step"]) is float
    with pytest.raises(TypeError):
        strategy.parameters["symbol"] = "x"  # type: ignore[index]


def test_mistakes_in_strategies_name_the_entry(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[[strategies]]\nclass = 'a.B'\nname = 'one'\n[[strategies]]\nclass = 'nodot'\nname = 'b d'\n"
        "[[strategies]]\n[[strategies]]\nclass = 'a.C'\nname = 'one'",
    )
    assert set(problems(path)) == {
        f"{path}:strategies[2].class",
        f"{path}:strategies[2].name",
        f"{path}:strategies[3].class",
        f"{path}:strategies[3].name",
        f"{path}:strategies",
    }


def test_strategies_do_not_come_from_the_environment() -> None:
    assert set(problems(None, {"SIXSTEP_STRATEGIES__NAME": "x"})) == {"SIXSTEP_STRATEGIES__NAME"}


def test_settings_do_not_change_once_loaded() -> None:
    with pytest.raises(ValidationError):
        Settings().web.port = 1


_VARIABLES = [
    f"SIXSTEP_{name}__{key}".upper()
    for name, part in ((name, getattr(Settings(), name)) for name in Settings.model_fields)
    if isinstance(part, Section)
    for key in type(part).model_fields
]


@given(st.dictionaries(st.sampled_from([*_VARIABLES, "SIXSTEP_X", "SIXSTEP_WEB__X"]), st.text(max_size=12), max_size=6))
def test_whatever_the_environment_holds_the_answer_is_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    unknown = {"SIXSTEP_X", "SIXSTEP_WEB__X"} & set(environ)
    found: tuple[SettingsProblem, ...] = ()
    try:
        load_settings(None, environ)
    except SettingsError as error:
        found = error.problems
    assert unknown <= {problem.place for problem in found}
    assert all(problem.message.isprintable() for problem in found)
