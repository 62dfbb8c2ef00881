"""Runs one seed in this process, with everything that must be set up around a world."""

from __future__ import annotations

import gc
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from loguru import logger

from tests.simulation.guards import guarded
from tests.simulation.kept import kept
from tests.simulation.laws import Violation
from tests.simulation.plan import PROFILES, Plan, draw_plan
from tests.simulation.system import System
from tests.simulation.world import Outcome, World

__all__ = ["SeedRequest", "plan_of", "run_seed"]

_MEMORY = Path("/dev/shm")
# A world takes a second or two; one that takes so long waits for something that never comes.
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class SeedRequest:
    """Which world to run.

    Attributes:
        seed: The seed.
        profile: A profile's name; None takes the seed's own.
        only: The numbers of the plan's events that are to happen; None: all.
        trace: Keep the trace as text.
        file: A kept plan, run instead of the one drawn from the seed.
    """

    seed: int
    profile: str | None = None
    only: tuple[int, ...] | None = None
    trace: bool = False
    file: Path | None = None

    def __str__(self) -> str:
        """The command line that runs it again."""
        words = [
            "python -m tests.simulation",
            f"--plan {self.file}" if self.file is not None else f"--seed {self.seed}",
        ]
        if self.profile is not None:
            words.append(f"--profile {self.profile}")
        if self.only is not None:
            words.append(f"--only {','.join(map(str, self.only)) or 'none'}")
        return " ".join(words)


def plan_of(request: SeedRequest) -> Plan:
    """The plan, with those events left out that are not wanted."""
    if request.file is not None:
        plan = kept(request.file)
    else:
        plan = draw_plan(request.seed, PROFILES[request.profile] if request.profile is not None else None)
    if request.only is None:
        return plan
    return replace(plan, events=tuple(plan.events[number] for number in request.only))


def run_seed(system: System, request: SeedRequest) -> Outcome:
    """Run one world from beginning to end. The log goes nowhere but to law 11."""
    directory = Path(tempfile.mkdtemp(prefix="sixstep-", dir=_MEMORY if _MEMORY.is_dir() else None))
    # A world keeps every envelope it ever saw: looking through them again and again for cycles costs an eighth of it.
    gc.disable()
    try:
        world = World(plan_of(request), system, directory, trace=request.trace)
        with _logging_to(world), guarded(), _watched(world):
            return world.run()
    finally:
        gc.enable()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _logging_to(world: World) -> Iterator[None]:
    logger.remove()
    number = logger.add(lambda message: world.laws.shown("the log", str(message)), format="{message}", level="INFO")
    try:
        yield
    finally:
        logger.remove(number)


@contextmanager
def _watched(world: World) -> Iterator[None]:
    """A lock nobody gives back would hold the world for ever: after some time, say where, and go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(_: int, frame: FrameType | None) -> None:
        where = "".join(traceback.format_stack(frame, limit=6))
        world.laws.violations.append(Violation("blocked", f"no end after {_LONGEST_S:g} s of real time:\n{where}", 0.0))
        raise TimeoutError("blocked")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
