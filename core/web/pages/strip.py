"""What stands at the top of every page: whether orders are taken, halts, the day's P&L, which broker."""

from __future__ import annotations

import asyncio
from typing import Any

from core.web.pages.site import Site

__all__ = ["FRAGMENT", "strip"]

FRAGMENT = {"strip": "strip.html"}


async def strip(site: Site) -> dict[str, Any]:
    """The values of `strip.html`."""
    readiness, risk, broker = await asyncio.gather(site.state.readiness(), site.state.risk(), site.state.broker())
    return {"readiness": readiness, "risk": risk, "broker": broker}
