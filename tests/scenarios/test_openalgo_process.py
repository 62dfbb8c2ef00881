"""The OpenAlgo entry point of a process that is killed while its callers call and call again."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.paper.server import PaperServer
from tests.crash.openalgo import killed_among_calls


@pytest.mark.usefixtures("engine")
def test_killed_among_calls_that_are_sent_again_nothing_is_lost_or_doubled(
    tmp_path: Path, exchange: PaperServer
) -> None:
    figures = killed_among_calls(tmp_path, exchange, calls=40, kills=1, callers=4)
    assert figures["rows"] == 40
    assert figures["answered success"] > 20
