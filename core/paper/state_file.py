"""The file a paper exchange keeps its state in: SQLite, one table of rows, one exchange at a time.

A change is written before anybody hears of it, and handed to the operating system: a process that is killed loses
nothing. A machine that loses power may lose the last moments; order and trade numbers are given twice even then not.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core.files.instance import InstanceLock
from core.paper.memory import Changes, Row

__all__ = ["Cleared", "StateError", "StateFile", "clear_state"]

NAME = "paper.db"
"""The file's name in the directory of an exchange."""

_TABLE = "CREATE TABLE IF NOT EXISTS state (kind TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, name))"
_PUT = "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


class StateError(OSError):
    """The state cannot be read or written; the text names the file and what to do."""


class StateFile:
    """One exchange's file.

    Args:
        directory: Where it is.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._lock = InstanceLock(
            directory / f"{NAME}.lock",
            busy="another paper exchange ({holder}) keeps its state here; stop it, or give this one its own "
            "--data-dir or [service] data_dir (lock file {path})",
        )
        self._connection: sqlite3.Connection | None = None
        self._pending = Changes((), {})

    def check_free(self) -> None:
        """See that no exchange has the file.

        Raises:
            AlreadyRunning: One has.
        """
        self._lock.acquire()
        self._lock.release()

    def open(self) -> dict[Row, str]:
        """Take the file for this process; all rows that are in it.

        Raises:
            AlreadyRunning: Another exchange has it.
            StateError: It cannot be read.
        """
        self._lock.acquire()
        try:
            # Sessions are in it: for its owner alone.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            # Opened by who starts the exchange, used on the exchange's own thread, never by two at a time.
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_TABLE)
            return {(kind, name): value for kind, name, value in self._connection.execute("SELECT * FROM state")}
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise self.unreadable(error) from error

    def save(self, changes: Changes | None) -> None:
        """Write down what changed, all of it or nothing; what could not be written is written with the next change.

        Raises:
            StateError: It could not be written.
        """
        if changes is not None:
            rows = changes.rows if changes.cleared else {**self._pending.rows, **changes.rows}
            self._pending = Changes(changes.cleared or self._pending.cleared, rows)
        elif not self._pending.rows:
            return
        connection = self._connection
        assert connection is not None, "the file is not open"
        try:
            connection.execute("BEGIN IMMEDIATE")
            for kind in self._pending.cleared:
                connection.execute("DELETE FROM state WHERE kind = ?", (kind,))
            connection.executemany(_PUT, [(*row, value) for row, value in self._pending.rows.items()])
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise StateError(f"paper exchange: {self.path} cannot be written: {error}") from error
        self._pending = Changes((), {})

    def clear(self) -> None:
        """Forget everything but how far the numbers have come."""
        connection = self._connection
        assert connection is not None, "the file is not open"
        head = connection.execute("SELECT value FROM state WHERE kind = 'exchange'").fetchone()
        numbers = json.loads(head[0]).get("numbers", {}) if head else {}
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM state")
        connection.execute(_PUT, ("exchange", "", json.dumps({"numbers": numbers})))
        connection.execute("COMMIT")

    def close(self) -> None:
        """Give the file back. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    def unreadable(self, error: Exception) -> StateError:
        """The error of a file that cannot be gone on with."""
        return StateError(
            f"paper exchange: its state in {self.path} cannot be used: {error}; `run.py paper --reset` clears it"
        )


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a reset has cleared.

    Attributes:
        path: The file.
        orders: How many orders of the day.
        trades: How many trades of the day.
        positions: Account, segment, symbol, product and net quantity of each open position.
        holdings: How many holdings.
    """

    path: Path
    orders: int = 0
    trades: int = 0
    positions: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    holdings: int = 0


def clear_state(directory: Path) -> Cleared:
    """Clear the state of an exchange that is not running; its numbers go on.

    Raises:
        AlreadyRunning: An exchange runs on it.
        StateError: The file is none of an exchange.
    """
    file = StateFile(directory)
    if not file.path.exists():
        return Cleared(file.path)
    rows = file.open()
    try:
        told = _told(file.path, rows)
        file.clear()
    except (sqlite3.Error, ValueError, KeyError) as error:
        raise StateError(f"paper exchange: {file.path} cannot be cleared: {error}; remove the file") from error
    finally:
        file.close()
    return told


def _told(path: Path, rows: dict[Row, str]) -> Cleared:
    count = Counter(kind for kind, _ in rows)
    trades = sum(1 for (kind, _), text in rows.items() if kind == "event" and json.loads(text)[-1])
    holdings = sum(len(json.loads(text)["holdings"]) for (kind, _), text in rows.items() if kind == "account")
    positions = []
    for (kind, name), text in rows.items():
        if kind == "position" and (net := _net(json.loads(text))):
            exch, token, product, uid = name.split("|", 3)
            symbol = json.loads(rows["instrument", f"{exch}|{token}"])["tsym"]
            positions.append((uid, exch, symbol, product, net))
    return Cleared(path, count["order"], trades, sorted(positions), holdings)


def _net(row: dict[str, int]) -> int:
    bought, sold = row["day_buy_qty"] + row["cf_buy_qty"], row["day_sell_qty"] + row["cf_sell_qty"]
    return bought - sold
