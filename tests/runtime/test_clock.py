"""Time handed in: a clock that is set moves the date and time, and nothing that ages or deadlines are reckoned in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.runtime import SystemClock, VirtualClock

START = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_set_moves_the_wall_time_alone(seconds: float) -> None:
    clock = VirtualClock(START)
    clock.advance(5.0)
    clock.step(seconds)
    assert clock.now() == START + timedelta(seconds=5.0 + seconds)
    assert clock.steady() == START + timedelta(seconds=5.0)
    assert clock.monotonic() == 5.0


def test_the_steady_time_of_the_machine_is_its_wall_time_while_nobody_sets_it() -> None:
    clock = SystemClock()
    assert abs(clock.steady() - clock.now()) < timedelta(seconds=1)
    before = clock.steady()
    assert clock.steady() >= before
