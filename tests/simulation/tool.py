"""What `python -m tests.simulation` does: many seeds with a summary, or one seed with its trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.runtime import SystemClock
from tests.simulation.kept import keep, kept
from tests.simulation.plan import PROFILES
from tests.simulation.seed import SeedRequest, plan_of, run_seed
from tests.simulation.shrink import shrink
from tests.simulation.sweep import Summary, sweep
from tests.simulation.system import System

__all__ = ["Options", "simulate"]

_BAR = 30
_FIRST_SHOWN = 10
_clock = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is wanted.

    Attributes:
        first_seed: Where the window begins.
        seeds: How many seeds.
        jobs: Processes.
        seed: One seed only.
        profile: A profile for all; None takes each seed's own.
        only: Numbers of the events that are to happen, for one seed.
        trace: Print the trace of one seed.
        shrink: Shorten what fails.
        plan: A kept plan, to be run instead of a seed's.
        keep: Where the shortest plan of a seed that fails is written to.
        as_json: Print JSON.
    """

    first_seed: int = 1
    seeds: int = 1000
    jobs: int = 2
    seed: int | None = None
    profile: str | None = None
    only: tuple[int, ...] | None = None
    trace: bool = False
    shrink: bool = True
    as_json: bool = False
    plan: Path | None = None
    keep: Path | None = None


def simulate(system: System, options: Options, echo: Callable[[str], object]) -> int:
    """Run what is wanted; the exit code: 1 after a violation.

    Raises:
        OSError: the file of a plan cannot be read or written.
        ValueError: there is no such profile, or a file holds no plan.
    """
    if options.profile is not None and options.profile not in PROFILES:
        raise ValueError(f"--profile {options.profile!r}: there are {', '.join(PROFILES)}")
    if options.plan is not None:
        return _one(
            system, SeedRequest(kept(options.plan).seed, None, options.only, options.trace, options.plan), options, echo
        )
    if options.seed is not None:
        request = SeedRequest(options.seed, options.profile, options.only, options.trace)
        return _one(system, request, options, echo)
    return _many(system, options, echo)


def _one(system: System, request: SeedRequest, options: Options, echo: Callable[[str], object]) -> int:
    outcome = run_seed(system, request)
    for line in outcome.trace:
        echo(line)
    summary = Summary()
    summary.add(outcome)
    if options.as_json:
        echo(json.dumps(summary.plain() | {"digest": outcome.digest}, indent=2))
        return 1 if outcome.violations else 0
    for number, event in enumerate(plan_of(request).events):
        if event.is_fault:
            echo(f"event {options.only[number] if options.only is not None else number:4d} {event}")
    echo(f"profile {outcome.profile}, {outcome.virtual_s:.1f} virtual seconds, trace digest {outcome.digest}")
    echo(_counted(outcome.counts))
    for violation in outcome.violations:
        echo(str(violation))
    if outcome.violations and options.shrink and options.only is None:
        request = _shrunk(system, replace(request, trace=False), outcome.violations[0].law, echo)
    if outcome.violations and options.keep is not None:
        keep(plan_of(request), options.keep)
    return 1 if outcome.violations else 0


def _many(system: System, options: Options, echo: Callable[[str], object]) -> int:
    summary = Summary()
    window = range(options.first_seed, options.first_seed + options.seeds)
    began = _clock.monotonic()
    requests = [SeedRequest(seed, options.profile) for seed in window]
    for outcome in sweep(system, requests, options.jobs):
        summary.add(outcome)
        _progress(summary, options.seeds, began)
    elapsed = _clock.monotonic() - began
    _clear_progress()
    if options.as_json:
        echo(json.dumps(summary.plain() | {"seeds_per_s": round(summary.seeds / elapsed, 2)}, indent=2))
        return 1 if summary.broken else 0
    for line in _words(summary, elapsed):
        echo(line)
    if summary.broken and options.shrink:
        request, text = min(summary.broken, key=lambda found: found[0].seed)
        _shrunk(system, request, text.partition(" at ")[0].removeprefix("law "), echo)
    return 1 if summary.broken else 0


def _words(summary: Summary, elapsed: float) -> Sequence[str]:
    lines = [
        f"{summary.seeds} seeds ({_counted(summary.profiles)}), {summary.seeds / elapsed:.1f} a second, "
        f"{summary.virtual_days:.1f} virtual days",
        _counted(summary.counts),
        f"faults: {_counted(summary.faults)}",
        f"law checks: {_counted(summary.checks)}",
    ]
    for request, text in summary.broken[:_FIRST_SHOWN]:
        lines += [str(request), f"    {text}"]
    if len(summary.broken) > _FIRST_SHOWN:
        lines.append(f"and {len(summary.broken) - _FIRST_SHOWN} more")
    lines.append(f"{len(summary.broken)} of {summary.seeds} seeds break a law")
    return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "nothing"


def _shrunk(system: System, request: SeedRequest, law: str, echo: Callable[[str], object]) -> SeedRequest:
    def breaks(attempt: SeedRequest) -> bool:
        return any(violation.law == law for violation in run_seed(system, attempt).violations)

    shortest, runs = shrink(request, breaks)
    echo(f"shortest after {runs} runs: {shortest}")
    for event in plan_of(shortest).events:
        echo(f"    {event}")
    return shortest


def _progress(summary: Summary, wanted: int, began: float) -> None:
    """A bar on a terminal; nothing in a file."""
    if not sys.stderr.isatty():
        return
    done = summary.seeds * _BAR // max(1, wanted)
    rate = summary.seeds / max(1e-9, _clock.monotonic() - began)
    bar = f"[{'#' * done}{'.' * (_BAR - done)}]"
    sys.stderr.write(f"\r{bar} {summary.seeds}/{wanted}, {rate:.1f} a second, {len(summary.broken)} broken ")
    sys.stderr.flush()


def _clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 78 + "\r")
