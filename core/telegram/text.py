"""What is answered to commands from Telegram: short texts for a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from core.messages import BookUnreadable, GuardSnapshot, PositionsRead, Readiness, RiskSnapshot
from core.model.order import Status

__all__ = ["HELP", "Record", "orders_text", "pnl_text", "positions_text", "status_text"]

HELP = (
    "/status, /orders, /positions, /pnl\n/halt reason: no ENTRY any more\n/resume\n"
    "/cancel order\n/modify order quantity=50 price=101.5\n"
    "/squareoff, or /squareoff strategy: exit, once confirmed"
)


class Record(Protocol):
    """A reader of the database."""

    def rows(
        self, *, status: Status | None = None, strategy: str | None = None, limit: int = 500
    ) -> Sequence[Mapping[str, Any]]: ...
    def counts(self, day: date) -> Sequence[tuple[str, str, str | None, int]]: ...
    def close(self) -> None: ...


def status_text(readiness: Readiness, risk: RiskSnapshot) -> str:
    """Whether orders are taken, and whether an ENTRY would pass."""
    lines = ["Orders are taken." if readiness.ready else f"Orders are not taken: {'; '.join(readiness.reasons)}"]
    if risk.halt is not None:
        lines.append(f"Halted by {risk.halt.by}: {risk.halt.reason}")
    elif risk.entry_blocked is not None:
        lines.append(f"An ENTRY would be refused: {risk.entry_blocked}")
    else:
        lines.append("An ENTRY would pass.")
    lines.append(f"{_pnl(risk.pnl)}; {risk.open_orders} open orders, {risk.orders_today} today.")
    return "\n".join(lines)


def pnl_text(risk: RiskSnapshot) -> str:
    """The day's P&L and what it has reached."""
    age = "" if risk.pnl_age_s is None else f", read {risk.pnl_age_s:.0f} s ago"
    lines = [f"{_pnl(risk.pnl)}{age}"]
    if risk.breach is not None:
        lines.append(f"Daily limit -{risk.breach.limit:.2f} reached at {risk.breach.pnl:.2f}.")
    lines += [
        f"{run.strategy or 'account'}: {run.losses} losing exits in a row" for run in risk.loss_runs if run.losses
    ]
    return "\n".join(lines)


def positions_text(positions: PositionsRead | BookUnreadable, guard: GuardSnapshot) -> str:
    """What the broker shows and strategies hold."""
    if isinstance(positions, BookUnreadable):
        lines = [f"The broker's positions cannot be read: {positions.reason}"]
    else:
        lines = [
            f"{line.symbol} {line.product or ''} {line.net_quantity:+d}"
            for line in positions.positions
            if line.net_quantity
        ] or ["The broker shows no open position."]
    held = [f"{line.strategy}: {line.held:+d} {line.symbol}" for line in guard.lines if line.held]
    lines += ["Held by strategies:", *held] if held else ["Strategies hold nothing."]
    lines += [
        f"Difference in {one.symbol}: broker {one.broker:+d}, strategies {one.held:+d}" for one in guard.differences
    ]
    return "\n".join(lines)


def orders_text(rows: Sequence[Mapping[str, Any]], counts: Sequence[tuple[str, str, str | None, int]]) -> str:
    """What is at the broker, and the day in figures."""
    totals = dict.fromkeys(Status, 0)
    for _, status, _, count in counts:
        totals[Status(status)] += count
    lines = [
        f"Today {totals[Status.EXECUTED]} filled, {totals[Status.FAILED]} failed, "
        f"{totals[Status.SENT_TO_BROKER]} at the broker."
    ]
    for row in rows:
        unknown = ", outcome unknown" if row["unknown"] else ""
        lines.append(
            f"{row['strategy']}: {row['side']} {row['filled_quantity']}/{row['quantity']} {row['symbol']}"
            f" {row['order_type']} {row['price'] or ''}{unknown}".rstrip()
        )
    return "\n".join(lines)


def _pnl(pnl: Decimal | None) -> str:
    return "Day P&L not known" if pnl is None else f"Day P&L {pnl:.2f}"
