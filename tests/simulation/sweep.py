"""Runs many seeds, on several processes, and sums up what was seen."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.seed import SeedRequest, run_seed
from tests.simulation.system import System
from tests.simulation.world import Outcome

__all__ = ["Summary", "sweep"]

_DAY_S = 86_400.0
# Of so many seeds one is run twice: equal seeds must give equal traces (law 12).
_TWICE = 50


@dataclass(slots=True)
class Summary:
    """What many seeds came to.

    Attributes:
        seeds: How many were run.
        broken: Those that broke a law, each with the first violation.
        counts: Orders, envelopes, calls, crashes and the like.
        faults: Faults by kind.
        checks: Law checks by law.
        profiles: Seeds by profile.
        virtual_days: Days of virtual time lived through.
    """

    seeds: int = 0
    broken: list[tuple[SeedRequest, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    virtual_days: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one world."""
        self.seeds += 1
        self.counts += outcome.counts
        self.faults += outcome.faults
        self.checks += outcome.checks
        self.profiles[outcome.profile] += 1
        self.virtual_days += outcome.virtual_s / _DAY_S
        if outcome.violations:
            self.broken.append((SeedRequest(outcome.seed, outcome.profile), str(outcome.violations[0])))

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "seeds": self.seeds,
            "violations": [{"reproduce": str(request), "violation": text} for request, text in self.broken],
            "profiles": dict(sorted(self.profiles.items())),
            "counts": dict(sorted(self.counts.items())),
            "faults": dict(sorted(self.faults.items())),
            "law_checks": dict(sorted(self.checks.items())),
            "virtual_days": round(self.virtual_days, 3),
        }


def sweep(system: System, requests: Iterable[SeedRequest], jobs: int) -> Iterator[Outcome]:
    """Run the worlds, in any order; each outcome as it comes."""
    run = partial(_run, system)
    if jobs <= 1:
        yield from map(run, requests)
        return
    # Not forked from a process that has threads, and each with its own hash seed: worlds must not care.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=500) as pool:
        yield from pool.imap_unordered(run, requests, chunksize=4)


def _run(system: System, request: SeedRequest) -> Outcome:
    outcome = run_seed(system, request)
    if request.seed % _TWICE == 0 and not outcome.violations:
        _compare(outcome, run_seed(system, request))
    return outcome


def _compare(outcome: Outcome, again: Outcome) -> None:
    from tests.simulation.laws import Violation

    outcome.checks["12"] += 1
    if outcome.digest != again.digest:
        text = f"two runs of one seed differ: {outcome.digest} and {again.digest}"
        outcome.violations.append(Violation("12", text, outcome.virtual_s))
