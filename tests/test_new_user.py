"""What a person meets first: commands beside a locked service, where its files are, and what a mistake says."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from core.files.private import tighten
from core.process.command_key import COMMAND_KEY_HEADER, leave_key, read_key, take_key_away
from core.runtime import SystemClock
from core.settings import Settings, SettingsError, WebSettings, load_settings
from core.web import create_app
from tests.support import wait_until
from tests.support_process import ROOT, inherited, lasting_ports, run_py
from tests.web.harness import ORDER, WebHarness, call

SECRETS = {
    "SIXSTEP_WEB__WEBHOOK_SECRET": "a webhook secret of some length",
    "SIXSTEP_WEB__DASHBOARD_PASSWORD": "a password of some length",
}


@contextmanager
def serving(settings: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """The service on paper, as a process, until it is ready; its log is `stderr.txt` beside the settings."""
    log = settings.with_name("stderr.txt")
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), "--settings", str(settings)],
            cwd="/",
            env=inherited(environ),
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_until(lambda: " ready" in log.read_text() or process.poll() is not None, 180)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.terminate()
        process.wait(60)


def settings_file(folder: Path, more: str = "") -> Path:
    (port,) = lasting_ports(1)
    file = folder / "settings.toml"
    file.write_text(f"{more}\n[web]\nport = {port}\n", encoding="utf-8")
    return file


# U2: commands on the service's own machine.


def test_u2_commands_need_no_secret_where_the_service_runs(tmp_path: Path) -> None:
    """The person at the keyboard has the settings and not the secrets, which systemd hands to the service alone."""
    settings = settings_file(tmp_path)
    order = json.dumps({**ORDER, "symbol": "INFY-EQ", "order_type": "MARKET", "price": None, "quantity": 1})
    with serving(settings, **SECRETS):
        web = load_settings(settings, {}).web
        assert requests.post(f"http://127.0.0.1:{web.port}/api/halt", json={}, timeout=5).status_code == 401
        for arguments in (("risk",), ("orders",), ("halt", "lunch"), ("resume",), ("submit", "-")):
            done = run_py("--settings", str(settings), *arguments, stdin=order, folder=tmp_path)
            assert (done.returncode, done.stderr) == (0, ""), arguments
        key = tmp_path / "data" / "command.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not key.exists(), "a key that lets nobody in any more is not left behind"


def test_u2_the_key_is_another_one_at_each_start_and_a_wrong_one_lets_nobody_in(tmp_path: Path) -> None:
    clock = SystemClock()
    earlier, key = leave_key(tmp_path, clock), leave_key(tmp_path, clock)
    assert key is not None
    assert earlier is not None
    assert read_key(tmp_path) == key.get_secret_value() != earlier.get_secret_value()
    harness = WebHarness()
    secrets = {name: SecretStr("a secret of some length") for name in ("webhook_secret", "api_token")}
    app = create_app(harness.gateway, Settings(web=WebSettings(**secrets)), key)
    for given, wanted in ((key.get_secret_value(), 200), (earlier.get_secret_value(), 401), ("", 401), ("ü", 401)):
        headers = {COMMAND_KEY_HEADER: given.encode("latin-1")}
        assert call(app, "GET", "/api/guard", headers=headers).status_code == wanted, given
        posted = call(app, "POST", "/webhook", headers=headers, json=ORDER)
        assert posted.status_code == (202 if wanted == 200 else 401), given
    assert (
        call(create_app(harness.gateway, Settings(web=WebSettings(**secrets))), "GET", "/api/guard").status_code == 401
    )
    take_key_away(tmp_path, earlier)
    assert read_key(tmp_path) is not None, "another start's key stays"
    take_key_away(tmp_path, key)
    assert read_key(tmp_path) is None
    assert harness.stop() == []


# Relative paths.


def test_a_relative_data_dir_is_beside_its_settings_file_whatever_the_working_directory(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    settings = settings_file(home, 'database = {url = "sqlite:///books/my.db"}\nlog = {dir = "mylogs"}')
    shown = [
        json.loads(run_py("--settings", str(settings), "check-settings", "--json", folder=folder).stdout)
        for folder in (home, elsewhere)
    ]
    assert shown[0] == shown[1]
    assert shown[0]["service"]["data_dir"] == str(home / "data")
    assert shown[0]["log"]["dir"] == str(home / "mylogs")
    loaded = load_settings(settings, {"SIXSTEP_TRACE__DIR": "traces"})
    assert loaded.database_url == f"sqlite:///{home}/books/my.db"
    assert loaded.trace_dir == home / "traces", "the environment's paths too"


def test_a_secret_file_is_found_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the token\n")
    token = load_settings(settings_file(tmp_path), {"SIXSTEP_WEB__API_TOKEN_FILE": "token"}).web.api_token
    assert token is not None
    assert token.get_secret_value() == "the token"


def test_without_a_settings_file_paths_are_beside_run_py(tmp_path: Path) -> None:
    assert load_settings(None, {}, base=tmp_path).service.data_dir == tmp_path / "data"
    shown = json.loads(run_py("check-settings", "--json", folder=tmp_path).stdout)
    assert shown["service"]["data_dir"] == str(ROOT / "data"), "a clone's own settings.toml stands beside run.py"


def test_a_record_where_earlier_versions_kept_it_is_not_forgotten_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    (elsewhere / "data" / "sixstep.db").touch()
    home.mkdir()
    settings = settings_file(home)
    monkeypatch.chdir(elsewhere)
    with pytest.raises(SettingsError, match=f'write data_dir = "{elsewhere}/data"'):
        load_settings(settings, {})
    assert (
        load_settings(settings, {"SIXSTEP_SERVICE__DATA_DIR": f"{tmp_path}/new"}).service.data_dir == tmp_path / "new"
    )
    (home / "data").mkdir()
    (home / "data" / "sixstep.db").touch()
    assert load_settings(settings, {}).service.data_dir == home / "data"


# S7: what the service leaves behind is its owner's.


def modes(folder: Path) -> dict[str, str]:
    found = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): f"{stat.S_IMODE(path.stat().st_mode):o}" for path in found}


def test_s7_record_traces_logs_and_their_directories_are_their_owners_alone(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    data = tmp_path / "data"
    with serving(settings):
        fresh = modes(data)
    assert {"sixstep.db", "log/sixstep.log", "trace"} <= fresh.keys()
    assert {path: mode for path, mode in fresh.items() if mode not in ("600", "700")} == {}
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with serving(settings):
        tightened = modes(data)
    assert {path: mode for path, mode in tightened.items() if mode not in ("600", "700")} == {}


def test_s7_a_directory_that_holds_files_of_others_is_left_and_warned_of(tmp_path: Path) -> None:
    (tmp_path / "sixstep.db").touch(0o644)
    (tmp_path / "holiday.jpg").touch(0o644)
    tmp_path.chmod(0o755)
    (line,) = tighten(tmp_path)
    assert line.startswith(f"{tmp_path} can be read by others (mode 0755)")
    assert modes(tmp_path) == {".": "755", "sixstep.db": "600", "holiday.jpg": "644"}


def test_g23_warnings_are_in_the_log_at_each_start(tmp_path: Path) -> None:
    settings = settings_file(tmp_path, "watcher = {interval_s = 0.1}")
    with serving(settings):
        log = (tmp_path / "stderr.txt").read_text()
    assert f"WARNING  settings: {settings}:watcher.interval_s: is 0.1 s" in log
    assert f"record, traces and logs: {tmp_path}/data" in log


# U6: mistakes in a strategy, and an old Python.

_STRATEGIES = {
    "broken.py": "def on_start(self:\n    pass\n",
    "raises.py": "raise RuntimeError('no data file')\n",
    "fine.py": """
