"""`run.py db check`: whether a database tells one story."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from core.store import Store
from tests.store.making import accepted

ROOT = Path(__file__).resolve().parents[1]


def db_check(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = directory / "empty.toml"
    settings.write_text("")
    return subprocess.run(
        [sys.executable, "run.py", "--settings", str(settings), "db", "check", *arguments],
        cwd=ROOT,
        env={**os.environ, "SIXSTEP_DATABASE__URL": f"sqlite:///{directory / 'six.db'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_sound_record_is_exit_code_0_and_a_contradiction_1_with_its_name(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'six.db'}")
    accepted(store)
    store.close()
    sound = db_check(tmp_path)
    assert (sound.returncode, sound.stdout) == (0, "the record is sound\n")
    with sqlite3.connect(tmp_path / "six.db") as edited:
        edited.execute("UPDATE orders SET broker_order_id = '99'")
    edited.close()
    broken = db_check(tmp_path, "--json")
    assert broken.returncode == 1
    assert broken.stderr == "error: 1 contradiction(s) in the record\n"
    assert "260302-r1-1" in json.loads(broken.stdout)["wrong"][0]


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = db_check(tmp_path)
    assert missing.returncode == 1
    assert "no database" in missing.stderr
    assert "Traceback" not in missing.stderr
