"""How an actor is doing, as seen from outside."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ActorHealth"]


@dataclass(frozen=True, slots=True)
class ActorHealth:
    """One actor at one moment. Read without stopping it, so two fields may be an envelope apart."""

    name: str
    alive: bool
    """Its loop runs. False once it has stopped or died."""

    impaired: str | None
    """The error of its last attempt to rebuild its state; None: it works."""

    died: str | None
    """Why its loop ended without being asked to."""

    depth: int
    """Envelopes waiting."""

    oldest_age_s: float | None
    """Seconds since the oldest waiting envelope was sent."""

    in_hand: str | None
    """The type of the message being handled."""

    in_hand_s: float | None
    """Seconds since that was taken."""

    handled: int
    failures: int
    restarts: int
    """How often its state was rebuilt after a failure."""
