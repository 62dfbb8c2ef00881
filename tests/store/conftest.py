"""Every test of the store runs twice: on SQLite and on PostgreSQL, each time on a database of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from core.store import Store
from tests.store.databases import postgresql_server

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Starts PostgreSQL once; each call makes an empty schema and returns its URL."""
    with (
        tempfile.TemporaryDirectory(prefix="sixstep-pg-") as directory,
        postgresql_server(Path(directory), durable=False) as new,
    ):
        yield new


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def new_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Each call names a new, empty database."""
    if engine == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("postgresql")
        return make
    numbers = count(1)
    return lambda: f"sqlite:///{tmp_path}/record-{next(numbers)}.db"


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()
