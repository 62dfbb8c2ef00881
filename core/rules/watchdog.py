"""Whether an actor keeps up: how old the oldest waiting envelope is, how long one is being handled (scenario E9)."""

from __future__ import annotations

from core.model.health import ActorHealth

__all__ = ["lateness"]


def lateness(health: ActorHealth, patience_s: float) -> str | None:
    """What is late about an actor, in words; None while it keeps up, and once it has ended."""
    if not health.alive:
        return None
    if health.in_hand_s is not None and health.in_hand_s > patience_s:
        return (
            f"has had a {health.in_hand} in hand for {health.in_hand_s:.1f} s, {health.depth} envelope(s) wait behind"
        )
    if health.oldest_age_s is not None and health.oldest_age_s > patience_s:
        return f"is behind: its oldest envelope has waited for {health.oldest_age_s:.1f} s, {health.depth} wait"
    return None
