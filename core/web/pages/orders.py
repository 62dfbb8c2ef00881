"""Orders: a live table of rows, newest first, with filters kept in the address; and the same as CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from core.model.order import Status
from core.web.gateway import Record
from core.web.pages.live import RowCache
from core.web.pages.site import Params, Rows, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar
from core.web.pages.templating import standing

__all__ = ["Filters", "csv_text", "orders_view"]

_ON_A_PAGE = 100
_STRATEGY = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_COMMAND_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Filters:
    """What an address asks for. `problems` names what could not be read and was left out."""

    status: Status | None = None
    strategy: str | None = None
    day: date | None = None
    before: str | None = None
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: QueryParams) -> Filters:
        """From the address."""
        found: dict[str, Any] = {}
        problems = []
        for name, read in _READERS.items():
            given = query.get(name, "")
            if given == "":
                continue
            try:
                found[name] = read(given)
            except ValueError:
                problems.append(f"the filter {name} is not understood and was left out")
        return cls(**found, problems=tuple(problems))

    def address(self, path: str = "/orders", **changes: object) -> str:
        """The address with these filters, some changed."""
        wanted = {name: changes.get(name, getattr(self, name)) for name in _READERS}
        query = urlencode({name: str(value) for name, value in wanted.items() if value is not None})
        return f"{path}?{query}" if query else path

    def rows(self, record: Record, limit: int) -> list[Mapping[str, Any]]:
        """The rows that pass."""
        return list(
            record.rows(status=self.status, strategy=self.strategy, day=self.day, before=self.before, limit=limit)
        )


def _matching(pattern: re.Pattern[str]) -> Any:
    def read(given: str) -> str:
        if pattern.fullmatch(given) is None:
            raise ValueError(given)
        return given

    return read


_READERS: Mapping[str, Any] = {
    "status": Status,
    "strategy": _matching(_STRATEGY),
    "day": date.fromisoformat,
    "before": _matching(_COMMAND_ID),
}


def orders_view() -> View:
    """The page, with its own memory of rendered rows."""
    cache = RowCache()

    async def read(site: Site, params: Params) -> dict[str, Any]:
        filters = Filters.of(params.query)
        today = site.settings.calendar.day(site.gateway.clock.now())
        counted = filters.day or today
        top, rows, counts = await asyncio.gather(
            status_bar(site),
            site.record(("rows", params.key), lambda record: filters.rows(record, _ON_A_PAGE + 1)),
            site.record(("counts", counted), lambda record: list(record.counts(counted))),
        )
        shown = rows[:_ON_A_PAGE]
        return {
            **top,
            "page": "orders",
            "filters": filters,
            "rows": Rows("orders-body", [(f"o-{row['command_id']}", _html(site, cache, row)) for row in shown]),
            "older": filters.address(before=shown[-1]["command_id"]) if len(rows) > _ON_A_PAGE else None,
            "newest": filters.address(before=None) if filters.before else None,
            "csv": replace(filters, before=None).address("/orders.csv"),
            "totals": _totals(counts),
            "counted": counted,
            "statuses": list(Status),
        }

    return View(
        name="orders",
        pattern=re.compile("/orders"),
        template="orders.html",
        fragments=FRAGMENT | {"orders-totals": "orders_totals.html"},
        read=read,
    )


def _html(site: Site, cache: RowCache, row: Mapping[str, Any]) -> str:
    key = (row["command_id"], row["updated_at"], row["status"], row["filled_quantity"], row["broker_order_id"])
    return cache.get(key) or cache.put(key, site.templates.render("order_row.html", {"row": row}))


def _totals(counts: Sequence[tuple[str, str, str | None, int]]) -> dict[str, int]:
    totals = dict.fromkeys((str(status) for status in Status), 0)
    for _, status, _, count in counts:
        totals[status] = totals.get(status, 0) + count
    return totals


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV. Text that a spreadsheet would take for a formula is written as text (scenario F4)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if rows:
        names = list(rows[0])
        writer.writerow([*names, "standing"])
        for row in rows:
            writer.writerow([*(_cell(row[name]) for name in names), standing(row)[0]])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
