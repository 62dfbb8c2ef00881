"""The machine's disk: one real SQLite file, what goes wrong when it is written, and what a crash leaves of it.

A crash leaves the files as they are at that moment: they are copied, and the next process opens the copy. That is a
kill of the process. The copy of a `TORN` crash has its write-ahead log cut somewhere inside what the last commit wrote:
that is a loss of power while the commit was on its way to the disk. A loss of power at any other moment takes with it
every commit since the last one that was synced. Not modelled: sectors that rot, and disks that say a thing is written
when it is not.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.store import Store, StoreUnavailable

__all__ = ["INJECTED", "CommitMoment", "Disk", "DiskFault", "DiskTrouble"]

INJECTED = "InjectedError"
"""In the words of every error the simulation raises inside a handler."""

_SUFFIXES = ("", "-wal")
# PRAGMA synchronous: from here on each commit is synced.
_FULL = 2


class CommitMoment(StrEnum):
    """Where in a commit the process dies."""

    BEFORE = "before"
    TORN = "torn"
    AFTER = "after"
    POWER = "power"
    """The machine loses its power: what no commit has synced to the disk is gone."""


class DiskFault(StrEnum):
    """What the database answers instead of doing its work."""

    FULL = "full"
    LOCKED = "locked"
    BROKEN = "broken"
    LOST_DONE = "lost_done"
    """The commit is done, and the answer to it is an error."""
    LOST_UNDONE = "lost_undone"
    """The commit is not done, and nobody can tell: the answer is an error as well."""
    ODD = "odd"
    """Not about the disk at all: a statement fails as none should, and with it the handler that ran it."""


_ERRORS = {
    DiskFault.FULL: ("database or disk is full", sqlite3.SQLITE_FULL),
    DiskFault.LOCKED: ("database is locked", sqlite3.SQLITE_BUSY),
    DiskFault.BROKEN: ("disk I/O error", sqlite3.SQLITE_IOERR),
    DiskFault.LOST_DONE: ("disk I/O error", sqlite3.SQLITE_IOERR),
    DiskFault.LOST_UNDONE: ("disk I/O error", sqlite3.SQLITE_IOERR),
    DiskFault.ODD: (f"{INJECTED}: a statement failed", sqlite3.SQLITE_ERROR),
}


@dataclass(slots=True)
class DiskTrouble:
    """`fault` on statements that begin with `where`, so many times."""

    fault: DiskFault
    where: str
    times: int


class Disk:
    """Holds the file; opens stores on it.

    Args:
        directory: Where files go, preferably in memory.
        chance: Decides where a log is torn.
        now: Seconds since the world began.
    """

    def __init__(self, directory: Path, chance: random.Random, now: Callable[[], float]) -> None:
        self.commits = 0
        self.troubles: list[DiskTrouble] = []
        self.fired_at: float | None = None
        """When it last refused something."""

        self.on_commit: Callable[[CommitMoment], object] = lambda _: None
        """Told before and after each commit; may raise to end the process there."""

        self._directory = directory
        self._chance = chance
        self._now = now
        self._generation = 0
        self.path = directory / "0.db"
        """The database file of the present process."""

        self._log = f"{self.path}-wal"
        self._stores: list[Store] = []
        self._witness: sqlite3.Connection | None = None
        self._log_before = 0
        # The files as they were when everything in them was on the disk; None while everything is.
        self._synced: Path | None = None

    def open_store(self) -> Store:
        """Open the store as the service does; its statements pass by here.

        Raises:
            StoreUnavailable: The trouble in force is about opening.
        """
        if self._trouble("OPEN") is not None:
            raise StoreUnavailable("unable to open database file")
        if not self.path.exists():
            self.path.write_bytes(_empty_record())
        store = Store.open(f"sqlite:///{self.path}", busy_timeout_s=0.001)
        database = store.database
        connect = database._connection
        database._connection = lambda: _Connection(connect(), self)  # type: ignore[method-assign]
        self._stores.append(store)
        return store

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """What is durable: read by a connection of its own."""
        if self._witness is None:
            if not self.path.exists():
                return []
            self._witness = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
        return self._witness.execute(sql, parameters).fetchall()

    def crash(self, moment: CommitMoment) -> None:
        """Keep the files as a crash at this moment leaves them, for the next process to open."""
        before = self.path
        self._generation += 1
        self.path = self._directory / f"{self._generation}.db"
        self._log = f"{self.path}-wal"
        _copy(self._synced if moment is CommitMoment.POWER and self._synced is not None else before, self.path)
        self._synced = None
        if moment is CommitMoment.TORN:
            self._tear()
        self._close(before)

    def close(self) -> None:
        """Close what is open."""
        self._close(self.path)

    def _tear(self) -> None:
        if not os.path.exists(self._log):
            return
        written = os.path.getsize(self._log)
        if written > self._log_before:
            with open(self._log, "r+b") as file:
                file.truncate(self._chance.randrange(self._log_before, written))

    def _close(self, path: Path) -> None:
        if self._witness is not None:
            self._witness.close()
            self._witness = None
        for store in self._stores:
            store.close()
        self._stores.clear()
        if path != self.path:
            for suffix in (*_SUFFIXES, "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def before(self, sql: str, inner: Any) -> None:
        """A statement is about to run.

        Raises:
            sqlite3.OperationalError: It meets trouble.
        """
        trouble = self._trouble(sql)
        if trouble is not None:
            if trouble.fault is DiskFault.LOST_DONE and sql == "COMMIT":
                self._note_synced(inner)
                inner.execute(sql)
            raise _error(trouble.fault)
        if sql == "COMMIT":
            self._note_synced(inner)
            self._log_before = os.path.getsize(self._log)
            self.commits += 1
            self.on_commit(CommitMoment.BEFORE)

    def _note_synced(self, inner: Any) -> None:
        """What was on the disk before a commit that does not sync is kept, for a loss of power."""
        if inner.execute("PRAGMA synchronous").fetchone()[0] >= _FULL:
            self._synced = None
        elif self._synced is None:
            self._synced = self._directory / "synced.db"
            _copy(self.path, self._synced)

    def after(self, sql: str) -> None:
        """A statement has run."""
        if sql == "COMMIT":
            self.on_commit(CommitMoment.AFTER)

    def _trouble(self, sql: str) -> DiskTrouble | None:
        if not self.troubles:
            return None
        for trouble in self.troubles:
            if sql.startswith(trouble.where):
                trouble.times -= 1
                self.fired_at = self._now()
                if trouble.times <= 0:
                    self.troubles.remove(trouble)
                return trouble
        return None


@functools.cache
def _empty_record() -> bytes:
    """A new record as the service makes it: made once, since most worlds begin with it."""
    with tempfile.TemporaryDirectory(prefix="sixstep-") as directory:
        Store.open(f"sqlite:///{directory}/new.db").close()
        return Path(directory, "new.db").read_bytes()


def _error(fault: DiskFault) -> sqlite3.OperationalError:
    words, code = _ERRORS[fault]
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


def _copy(source: Path, target: Path) -> None:
    for suffix in _SUFFIXES:
        file = source.with_name(source.name + suffix)
        copy = target.with_name(target.name + suffix)
        copy.unlink(missing_ok=True)
        if file.exists():
            shutil.copyfile(file, copy)


class _Connection:
    """The driver's connection, watched."""

    __slots__ = ("_disk", "_inner")

    def __init__(self, inner: Any, disk: Disk) -> None:
        self._inner = inner
        self._disk = disk

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self._disk.before(sql, self._inner)
        cursor = self._inner.execute(sql, parameters)
        self._disk.after(sql)
        return cursor

    @property
    def in_transaction(self) -> bool:
        return bool(self._inner.in_transaction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
