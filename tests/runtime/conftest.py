from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from tests.runtime.harness import Harness, shared, steps, threads
from tests.support import no_dead_letters


@pytest.fixture(params=[threads, shared, steps], ids=["threads", "shared", "steps"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """The same test on both runtimes, and on threads with one for all actors."""
    runtime = request.param()
    with no_dead_letters(runtime):
        yield Harness(runtime)


@pytest.fixture
def threaded() -> Iterator[Harness]:
    """For what only threads can show."""
    with no_dead_letters(runtime := threads()):
        yield Harness(runtime)


@pytest.fixture
def stepped() -> Iterator[Harness]:
    """For what needs virtual time or an exact order."""
    with no_dead_letters(runtime := steps()):
        yield Harness(runtime)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What was logged, one text per call."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}", level="DEBUG")
    yield lines
    logger.remove(sink)
