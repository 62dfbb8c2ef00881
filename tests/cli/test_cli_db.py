"""`run.py db check`: whether a database tells one story."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

from core.store import Owner, Store
from tests.store.factories import T0, accepted
from tests.support_process import run_py


def db_check(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return db(directory, "check", *arguments)


def db(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    settings = directory / "empty.toml"
    settings.write_text("")
    environ = {"SIXSTEP_DATABASE__URL": f"sqlite:///{directory / 'six.db'}", **environ}
    return run_py("--settings", str(settings), "db", *arguments, environ=environ)


def test_a_sound_record_is_exit_code_0_and_a_contradiction_1_with_its_name(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'six.db'}")
    accepted(store)
    store.close()
    sound = db_check(tmp_path)
    assert (sound.returncode, sound.stdout) == (0, "the database is sound\n")
    with sqlite3.connect(tmp_path / "six.db") as edited:
        edited.execute("UPDATE orders SET broker_order_id = '99'")
    edited.close()
    broken = db_check(tmp_path, "--json")
    assert broken.returncode == 1
    assert broken.stderr == "error: 1 contradiction(s) in the database\n"
    assert "260302-r1-1" in json.loads(broken.stdout)["wrong"][0]


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = db_check(tmp_path)
    assert missing.returncode == 1
    assert "no database" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_g17_a_broker_at_a_new_address_keeps_its_database_when_a_person_says_so(tmp_path: Path) -> None:
    settings = {
        "SIXSTEP_BROKER__PROFILE": "noren-gen1",
        "SIXSTEP_BROKER__USER_ID": "FA1",
        "SIXSTEP_BROKER__WEBSOCKET": "wss://new.example/ws",
        "SIXSTEP_BROKER__PASSWORD": "secret-password",
        "SIXSTEP_BROKER__TOTP_SECRET": "JBSWY3DPEHPK3PXP",
        "SIXSTEP_BROKER__VENDOR_CODE": "FA1_U",
        "SIXSTEP_BROKER__API_SECRET": "api-secret",
    }
    store = Store.open(f"sqlite:///{tmp_path / 'six.db'}")
    with store.transaction():
        store.claim(Owner.of("noren-gen1", "https://old.example", "FA1"), T0)
    moved = db(tmp_path, "move", **settings, SIXSTEP_BROKER__HOST="https://new.example")
    assert (moved.returncode, moved.stderr) == (0, "")
    assert store.owner() == Owner.of("noren-gen1", "https://new.example", "FA1")
    store.close()
    other = db(
        tmp_path, "move", **{**settings, "SIXSTEP_BROKER__USER_ID": "FA2"}, SIXSTEP_BROKER__HOST="https://n.example"
    )
    assert other.returncode == 1
    assert len(other.stderr.splitlines()) == 1
    assert "belongs to account FA1" in other.stderr