from actors.strategy import Strategy

class Fine(Strategy):
    def __init__(self, runtime, name, *, cast, strategy, symbol: str, lots: int = 1):
        super().__init__(runtime, name, cast=cast, strategy=strategy)
        if lots > 10:
            raise ValueError("lots above 10")

class Now(Fine):
    def __init__(self, runtime, name, *, addresses, strategy):
        super().__init__(runtime, name, cast=addresses, strategy=strategy, symbol="A")

class Late(Strategy):
    def started(self):
        raise OSError("no such file")
""",
}
_MISTAKES = [
    ('class = "broken.Broken"', "class: broken.Broken cannot be loaded: '(' was never closed"),
    ('class = "raises.Raises"', "class: raises.Raises cannot be loaded: RuntimeError: no data file"),
    ('class = "nowhere.Strategy"', "class: nowhere.Strategy cannot be loaded: ModuleNotFoundError"),
    ('class = "fine.Fin"', "class: fine.Fin cannot be loaded: fine has no Fin; did you mean fine.Fine?"),
    ('class = "fine.Fine"\nsymbl = "INFY-EQ"\nsymbol = "TCS-EQ"', "symbl: is no parameter of fine.Fine; did you mean"),
    ('class = "fine.Fine"', "symbol: is missing: fine.Fine needs it"),
    ('class = "fine.Fine"\nsymbol = "A"\nlots = "two"', "lots: must be a whole number, not a text in quotes"),
    ('class = "actors.strategies.round_trip.RoundTrip"\nquantity = -1', "quantity: is -1; it must be at least 1"),
    ('class = "fine.Fine"\nsymbol = "A"\nstrategy = "other"', "strategy: is no parameter of fine.Fine"),
]


def with_strategy(folder: Path, table: str) -> tuple[Path, dict[str, str]]:
    for name, text in _STRATEGIES.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = settings_file(folder)
    settings.write_text(f"{settings.read_text()}\n[[strategies]]\nname = 'mine'\n{table}\n", encoding="utf-8")
    return settings, {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(("table", "told"), _MISTAKES)
def test_u6_a_mistake_in_a_strategy_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, told: str
) -> None:
    settings, environ = with_strategy(tmp_path, table)
    monkeypatch.syspath_prepend(tmp_path)
    for name in _STRATEGIES:
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    # The service reads strategies as the check does: one start shows it.
    starts = [()] if table == _MISTAKES[0][0] else []
    for arguments in (*starts, ("check-settings",)):
        done = run_py("--settings", str(settings), *arguments, environ=environ, process=not arguments)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 2, done.stderr
        assert len(errors) == 1
        assert told in errors[0]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('class = "fine.Fine"\nsymbol = "A"\nlots = 11', "cannot be started: ValueError: lots above 10"),
        ('class = "fine.Late"', "no such file"),
    ],
)
def test_u6_a_strategy_that_cannot_start_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, table: str, told: str
) -> None:
    settings, environ = with_strategy(tmp_path, table)
    done = run_py("--settings", str(settings), environ=environ, process=True)
    assert done.returncode == 2, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: [[strategies]] mine: ")
    assert told in error


def test_u6_systemd_does_not_start_again_after_a_mistake_a_person_must_mend() -> None:
    assert "\nRestartPreventExitStatus=2\n" in (ROOT / "docs" / "install.md").read_text()


def test_u6_an_old_python_is_told_in_one_line_before_anything_is_imported() -> None:
    program = f"import sys; sys.version_info = (3, 10, 4); exec(open({str(ROOT / 'run.py')!r}).read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (2, "error: Sixstep needs Python 3.11 or newer; this is 3.10\n")
