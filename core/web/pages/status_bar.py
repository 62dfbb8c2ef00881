"""What stands at the top of every page: whether orders are taken, halts, the day's P&L, which broker."""

from __future__ import annotations

import asyncio
from typing import Any

from core.web.pages.site import Site

__all__ = ["FRAGMENT", "status_bar"]

FRAGMENT = {"status-bar": "status_bar.html"}


async def status_bar(site: Site) -> dict[str, Any]:
    """The values of `status_bar.html`."""
    readiness, risk, broker = await asyncio.gather(site.state.readiness(), site.state.risk(), site.state.broker())
    return {"readiness": readiness, "risk": risk, "broker": broker}
