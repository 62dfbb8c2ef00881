"""What holds for every test."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made depends on what else the machine does; a test states behaviour, not speed.
settings.register_profile("sixstep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sixstep")

_MOST_WORKERS = 8

if os.environ.get("PYTHONDONTWRITEBYTECODE"):
    # Tests start the service as a process again and again: it is compiled once, and nothing is written to the sources.
    _bytecode = tempfile.mkdtemp(prefix="sixstep-bytecode-")
    atexit.register(shutil.rmtree, _bytecode, ignore_errors=True)
    del os.environ["PYTHONDONTWRITEBYTECODE"]
    os.environ["PYTHONPYCACHEPREFIX"] = _bytecode


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs on several workers, where the command line does not say how many; a part of it on none."""
    option = config.option
    if hasattr(config, "workerinput") or option.usepdb or option.collectonly:
        return
    if option.numprocesses is None and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        # One more than processors: tests wait for sockets and timers too.
        option.numprocesses = min((os.cpu_count() or 1) + 1, _MOST_WORKERS)
    if option.numprocesses and option.dist == "no":
        # Each begins with neighbours and takes what others have left: tests of a file mostly share what it starts.
        option.dist = "worksteal"
