"""Now: whether orders are taken and why not, the day's P&L, what is open, what was alarmed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.messages import Alert, ProtectionsSnapshot, Severity
from core.model.order import Product, Status
from core.model.protection import LIVE
from core.rules.protection import levels
from core.web.pages.drawing import pnl_chart
from core.web.pages.site import Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar

__all__ = ["NOW"]

_MOST_OPEN = 50
_MOST_ALERTS = 12
_MOST_CRITICAL = 6


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top, guard, protections, feed, alerts, open_rows = await asyncio.gather(
        status_bar(site),
        site.state.guard(),
        site.state.protections(),
        site.state.feed(),
        site.state.alerts(),
        site.record("open", lambda record: list(record.rows(status=Status.SENT_TO_BROKER, limit=_MOST_OPEN))),
    )
    points = site.pnl.points()
    times = [site.templates.clock(at) for at, _ in points]
    chart = pnl_chart(
        [(at.timestamp(), value) for at, value in points], site.settings.risk.max_daily_loss, times or [""]
    )
    return {
        **top,
        "page": "now",
        "guard": guard,
        "protected": _protected(protections),
        "feed": feed,
        "alerts": _shown(alerts.alerts),
        "undelivered": alerts.undelivered,
        "open_rows": open_rows,
        "chart": chart,
        "limits": site.settings.risk,
        "interval_s": site.settings.watcher.interval_s,
    }


def _protected(found: ProtectionsSnapshot | None) -> dict[tuple[str, str, str, Product], dict[str, Any]]:
    """Of each position, what protects it or would once its order has filled, and how long it stood naked."""
    shown: dict[tuple[str, str, str, Product], dict[str, Any]] = {}
    for one, tick in found.protections if found is not None else ():
        if one.state in LIVE or one.key not in shown:
            shown[one.key] = {"one": {"state": one.state, "at": levels(one, tick)}}
    for naked in found.naked if found is not None else ():
        key = (naked.strategy, naked.exchange, naked.symbol, naked.product)
        shown.setdefault(key, {})["naked"] = naked
    return shown


def _shown(alerts: Sequence[tuple[datetime, Alert]]) -> list[tuple[datetime, Alert]]:
    """The newest, and among them the last critical ones, however many lesser ones came after them."""
    critical = [entry for entry in alerts if entry[1].severity is Severity.CRITICAL][:_MOST_CRITICAL]
    others = [entry for entry in alerts if entry not in critical][: _MOST_ALERTS - len(critical)]
    return [entry for entry in alerts if entry in critical or entry in others]


NOW = View(
    name="now",
    pattern=re.compile("/"),
    template="now.html",
    fragments=FRAGMENT
    | {
        "now-state": "now_state.html",
        "now-pnl": "now_pnl.html",
        "now-open": "now_open.html",
        "now-held": "now_held.html",
        "now-alerts": "now_alerts.html",
    },
    read=_read,
)
