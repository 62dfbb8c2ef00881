"""Order: its six steps as a timeline, its checks with their numbers, the broker's words, fills, and its messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from core.runtime.trace import TraceRecord
from core.runtime.trace_view import mermaid
from core.web.pages.drawing import sequence_diagram
from core.web.pages.site import NotThere, Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar
from core.web.pages.steps import six_steps

__all__ = ["ORDER"]


async def _read(site: Site, params: Params) -> dict[str, Any]:
    command_id = params.path["command_id"]
    top, (row, envelopes) = await asyncio.gather(
        status_bar(site),
        site.record(("order", command_id), lambda record: _of(site, record.row(command_id), command_id)),
    )
    if row is None:
        raise NotThere(f"there is no order {command_id}")
    final = row["status"] in ("EXECUTED", "FAILED")
    return {
        **top,
        "page": "orders",
        "row": row,
        "steps": six_steps(row, envelopes, site.settings.risk),
        "diagram": sequence_diagram(envelopes),
        "mermaid": mermaid([TraceRecord(**envelope) for envelope in envelopes]) if envelopes else "",
        "envelopes": envelopes,
        "can_cancel": not final,
    }


def _of(site: Site, row: Mapping[str, Any] | None, command_id: str) -> tuple[Any, list[Mapping[str, Any]]]:
    return row, [] if row is None else list(site.gateway.trace(command_id))


ORDER = View(
    name="order",
    pattern=re.compile(r"/orders/(?P<command_id>[A-Za-z0-9-]{1,64})"),
    template="order.html",
    fragments=FRAGMENT
    | {
        "order-head": "order_head.html",
        "order-steps": "order_steps.html",
        "order-fills": "order_fills.html",
        "order-diagram": "order_diagram.html",
    },
    read=_read,
)
