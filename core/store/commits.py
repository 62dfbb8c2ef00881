"""Whether a commit was made whose answer was lost: told by what its transaction, and no other, wrote (scenario G6)."""

from __future__ import annotations

from core.store.rows import Evidence, OrderRows

__all__ = ["Commits"]

_EVENT = "SELECT 1 FROM order_events WHERE command_id = ? AND cause = ?"
_NOTED = "SELECT 1 FROM runs WHERE run_id = ? AND last_commit = ?"


class Commits(OrderRows):
    """Operations on commits in doubt."""

    def note_commit(self, name: str) -> Evidence:
        """Let the run note this commit as its last: for a transaction that writes no event."""
        self._db.write("UPDATE runs SET last_commit = ? WHERE run_id = ?", (name, self._run))
        return Evidence(None, name)

    def is_committed(self, evidence: Evidence) -> bool:
        """Whether the transaction that wrote this was committed.

        Raises:
            StoreUnavailable: It cannot be told yet: the database is away, or still busy with that transaction.
        """
        self._db.end_lost_session()
        if evidence.command_id is None:
            found = self._db.execute(_NOTED, (self._run, evidence.cause))
        else:
            found = self._db.execute(_EVENT, (evidence.command_id, evidence.cause))
        return found.fetchone() is not None
