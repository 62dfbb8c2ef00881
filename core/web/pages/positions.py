"""Positions and guard: what the broker shows, what strategies hold, where they differ, and orders from elsewhere."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from core.messages import GuardLine, GuardSnapshot, PositionsRead
from core.order import Product
from core.reports import BrokerPosition
from core.web.pages.site import Params, Site, View
from core.web.pages.strip import FRAGMENT, strip

__all__ = ["POSITIONS", "Line", "lines_of"]


@dataclass(slots=True)
class Line:
    """One symbol and product of the account: the broker's row, and what strategies hold of it."""

    exchange: str
    symbol: str
    product: Product | None
    broker: BrokerPosition | None = None
    guard: list[GuardLine] = field(default_factory=list)

    @property
    def net(self) -> int:
        """What the broker shows."""
        return self.broker.net_quantity if self.broker is not None else 0

    @property
    def held(self) -> int:
        """What strategies hold together, by their fills."""
        return sum(line.held for line in self.guard)

    @property
    def exitable(self) -> list[GuardLine]:
        """The strategies whose holding a square-off would exit: never delivery holdings.

        Two that hold opposite ways are both there, although together they hold nothing.
        """
        return [line for line in self.guard if line.held and line.product is not Product.CNC]

    @property
    def difference(self) -> int:
        """What the broker shows and no strategy here made."""
        return self.net - self.held


def lines_of(positions: PositionsRead | None, guard: GuardSnapshot | None) -> list[Line]:
    """Broker and guard side by side; what is flat on both sides stays if it realised something today."""
    lines: dict[tuple[str, str, Product | None], Line] = {}
    for position in positions.positions if positions is not None else ():
        key = (position.exchange, position.symbol, position.product)
        lines.setdefault(key, Line(*key)).broker = position
    for held in guard.lines if guard is not None else ():
        key = (held.exchange, held.symbol, held.product)
        lines.setdefault(key, Line(*key)).guard.append(held)
    return sorted(lines.values(), key=lambda line: (line.exchange, line.symbol, line.product or ""))


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top, positions, guard, external = await asyncio.gather(
        strip(site), site.state.positions(), site.state.guard(), site.state.external_orders()
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
