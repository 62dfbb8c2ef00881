"""Version 4: the database has an owner, what risk remembers carries the account, a run knows its last commit.

What stood here before carries no account until the owner is known: `Store.claim` writes it at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["ACCOUNTS"]


def _statements(engine: Engine) -> Sequence[str]:
    integer = "INTEGER" if engine is Engine.SQLITE else "BIGINT"
    return (
        "CREATE TABLE owner (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), profile TEXT NOT NULL, "
        "host TEXT NOT NULL, account TEXT NOT NULL, since TEXT NOT NULL)",
        "ALTER TABLE runs ADD COLUMN last_commit TEXT",
        "ALTER TABLE halts ADD COLUMN account TEXT NOT NULL DEFAULT ''",
        "DROP INDEX halts_one_active",
        "CREATE UNIQUE INDEX halts_one_active ON halts (account) WHERE cleared_at IS NULL",
        # A primary key cannot be changed in place on SQLite.
        "CREATE TABLE breaches_of (account TEXT NOT NULL, trading_day TEXT NOT NULL, pnl TEXT NOT NULL, "
        "loss_limit TEXT NOT NULL, PRIMARY KEY (account, trading_day))",
        "INSERT INTO breaches_of (account, trading_day, pnl, loss_limit) "
        "SELECT '', trading_day, pnl, loss_limit FROM breaches",
        "DROP TABLE breaches",
        "ALTER TABLE breaches_of RENAME TO breaches",
        f"CREATE TABLE loss_runs_of (account TEXT NOT NULL, strategy TEXT NOT NULL, "
        f"losses {integer} NOT NULL CHECK (losses >= 0), cooldown_until TEXT, PRIMARY KEY (account, strategy))",
        "INSERT INTO loss_runs_of (account, strategy, losses, cooldown_until) "
        "SELECT '', strategy, losses, cooldown_until FROM loss_runs",
        "DROP TABLE loss_runs",
        "ALTER TABLE loss_runs_of RENAME TO loss_runs",
    )


ACCOUNTS = Migration(4, "owner of the database, account of risk state", _statements)
