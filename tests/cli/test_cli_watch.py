"""`run.py watch`, `version` and the completion of a shell, as a person meets them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from core.messages import Alert
from core.model.alerts import AlertKind, Severity
from tests.cli.test_cli import Service
from tests.support_process import ROOT, inherited, run_py
from tests.web.harness import UNREADABLE


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    service.harness.actor("state").alerts = [Alert(Severity.CRITICAL, AlertKind.LOGIN, "log in [anew]", None)]
    yield service
    service.server.stop()
    assert service.harness.stop() == []


def test_watch_once_shows_state_orders_positions_and_alerts_as_plain_tables(service: Service) -> None:
    command_id = service.submit()
    done = service.cli("watch", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[:2] == ["ready", "trading is on"]
    assert "day P&L -2140.00 · orders today 7 · an ENTRY would be refused: day P&L -2140.00" in lines
    order, position, alert = (lines[lines.index(title) + 2] for title in ("open orders", "positions", "last alerts"))
    assert order.startswith(command_id)
    assert "SENT_TO_BROKER" in order
    assert position.startswith("M&M-EQ")
    assert alert == "2026-11-23 12:00:00  CRITICAL  login  log in [anew]"


def test_watch_tells_a_halt_and_a_book_that_cannot_be_read_and_the_same_as_json(service: Service) -> None:
    service.json("halt", "bad news")
    service.harness.actor("state").positions = UNREADABLE
    lines = service.cli("watch").stdout.splitlines()
    assert "halted: bad news (by cli at 2026-11-23 12:00:00)" in lines, "without a terminal it looks once"
    assert "the position book cannot be read: connection refused" in lines
    found = service.json("watch")
    assert found["risk"]["halt"]["reason"] == "bad news"
    assert found["positions"] == "the position book cannot be read: connection refused"


def test_watch_on_a_terminal_goes_on_until_ctrl_c_and_ends_well(service: Service) -> None:
    terminal, inside = pty.openpty()
    shown = b""
    # Tests may run where the keyboard's interrupt is ignored.
    heeding = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = ['run.py', 'watch']; runpy.run_path('run.py', run_name='__main__')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", heeding],
        cwd=ROOT,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=inherited({**service.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}),
    ) as process:
        os.close(inside)
        for _ in range(300):
            shown += os.read(terminal, 65536)
            if shown.count(b"last alerts") >= 2:
                break
        process.send_signal(signal.SIGINT)
        while True:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        assert process.wait(60) == 0
    os.close(terminal)
    assert b"Traceback" not in shown
    assert b"\x1b[?1049l" in shown, "the terminal is given back as it was"


def test_version_is_that_of_the_project_beside_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = json.loads(run_py("version", "--json").stdout)
    assert found["version"] == project["version"]
    assert found["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert found["schema"] >= 6


def test_a_shell_completes_the_names_of_commands() -> None:
    asked = {"COMP_WORDS": "./run.py wat", "COMP_CWORD": "1", "_RUN.PY_COMPLETE": "complete_bash"}
    assert run_py(environ=asked, process=True).stdout.split() == ["watch"]
    assert os.access(ROOT / "run.py", os.X_OK), "a shell completes what it can run: ./run.py"
