"""Finds the shortest list of events with which a seed still breaks the same law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.seed import SeedRequest, plan_of

__all__ = ["shrink"]

_MOST_RUNS = 150


def shrink(
    request: SeedRequest, breaks: Callable[[SeedRequest], bool], most_runs: int = _MOST_RUNS
) -> tuple[SeedRequest, int]:
    """Leave out events, halves first and then ever smaller parts, as long as the request still breaks.

    Args:
        request: One that breaks.
        breaks: Runs a request; whether the same law breaks.
        most_runs: How many runs it may cost.

    Returns:
        The shortest request found, and how many runs it took.
    """
    kept = list(request.only if request.only is not None else range(len(plan_of(request).events)))
    runs = 0
    size = max(1, len(kept) // 2)
    while size >= 1 and kept:
        start = 0
        shorter = False
        while start < len(kept) and runs < most_runs:
            attempt = kept[:start] + kept[start + size :]
            runs += 1
            if breaks(replace(request, only=tuple(attempt))):
                kept, shorter = attempt, True
            else:
                start += size
        if runs >= most_runs or (size == 1 and not shorter):
            break
        size = max(1, size // 2) if size > 1 else 1
    return replace(request, only=tuple(kept)), runs
