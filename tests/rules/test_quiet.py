"""When the order book is read less often: only while the push feed has told of everything (scenario G18)."""

from __future__ import annotations

import pytest

from core.rules.quiet import Quiet


@pytest.fixture
def quiet() -> Quiet:
    made = Quiet(1.0, 1.8)
    made.feed(0.0, up=True)
    return made


def test_after_ten_seconds_in_which_nothing_moved_reading_is_less_often(quiet: Quiet) -> None:
    assert quiet.interval_s(9.9, busy=False) == 1.0
    assert quiet.interval_s(10.0, busy=False) == 1.8
    quiet.moved(12.0)
    assert quiet.interval_s(21.9, busy=False) == 1.0
    assert quiet.interval_s(22.0, busy=False) == 1.8


def test_while_an_order_is_open_the_setting_stays(quiet: Quiet) -> None:
    assert quiet.interval_s(100.0, busy=True) == 1.0


def test_without_the_push_feed_nothing_is_known_between_two_reads(quiet: Quiet) -> None:
    quiet.feed(50.0, up=False)
    assert quiet.interval_s(100.0, busy=False) == 1.0
    quiet.feed(100.0, up=True)
    assert quiet.interval_s(109.0, busy=False) == 1.0
    assert quiet.interval_s(110.0, busy=False) == 1.8
    assert Quiet(1.0, 1.8).interval_s(100.0, busy=False) == 1.0, "a feed that never came up"


def test_what_a_push_told_before_or_soon_after_the_read_is_explained(quiet: Quiet) -> None:
    quiet.pushed(20.0, "A")
    quiet.read(20.5, ("A", "B"))
    assert quiet.interval_s(20.5, busy=False) == 1.0
    quiet.pushed(21.0, "B")
    for second in range(22, 31):
        quiet.read(float(second), ())
    assert quiet.interval_s(31.0, busy=False) == 1.8


def test_a_feed_that_did_not_tell_what_a_read_showed_is_not_relied_on_for_five_minutes(quiet: Quiet) -> None:
    quiet.read(20.0, ("A",))
    quiet.read(21.0, ())
    quiet.read(24.0, ())
    assert quiet.interval_s(320.0, busy=False) == 1.0
    assert quiet.interval_s(324.0, busy=False) == 1.8


def test_what_happened_before_the_feed_was_up_it_could_not_tell(quiet: Quiet) -> None:
    quiet.read(1.0, ("A", "B", "C"))
    quiet.read(5.0, ())
    assert quiet.interval_s(11.0, busy=False) == 1.8


def test_the_quiet_interval_is_never_the_shorter_one() -> None:
    made = Quiet(2.0, 1.8)
    made.feed(0.0, up=True)
    assert made.interval_s(100.0, busy=False) == 2.0
