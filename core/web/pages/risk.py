"""Risk: each limit and its use, and why an order would be refused now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.messages import RiskSnapshot
from core.rules.risk import ACCOUNT
from core.settings import RiskSettings
from core.web.pages.site import Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar

__all__ = ["RISK", "Use", "uses"]


@dataclass(frozen=True, slots=True)
class Use:
    """One limit. `share` is how much of it is used, 0 to 100; None where it is a bound on each order, or off."""

    name: str
    used: str
    limit: str
    share: int | None
    note: str


def uses(risk: RiskSnapshot | None, limits: RiskSettings) -> list[Use]:
    """The limits of `[risk]` and what is used of them."""
    pnl = risk.pnl if risk is not None else None
    loss = max(Decimal(0), -pnl) if pnl is not None else None
    age = f"P&L read {risk.pnl_age_s:.0f} s ago" if risk is not None and risk.pnl_age_s is not None else "not known"
    losses = max((run.losses for run in risk.loss_runs), default=0) if risk is not None else None
    return [
        _use("Daily loss", loss, limits.max_daily_loss, "no ENTRY until the next trading day once reached"),
        _use("Hard loss", loss, limits.max_loss, "halts trading until a person resumes"),
        _use("Open orders", risk.open_orders if risk else None, limits.max_open_orders, "at the broker at once"),
        _use("Orders today", risk.orders_today if risk else None, limits.max_orders_per_day, "sent to the broker"),
        _use("Losing exits in a row", losses, limits.max_consecutive_losses, f"then {limits.cooldown_s:g} s of rest"),
        Use("Order quantity", "each order", _limit(limits.max_order_quantity), None, "units, not lots"),
        Use("Order value", "each order", _limit(limits.max_order_value), None, "rupees"),
        Use("Age of the P&L", age, f"{limits.pnl_max_age_s:g} s", None, "older refuses an ENTRY"),
    ]


def _use(name: str, used: Decimal | int | None, limit: Decimal | int, note: str) -> Use:
    share = None if used is None or not limit else min(100, int(used * 100 / limit))
    return Use(name, "not known" if used is None else f"{used:,}", _limit(limit), share, note)


def _limit(limit: Decimal | int) -> str:
    return f"{limit:,}" if limit else "none"


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top = await status_bar(site)
    now = site.gateway.clock.now()
    return {**top, "page": "risk", "uses": uses(top["risk"], site.settings.risk), "now": now, "account_wide": ACCOUNT}


RISK = View(
    name="risk",
    pattern=re.compile("/risk"),
    template="risk.html",
    fragments=FRAGMENT | {"risk-table": "risk_table.html"},
    read=_read,
)
