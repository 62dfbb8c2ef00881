from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from tests.runtime.stage import Stage, steps, threads
from tests.support import no_dead_letters


@pytest.fixture(params=["threads", "steps"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The same test on both runtimes."""
    runtime = threads() if request.param == "threads" else steps()
    with no_dead_letters(runtime):
        yield Stage(runtime)


@pytest.fixture
def threaded() -> Iterator[Stage]:
    """For what only threads can show."""
    with no_dead_letters(runtime := threads()):
        yield Stage(runtime)


@pytest.fixture
def stepped() -> Iterator[Stage]:
    """For what needs virtual time or an exact order."""
    with no_dead_letters(runtime := steps()):
        yield Stage(runtime)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What was logged, one text per call."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}", level="DEBUG")
    yield lines
    logger.remove(sink)
