"""Every test of the store runs twice: on SQLite and on PostgreSQL, each time on a database of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from core.store import Store
from tests.store.databases import Schemas, postgresql_server

ENGINES = ("sqlite", "postgresql")
_MIGRATED = ("test_migrations", "test_database", "test_owner")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Schemas]:
    """PostgreSQL, started once."""
    with (
        tempfile.TemporaryDirectory(prefix="sixstep-pg-") as directory,
        postgresql_server(Path(directory), durable=False) as schemas,
    ):
        yield schemas


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def new_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Each call names a new record without rows. Where the migrations are what is tested, it has no tables yet."""
    if engine == "postgresql":
        schemas: Schemas = request.getfixturevalue("postgresql")
        return schemas.empty if request.module.__name__.rpartition(".")[2] in _MIGRATED else schemas.new
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
