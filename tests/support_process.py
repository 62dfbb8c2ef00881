"""The service as a process, at a paper exchange that outlives it: what can be killed, and started again."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

import requests

import run
from tests.support import wait_until
from tests.support_service import Databases, ExchangeUrls, broker_at

__all__ = ["ROOT", "Process", "inherited", "lasting_ports", "run_py"]

ROOT = Path(__file__).resolve().parents[1]


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command finds in the environment: none of our settings but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIXSTEP_")}
    return {**plain, **environ}


def run_py(
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    folder: Path = ROOT,
    process: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`python run.py` with these arguments, until it ends.

    Args:
        arguments: What stands behind `run.py`.
        environ: Settings as in the environment.
        stdin: What it reads there.
        folder: Where it is called.
        process: As a process of its own. That costs a second for what a call of its `main` in here does too; for
            commands that change their process, and to see that the program starts at all.
    """
    surroundings = inherited(environ or {})
    if process:
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env=surroundings,
            cwd=folder,
        )
    out, told = StringIO(), StringIO()
    mask = os.umask(0o022)
    os.umask(mask)
    try:
        with (
            patch.dict(os.environ, surroundings, clear=True),
            patch.object(sys, "argv", ["run.py", *arguments]),
            patch.object(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode()), "utf-8")),
            chdir(folder),
            redirect_stdout(out),
            redirect_stderr(told),
        ):
            code = run.main()
    finally:
        os.umask(mask)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), told.getvalue())


class Process:
    """The service as a process of its own; a second one on the same directory is a restart."""

    def __init__(self, directory: Path, exchange: ExchangeUrls, **environ: str) -> None:
        self.database = Databases.url_of(directory) or f"sqlite:///{directory / 'six.db'}"
        self.log = directory / "stderr.txt"
        [port] = lasting_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        surroundings = {
            **os.environ,
            "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"),
            "SIXSTEP_DATABASE__URL": self.database,
            **broker_at(exchange),
            "SIXSTEP_WEB__PORT": str(port),
            "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "1000",
            "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "50000",
            "SIXSTEP_WATCHER__INTERVAL_S": "0.1",
            "SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "0.5",
            "SIXSTEP_BROKER__ABSENCE_GRACE_S": "1",
            **environ,
        }
        self._stream = self.log.open("a")
        settings = directory / "empty.toml"
        settings.write_text("")
        self.process = subprocess.Popen(
            [sys.executable, "run.py", "--settings", str(settings), "run"],
            cwd=ROOT,
            env=surroundings,
            stdout=self._stream,
            stderr=subprocess.STDOUT,
        )

    def wait_ready(self) -> None:
        """Wait as long as a machine with other work may need: what is judged is that it comes, not how fast."""
        wait_until(self._is_ready, 300)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._stream.close()


def lasting_ports(count: int) -> list[int]:
    """Free ports that no other program's connection is given before they are used, as those the system draws may be."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(12_000, 32_000), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found
