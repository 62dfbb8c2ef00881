"""Scenario E6: kill -9 at any instant, repeated; every law holds after the next start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.crash.harness import crash
from tests.store.databases import stoppable_server
from tests.support_service import Databases

pytestmark = pytest.mark.slow


def test_e6_twenty_kills_break_no_law(tmp_path: Path) -> None:
    figures = crash(tmp_path, kills=20, seed=6)
    assert figures.wrong == []
    assert (figures.kills, figures.exchange_kills) == (20, 2)
    assert figures.phone_orders > 0, "a phone traded in between"
    assert figures.executed > 20, "orders went through between the kills"
    assert figures.unknown > 0, "some outcomes were unknown, and all of them were resolved"
    assert figures.unknown == figures.found + figures.proven_absent


def test_e6_kills_of_the_service_and_of_postgresql_break_no_law(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the dead left open at the server is undone there; orders stream on while the server is away."""
    with tempfile.TemporaryDirectory(prefix="sixstep-pg-") as directory, stoppable_server(Path(directory)) as server:
        monkeypatch.setattr(Databases, "url_of", staticmethod(lambda _: server.url))
        figures = crash(tmp_path, kills=3, seed=6, database=server, database_kills=4)
    assert figures.wrong == []
    assert (figures.kills, figures.postmaster_kills, figures.backend_kills) == (3, 2, 2)
    assert figures.executed > 3, "orders went through between the kills"
    assert figures.unknown == figures.found + figures.proven_absent
