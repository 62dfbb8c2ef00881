"""Positions and guard: what the broker shows, what strategies hold, where they differ, and orders from elsewhere."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from core.web.account import lines_of
from core.web.pages.site import Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar

__all__ = ["POSITIONS"]


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top, positions, guard, external = await asyncio.gather(
        status_bar(site), site.state.positions(), site.state.guard(), site.state.external_orders()
    )
    lines = lines_of(positions, guard)
    return {
        **top,
        "page": "positions",
        "lines": lines,
        "positions": positions,
        "guard": guard,
        "external": external,
        "strategies": sorted({held.strategy for line in lines for held in line.exitable}),
    }


POSITIONS = View(
    name="positions",
    pattern=re.compile("/positions"),
    template="positions.html",
    fragments=FRAGMENT | {"positions-table": "positions_table.html", "positions-external": "positions_external.html"},
    read=_read,
)
