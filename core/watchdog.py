"""Whether an actor keeps up: the age of what waits for it, and how long it has had a letter in hand (scenario E9)."""

from __future__ import annotations

from core.runtime import ActorHealth

__all__ = ["lateness"]


def lateness(health: ActorHealth, patience_s: float) -> str | None:
    """What is late about an actor, in words; None while it keeps up, and once it has ended."""
    if not health.alive:
        return None
    if health.in_hand_s is not None and health.in_hand_s > patience_s:
        return f"has had a {health.in_hand} in hand for {health.in_hand_s:.1f} s, {health.depth} letter(s) wait behind"
    if health.oldest_age_s is not None and health.oldest_age_s > patience_s:
        return f"is behind: its oldest letter has waited for {health.oldest_age_s:.1f} s, {health.depth} wait"
    return None
