"""The signal that ends a program, whenever it comes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support_process import ROOT

BEFORE = "os.kill(os.getpid(), signal.{})"
# Other threads are there before and after; the system may hand a signal to any of them.
WHILE = "threading.Timer(0.2, os.kill, (os.getpid(), signal.{})).start()"

PROGRAM = """
import os, signal, threading
from core.runtime.stop_signal import stop_signals
with stop_signals() as wait_for_signal:
    for _ in range(20):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    {send}
    print(wait_for_signal().name)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
print("ended")
"""


@pytest.mark.parametrize("send", [BEFORE, WHILE], ids=["before", "while"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_before_or_in_the_wait_ends_it_and_later_ones_are_ignored(name: str, send: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(send=send.format(name))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name}\nended\n", "")
