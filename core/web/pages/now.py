"""Now: whether orders are taken and why not, the day's P&L, what is open, what was alarmed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.messages import Alert, Severity
from core.model.order import Status
from core.web.pages.drawing import pnl_chart
from core.web.pages.site import Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar

__all__ = ["NOW"]

_MOST_OPEN = 50
_MOST_ALERTS = 12
_MOST_CRITICAL = 6


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top, guard, feed, alerts, open_rows = await asyncio.gather(
        status_bar(site),
        site.state.guard(),
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
        "feed": feed,
        "alerts": _shown(alerts.alerts),
        "undelivered": alerts.undelivered,
        "open_rows": open_rows,
        "chart": chart,
        "limits": site.settings.risk,
        "interval_s": site.settings.watcher.interval_s,
    }


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
