"""Scenario E6: kill -9 at any instant, repeated; every law holds after the next start."""

from __future__ import annotations

from pathlib import Path

from tests.crash.harness import crash


def test_e6_twenty_kills_break_no_law(tmp_path: Path) -> None:
    figures = crash(tmp_path, kills=20, seed=6)
    assert figures.wrong == []
    assert figures.kills == 20
    assert figures.executed > 20, "orders went through between the kills"
    assert figures.unknown > 0, "some outcomes were unknown, and all of them were resolved"
    assert figures.unknown == figures.found + figures.proven_absent
