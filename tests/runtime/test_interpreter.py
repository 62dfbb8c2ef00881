from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from core.runtime import freeze_start, tune_interpreter


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


def test_a_busy_thread_is_not_let_keep_the_interpreter_for_long() -> None:
    tune_interpreter()
    assert sys.getswitchinterval() <= 0.001


def test_what_was_there_at_the_start_is_not_looked_at_again_and_later_cycles_still_are_collected() -> None:
    tune_interpreter()
    freeze_start()
    assert gc.get_freeze_count() > 10_000
    assert gc.isenabled()
    collected = gc.get_stats()[0]["collected"]
    for _ in range(20_000):
        knot: list[object] = []
        knot.append(knot)
    assert gc.get_stats()[0]["collected"] > collected
