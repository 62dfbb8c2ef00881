"""Version 6: strategies halted alone, and the loss from which max_loss counts on, survive a restart."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["DAY"]


def _statements(engine: Engine) -> Sequence[str]:
    identity = "INTEGER PRIMARY KEY" if engine is Engine.SQLITE else "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return (
        f"CREATE TABLE strategy_halts (id {identity}, account TEXT NOT NULL, strategy TEXT NOT NULL, "
        "reason TEXT NOT NULL, at TEXT NOT NULL, cleared_by TEXT, cleared_at TEXT)",
        "CREATE UNIQUE INDEX strategy_halts_one_active ON strategy_halts (account, strategy) WHERE cleared_at IS NULL",
        "CREATE TABLE max_loss_marks (account TEXT NOT NULL, trading_day TEXT NOT NULL, pnl TEXT NOT NULL, "
        "PRIMARY KEY (account, trading_day))",
    )


DAY = Migration(6, "strategy halts, marks of max_loss", _statements)
