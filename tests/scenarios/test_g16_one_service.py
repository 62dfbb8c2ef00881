"""G16, G17: one service to an account, from whatever machine; one broker and account to a database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from actors.service import Service
from core.files.instance import AlreadyRunning
from core.messages import GetReadiness
from core.model.order import Tag
from core.paper.server import PaperServer
from core.store import ForeignDatabase
from tests.scenarios.orders import EXIT, SELL, marketable, resting
from tests.store.databases import Schemas
from tests.support import wait_until
from tests.support_process import ROOT
from tests.support_service import ANSWER_S, Databases, broker_at, running, settings_for

_HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture
def shared(postgresql: Schemas, monkeypatch: pytest.MonkeyPatch) -> str:
    """One PostgreSQL database for services with different data directories, as on different machines."""
    url = postgresql.new()
    monkeypatch.setattr(Databases, "url_of", staticmethod(lambda _: url))
    return url


def test_g16_a_second_service_on_the_database_from_elsewhere_is_refused_and_told_who_holds_it(
    tmp_path: Path, shared: str
) -> None:
    with running(tmp_path / "one"):
        with pytest.raises(AlreadyRunning) as refused:
            Service(settings_for(tmp_path / "two", {})).start()
        holder = str(refused.value)
        second = subprocess.run(
            [sys.executable, "run.py", "run"],
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin",
                "SIXSTEP_DATABASE__URL": shared,
                "SIXSTEP_SERVICE__DATA_DIR": str(tmp_path / "three"),
                "SIXSTEP_WEB__PORT": "0",
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert second.returncode == 1
    complaints = [line for line in second.stderr.splitlines() if line.startswith("error: ")]
    assert complaints == [f"error: {holder}"], second.stderr
    assert f"process {os.getpid()} on {socket.gethostname()[:20]}" in holder
    assert "since 20" in holder
    with running(tmp_path / "two") as after:
        assert after.submit(resting()).success, "free once the holder has ended"


def test_g16_a_lock_whose_connection_is_lost_is_taken_again(tmp_path: Path, shared: str) -> None:
    with running(tmp_path) as service, psycopg.connect(shared, autocommit=True) as other:
        assert other.execute(f"SELECT pg_terminate_backend(pid) FROM ({_HOLDERS}) AS h").fetchall() == [(True,)]
        wait_until(lambda: service.alerts("account_lock"), ANSWER_S)
        assert len(other.execute(_HOLDERS).fetchall()) == 1
        assert service.submit(resting()).success, "it goes on"


def test_g16_a_service_whose_lock_another_has_taken_sends_nothing_any_more(tmp_path: Path, shared: str) -> None:
    with running(tmp_path) as service, psycopg.connect(shared, autocommit=True) as other:
        service.set_price("1500")
        bought = service.submit(marketable())
        service.wait_for(bought.command_id, "EXECUTED")
        key = other.execute(
            "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone()
        assert key is not None
        # Waits for the lock, and has it as soon as its holder's session ends.
        with psycopg.connect(
            shared, autocommit=True, application_name="sixstep 2026-11-28T09:00:00Z 77 elsewhere"
        ) as thief:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            thief.execute("SELECT pg_advisory_lock(%s)", key)
            wait_until(lambda: service.alerts("account_lock"), ANSWER_S)
            wait_until(lambda: not service.ask("command_service", GetReadiness()).ready, ANSWER_S)
            for intent in (resting(strategy="beta"), marketable(EXIT, SELL)):
                assert service.submit(intent).tag is Tag.SERVICE_NOT_READY
            assert len(service.sent()) == 1
            [reason] = service.ask("command_service", GetReadiness()).reasons
            assert "process 77 on elsewhere, since 2026-11-28T09:00:00Z" in reason


def test_g17_a_database_of_paper_is_refused_under_a_live_profile(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path) as service:
        service.set_price("1500")
        bought = service.submit(marketable())
        service.wait_for(bought.command_id, "EXECUTED")
    for account in ("FA00001", "PAPER"):
        with pytest.raises(ForeignDatabase) as refused:
            Service(settings_for(tmp_path, {**broker_at(exchange), "SIXSTEP_SERVICE__ACCOUNT": account})).start()
        assert "belongs to account PAPER of paper" in str(refused.value)
        assert "[database] url or [service] data_dir" in str(refused.value)
    # Paper finds its own again, at another port.
    with running(tmp_path) as service:
        assert [row["command_id"] for row in service.rows()] == [bought.command_id]
