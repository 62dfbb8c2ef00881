"""Pauses that grow, and one telling with a count (scenario T26)."""

from __future__ import annotations

import pytest

from core.rules.outage import Ended, Outage


def test_what_works_has_no_pause_and_no_end() -> None:
    outage = Outage()
    assert (outage.pause(5.0), outage.worked(5.0), outage.lasts) == (0.0, None, False)


def test_after_the_first_failure_it_is_tried_at_once_then_at_pauses_that_grow_up_to_the_longest() -> None:
    outage = Outage(first_s=0.1, longest_s=1.0)
    now, pauses = 0.0, []
    for _ in range(8):
        outage.failed(now, "gone")
        pauses.append(outage.pause(now))
        now += outage.pause(now)
        assert outage.pause(now) == 0.0
    assert pauses == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])


def test_an_outage_is_told_once_and_then_once_a_minute() -> None:
    outage = Outage()
    assert [at for at in range(0, 150, 2) if outage.failed(float(at), "gone")] == [0, 60, 120]


def test_its_end_says_how_often_and_how_long_and_a_later_one_begins_anew() -> None:
    outage = Outage()
    outage.failed(10.0, "gone")
    outage.failed(11.0, "gone still")
    assert (outage.lasts, outage.reason) == (True, "gone still")
    assert outage.worked(13.5) == Ended(2, 3.5)
    assert (outage.failures, outage.worked(14.0)) == (0, None)
    assert outage.failed(20.0, "again")
