"""Whether an actor keeps up (scenario E9)."""

from __future__ import annotations

from dataclasses import replace

from core.rules.watchdog import lateness
from core.runtime import ActorHealth

WELL = ActorHealth(
    name="guard",
    alive=True,
    impaired=None,
    died=None,
    depth=0,
    oldest_age_s=None,
    in_hand=None,
    in_hand_s=None,
    handled=1,
    failures=0,
    restarts=0,
)


def test_an_actor_that_keeps_up_is_not_late() -> None:
    assert lateness(WELL, 2.0) is None
    assert lateness(replace(WELL, depth=3, oldest_age_s=1.9, in_hand="Tick", in_hand_s=1.9), 2.0) is None


def test_a_envelope_in_hand_for_too_long_is_named() -> None:
    words = lateness(replace(WELL, in_hand="CheckGuard", in_hand_s=2.5, depth=4), 2.0)
    assert words == "has had a CheckGuard in hand for 2.5 s, 4 envelope(s) wait behind"


def test_envelopes_that_wait_too_long_are_told() -> None:
    assert "waited for 3.0 s" in (lateness(replace(WELL, depth=9, oldest_age_s=3.0), 2.0) or "")


def test_an_actor_that_has_ended_is_told_elsewhere() -> None:
    assert lateness(replace(WELL, alive=False, oldest_age_s=99.0), 2.0) is None
