"""What happened when a handler raised, in words and numbers."""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass

from core.rules.secrets import NO_SECRETS, Secrets
from core.runtime.redaction import scrub

__all__ = ["FailureLimits", "FailureWindow", "error_text", "error_traceback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLimits:
    """How much failing of one actor is too much."""

    max_failures: int = 5
    """More than this many failures within the window escalate."""

    window_s: float = 60.0

    rebuild_retry_s: float = 1.0
    """How often an impaired actor tries to rebuild its state."""


class FailureWindow:
    """Counts an actor's failures, all of them and those of the last seconds."""

    def __init__(self, limits: FailureLimits) -> None:
        self.total = 0
        self._limits = limits
        # One more than the limit is all that is ever asked for.
        self._recent: deque[float] = deque(maxlen=limits.max_failures + 1)

    def add(self, now: float) -> tuple[int, bool]:
        """Count a failure at `now` (monotonic seconds): how many are in the window, and whether that is too many."""
        self.total += 1
        self._recent.append(now)
        while self._recent[0] < now - self._limits.window_s:
            self._recent.popleft()
        return len(self._recent), len(self._recent) > self._limits.max_failures


def error_text(error: BaseException, secrets: Secrets = NO_SECRETS) -> str:
    """The error's type and words, secrets hidden, on one line."""
    words = " ".join(scrub(str(error), secrets).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def error_traceback(error: BaseException, secrets: Secrets = NO_SECRETS) -> str:
    """The traceback as text, secrets in the error's words hidden; source lines, but no values of variables."""
    return scrub("".join(traceback.format_exception(error)), secrets)
