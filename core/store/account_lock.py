"""One service to one account on a PostgreSQL server, from whatever machine it runs (scenario G16).

An advisory lock on a connection of its own: the server frees it when that connection ends, however its process ended.
The connection's `application_name` says who holds it.
"""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.files.instance import AlreadyRunning
from core.store.database import NOTICE_DEATH
from core.store.errors import StoreUnavailable
from core.store.owner import Owner

__all__ = ["AccountLock", "Standing"]

_TRY = "SELECT pg_try_advisory_lock(%s)"
# A bigint key stands in pg_locks as two halves.
_HOLDER = (
    "SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (l.classid::bigint << 32) | l.objid::bigint = %s"
)
# PostgreSQL cuts longer names.
_NAME = 63


class Standing(StrEnum):
    """How it stands with the lock."""

    HELD = "HELD"
    REGAINED = "REGAINED"
    """Its connection was lost; nobody took it meanwhile."""
    AWAY = "AWAY"
    """Its connection was lost, and the server cannot be reached."""
    TAKEN = "TAKEN"
    """Its connection was lost, and another service has it now."""


class AccountLock:
    """The lock of one owner.

    Args:
        url: `postgresql://…`; the lock is one of this database.
        owner: Broker and account.
        since: When this service began, in UTC, for whoever is refused.
    """

    def __init__(self, url: str, owner: Owner, since: datetime) -> None:
        self._url = "postgresql://" + url.partition("://")[2]
        self._owner = owner
        self._key = _key(owner)
        self._name = f"sixstep {since:%Y-%m-%dT%H:%M:%SZ} {os.getpid()} {socket.gethostname()}"[:_NAME]
        self._connection: Any = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: Another service has it; the text says which, where and since when.
            StoreUnavailable: The server cannot be reached.
        """
        import psycopg

        try:
            self._take(psycopg)
        except psycopg.Error as error:
            self.release()
            raise StoreUnavailable(" ".join(str(error).split())) from error

    def _take(self, psycopg: Any) -> None:
        connection = self._connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=3,
            application_name=self._name,
            tcp_user_timeout=10_000,
        )
        for statement in NOTICE_DEATH:
            connection.execute(statement)
        if connection.execute(_TRY, (self._key,)).fetchone()[0]:
            return
        found = connection.execute(_HOLDER, (self._key,)).fetchone()
        self.release()
        holder = _holder(found[0] if found else "")
        raise AlreadyRunning(
            f"another service ({holder}) trades {self._owner}; stop it first: two would send the same orders"
        )

    def look(self) -> tuple[Standing, str]:
        """Whether the lock is held still; taken again at once where its connection was lost.

        Returns:
            The standing, and in words who holds it or why that is not known.
        """
        import psycopg

        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self.release()
            else:
                return Standing.HELD, ""
        try:
            self.acquire()
        except AlreadyRunning as error:
            return Standing.TAKEN, str(error)
        except StoreUnavailable as error:
            return Standing.AWAY, error.reason
        return Standing.REGAINED, ""

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _key(owner: Owner) -> int:
    text = "\n".join(("sixstep", owner.profile, owner.host, owner.account))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _holder(name: str) -> str:
    """The words for what `application_name` says."""
    parts = name.split(" ", 3)
    if len(parts) != 4 or parts[0] != "sixstep":
        return "its session does not say which"
    _, since, process, host = parts
    return f"process {process} on {host}, since {since}"
