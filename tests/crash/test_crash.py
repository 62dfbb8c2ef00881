"""Scenario E6: kill -9 at any instant, repeated; every law holds after the next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.harness import crash
from tests.store.databases import postgresql_server
from tests.support_service import Databases


def test_e6_twenty_kills_break_no_law(tmp_path: Path) -> None:
    figures = crash(tmp_path, kills=20, seed=6)
    assert figures.wrong == []
    assert figures.kills == 20
    assert figures.executed > 20, "orders went through between the kills"
    assert figures.unknown > 0, "some outcomes were unknown, and all of them were resolved"
    assert figures.unknown == figures.found + figures.proven_absent


def test_e6_kills_break_no_law_on_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dead process left open at the server is undone there, and holds up nobody after the start."""
    with postgresql_server(tmp_path, durable=False) as new:
        url = new()
        monkeypatch.setattr(Databases, "url_of", staticmethod(lambda _: url))
        figures = crash(tmp_path, kills=3, seed=6)
    assert figures.wrong == []
    assert figures.kills == 3
    assert figures.executed > 3, "orders went through between the kills"
    assert figures.unknown == figures.found + figures.proven_absent
