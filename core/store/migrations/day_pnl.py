"""Version 3: the day's P&L over time, for the chart."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["DAY_PNL"]


def _statements(engine: Engine) -> Sequence[str]:
    clustered = " WITHOUT ROWID" if engine is Engine.SQLITE else ""
    return (
        "CREATE TABLE day_pnl (account TEXT NOT NULL, trading_day TEXT NOT NULL, at TEXT NOT NULL, pnl TEXT NOT NULL, "
        f"PRIMARY KEY (account, trading_day, at)){clustered}",
    )


DAY_PNL = Migration(3, "day P&L over time", _statements)
