"""The day's P&L over time: what the chart of a later run begins with."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from core.store.rows import OrderRows
from core.store.values import day_text, decimal_text, time_from, time_text

__all__ = ["DayPnl"]


class DayPnl(OrderRows):
    """Operations on the points of the day's P&L. Only one trading day of an account is kept."""

    def note_pnl(self, account: str, trading_day: date, at: datetime, pnl: Decimal) -> None:
        """Remember the P&L of this moment, in rupees; those of other trading days are forgotten."""
        day = day_text(trading_day)
        self._db.write("DELETE FROM day_pnl WHERE account = ? AND trading_day <> ?", (account, day))
        self._db.write(
            "INSERT INTO day_pnl (account, trading_day, at, pnl) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, trading_day, at) DO UPDATE SET pnl = excluded.pnl",
            (account, day, time_text(at), decimal_text(pnl)),
        )

    def day_pnl(self, account: str, trading_day: date) -> list[tuple[datetime, Decimal]]:
        """Times and rupees of this trading day, oldest first."""
        found = self._db.execute(
            "SELECT at, pnl FROM day_pnl WHERE account = ? AND trading_day = ? ORDER BY at",
            (account, day_text(trading_day)),
        )
        return [(time_from(at), Decimal(pnl)) for at, pnl in found.fetchall()]
