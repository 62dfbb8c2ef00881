"""`Store`: the record of orders. One writer opens it to write; entry points open it to read."""

from __future__ import annotations

from typing import Self

from core.store.cancelling import Cancelling
from core.store.commits import Commits
from core.store.database import Database, Savepoint, Transaction, open_database
from core.store.day_pnl import DayPnl
from core.store.migrations import MIGRATIONS, migrate
from core.store.modifying import Modifying
from core.store.owner import Ownership
from core.store.reading import Reading
from core.store.registering import Registering
from core.store.reporting import Reporting
from core.store.restart import Restart
from core.store.risk_state import RiskMemory

__all__ = ["Store"]

# Seconds of silence during a statement after which PostgreSQL counts as gone.
_ANSWER_S = 6.0


class Store(Registering, Cancelling, Modifying, Reporting, RiskMemory, DayPnl, Restart, Ownership, Commits, Reading):
    """Every operation on the database, grouped by subject in the files of this package.

    Operations that write run inside the caller's `transaction()`, take the time and the envelope that caused them, and
    write the row and its event together. Used from one thread when writing; a read-only store may be used by many.

        with store.transaction():
            with store.savepoint():
                order = store.register(order, at, cause)
    """

    @classmethod
    def open(cls, url: str, read_only: bool = False, *, busy_timeout_s: float = 5.0) -> Self:
        """Open the database that `url` names, and bring its schema up to date unless `read_only`.

        Args:
            url: `sqlite:///path/to/file.db` or `postgresql://user:password@host/name`.
            read_only: Refuse every write.
            busy_timeout_s: Seconds to wait for another writer before `StoreUnavailable`.

        Raises:
            DatabaseNotOpened: It cannot be opened, is newer than this program, or could not be migrated.
        """
        database = open_database(url, read_only=read_only, busy_timeout_s=busy_timeout_s)
        try:
            migrate(database, MIGRATIONS)
            if not read_only:
                # A writer that waits for another one's lock waits less.
                database.expect_answers(max(_ANSWER_S, busy_timeout_s + 1))
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def database(self) -> Database:
        """The database underneath, for checks and measurements."""
        return self._db

    def close(self) -> None:
        """Close this thread's connection; a transaction still open is rolled back."""
        self._db.close()

    def transaction(self, *, lasting: bool = True) -> Transaction:
        """A block that ends with one commit, or with nothing at all when it raises.

        Args:
            lasting: Whether the commit is on the disk when the block has ended, and with it all before. Otherwise a
                loss of power may take it, with all that come after it and are not lasting either; a killed process
                loses nothing.
        """
        return self._db.transaction(lasting=lasting)

    def savepoint(self) -> Savepoint:
        """A block inside a transaction that undoes only itself when it raises."""
        return self._db.savepoint()

    def rollback(self) -> None:
        """Undo the open transaction, if there is one: for a caller that does not use `transaction()` as a block."""
        self._db.rollback()
