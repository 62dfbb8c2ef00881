"""What must survive a restart beside the orders: halt, breach, losing runs, and the runs of the service (D9, D10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.model.risk_state import Breach, Halt, LossRun
from core.store.rows import OrderRows
from core.store.values import clean_text, day_text, decimal_text, time_from, time_text

__all__ = ["RiskMemory"]

_AHEAD = timedelta(days=7)
_MOST_REASONS = 1000

_TRADED = (
    "SELECT DISTINCT exchange, symbol FROM orders WHERE account = ? AND trading_day = ? AND filled_quantity > 0 "
    "AND exchange IS NOT NULL AND symbol IS NOT NULL"
)


class RiskMemory(OrderRows):
    """Operations on halts, breaches, losing runs and service runs."""

    # Halt

    def halt(self, account: str, reason: str, by: str, at: datetime) -> Halt:
        """Halt trading. A halt that is set already keeps its reason, and has this one beside it.

        Returns:
            The halt in force.
        """
        reason, by = clean_text(reason), clean_text(by)
        halt = self.current_halt(account)
        if halt is None:
            self._db.write(
                "INSERT INTO halts (account, reason, halted_by, at) VALUES (?, ?, ?, ?)",
                (account, reason, by, time_text(at)),
            )
            return Halt(reason, by, at)
        again = f"{halt.reason}; again by {by}: {reason}"
        if f": {reason};" in f": {halt.reason};" or len(again) > _MOST_REASONS:
            return halt
        self._db.write("UPDATE halts SET reason = ? WHERE account = ? AND cleared_at IS NULL", (again, account))
        return replace(halt, reason=again)

    def clear_halt(self, account: str, by: str, at: datetime) -> bool:
        """Resume trading, of strategies halted alone as well. False if there was no halt of all."""
        cleared = self._db.write(
            "UPDATE halts SET cleared_by = ?, cleared_at = ? WHERE account = ? AND cleared_at IS NULL",
            (clean_text(by), time_text(at), account),
        )
        self._db.write(
            "UPDATE strategy_halts SET cleared_by = ?, cleared_at = ? WHERE account = ? AND cleared_at IS NULL",
            (clean_text(by), time_text(at), account),
        )
        return bool(cleared.rowcount)

    def current_halt(self, account: str) -> Halt | None:
        """The halt in force."""
        found = self._db.execute(
            "SELECT reason, halted_by, at FROM halts WHERE account = ? AND cleared_at IS NULL", (account,)
        ).fetchone()
        return None if found is None else Halt(found[0], found[1], time_from(found[2]))

    def settled_halts(self, account: str, since: date) -> tuple[str, ...]:
        """The reasons of the halts over which trading was resumed on this day or later."""
        found = self._db.execute(
            "SELECT reason FROM halts WHERE account = ? AND cleared_at >= ? ORDER BY id", (account, day_text(since))
        )
        return tuple(reason for (reason,) in found.fetchall())

    def halt_strategy(self, account: str, strategy: str, reason: str, at: datetime) -> None:
        """Halt one strategy alone, until trading is resumed. A halt that is set already keeps its reason."""
        self._db.write(
            "INSERT INTO strategy_halts (account, strategy, reason, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (account, strategy, clean_text(reason), time_text(at)),
        )

    def halted_strategies(self, account: str) -> tuple[tuple[str, str], ...]:
        """Name and reason of each strategy that is halted alone."""
        found = self._db.execute(
            "SELECT strategy, reason FROM strategy_halts WHERE account = ? AND cleared_at IS NULL ORDER BY strategy",
            (account,),
        )
        return tuple((strategy, reason) for strategy, reason in found.fetchall())

    # The mark of max_loss

    def save_max_loss_mark(self, account: str, trading_day: date, pnl: Decimal) -> None:
        """Remember the day's loss from which max_loss counts on."""
        self._db.write(
            "INSERT INTO max_loss_marks (account, trading_day, pnl) VALUES (?, ?, ?) "
            "ON CONFLICT (account, trading_day) DO UPDATE SET pnl = excluded.pnl",
            (account, day_text(trading_day), decimal_text(pnl)),
        )

    def max_loss_mark(self, account: str, trading_day: date) -> Decimal | None:
        """The loss of this trading day at which max_loss halted, or trading was resumed after it had."""
        found = self._db.execute(
            "SELECT pnl FROM max_loss_marks WHERE account = ? AND trading_day = ?", (account, day_text(trading_day))
        ).fetchone()
        return None if found is None else Decimal(found[0])

    def symbols_traded_on(self, account: str, trading_day: date) -> frozenset[tuple[str, str]]:
        """Exchange and symbol of each order of this trading day that filled, wholly or in part."""
        found = self._db.execute(_TRADED, (account, day_text(trading_day)))
        return frozenset((exchange, symbol) for exchange, symbol in found.fetchall())

    # A clock that was ahead

    def take_back_days_after(self, account: str, trading_day: date) -> tuple[str, ...]:
        """Put breaches and marks of days to come under this day: a clock was ahead when they were made.

        What lies more than a week ahead stays: then it is the clock of now that cannot be right.

        Returns:
            The days that were put right.
        """
        day = day_text(trading_day)
        limit = day_text(trading_day + _AHEAD)
        moved: set[str] = set()
        for table in ("breaches", "max_loss_marks"):
            where = "account = ? AND trading_day > ? AND trading_day <= ?"
            days = self._db.execute(
                f"SELECT trading_day FROM {table} WHERE {where} ORDER BY trading_day DESC", (account, day, limit)
            ).fetchall()
            if not days:
                continue
            moved |= {found for (found,) in days}
            # The newest is the truest: it stays, under the day that it is.
            self._db.write(
                f"DELETE FROM {table} WHERE account = ? AND trading_day >= ? AND trading_day < ?",
                (account, day, days[0][0]),
            )
            self._db.write(
                f"UPDATE {table} SET trading_day = ? WHERE account = ? AND trading_day = ?", (day, account, days[0][0])
            )
        return tuple(sorted(moved))

    # Breach

    def save_breach(self, account: str, breach: Breach) -> None:
        """Remember that the daily loss limit was reached; the last word on a trading day counts."""
        self._db.write(
            "INSERT INTO breaches (account, trading_day, pnl, loss_limit) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, trading_day) DO UPDATE SET pnl = excluded.pnl, loss_limit = excluded.loss_limit",
            (account, day_text(breach.trading_day), decimal_text(breach.pnl), decimal_text(breach.limit)),
        )

    def breach(self, account: str, trading_day: date) -> Breach | None:
        """The breach of this trading day, if there was one."""
        found = self._db.execute(
            "SELECT pnl, loss_limit FROM breaches WHERE account = ? AND trading_day = ?",
            (account, day_text(trading_day)),
        ).fetchone()
        return None if found is None else Breach(trading_day, Decimal(found[0]), Decimal(found[1]))

    # Losing runs

    def save_loss_run(self, account: str, run: LossRun) -> None:
        """Remember a strategy's losing exits in a row and its cooldown."""
        until = None if run.cooldown_until is None else time_text(run.cooldown_until)
        self._db.write(
            "INSERT INTO loss_runs (account, strategy, losses, cooldown_until) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, strategy) "
            "DO UPDATE SET losses = excluded.losses, cooldown_until = excluded.cooldown_until",
            (account, run.strategy, run.losses, until),
        )

    def loss_runs(self, account: str) -> tuple[LossRun, ...]:
        """The losing run of each strategy that ever had one."""
        found = self._db.execute(
            "SELECT strategy, losses, cooldown_until FROM loss_runs WHERE account = ? ORDER BY strategy", (account,)
        )
        return tuple(
            LossRun(strategy, int(losses), None if until is None else time_from(until))
            for strategy, losses, until in found.fetchall()
        )

    # Runs of the service

    def start_run(self, run_id: str, at: datetime) -> bool:
        """Note that the service started; orders registered from now on carry `run_id`.

        Returns:
            Whether the run before this one ended cleanly; True if there was none.
        """
        last = self._db.execute("SELECT ended_at FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        self._db.write("INSERT INTO runs (run_id, started_at) VALUES (?, ?)", (run_id, time_text(at)))
        self._run = run_id
        return last is None or last[0] is not None

    def end_run(self, run_id: str, at: datetime) -> None:
        """Note that the service stopped cleanly."""
        self._db.write("UPDATE runs SET ended_at = ? WHERE run_id = ? AND ended_at IS NULL", (time_text(at), run_id))
