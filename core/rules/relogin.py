"""When to log in again after a session has died: at once first, then with growing pauses, and not for ever (E1)."""

from __future__ import annotations

__all__ = ["Relogin"]

PAUSES_S = (0.0, 5.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds before each further login while sessions die young; after the last of them a person must look."""

SHORT_LIVED_S = 300.0
"""A session that lived so long is no part of a storm: after it all begins anew."""

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each further attempt while a login brings no verdict; the last one repeats."""


class Relogin:
    """Counts sessions that died young. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._young = 0
        self._without_verdict = 0

    def logged_in(self, now: float) -> None:
        """A session is up."""
        self._began = now
        self._without_verdict = 0

    def after_loss(self, now: float) -> float | None:
        """Seconds until the next login after the session was lost; None when another one would cure nothing."""
        if self._began is not None and now - self._began >= SHORT_LIVED_S:
            self._young = 0
        pause = PAUSES_S[self._young] if self._young < len(PAUSES_S) else None
        self._young += 1
        return pause

    def after_no_verdict(self) -> float:
        """Seconds until the next attempt after one that brought no verdict."""
        pause = BACKOFF_S[min(self._without_verdict, len(BACKOFF_S) - 1)]
        self._without_verdict += 1
        return pause

    def begin_anew(self) -> None:
        """A person has changed something: what went before does not count."""
        self._young = self._without_verdict = 0
