"""What every page stands on: the service, the database, the templates; and what a live page is."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse

from core.settings import Settings
from core.web.access import Access
from core.web.gateway import Gateway, Record
from core.web.pages.pnl import PnlHistory
from core.web.pages.templating import Templates
from core.web.reading import Reading
from core.web.sessions import Session
from core.web.state import Shared, State
from core.web.submitting import Submissions

__all__ = ["NotThere", "Params", "Rows", "Site", "View"]

T = TypeVar("T")

_MOST_KEPT = 300
_SETTLED_S = 1.0
_FRESH_S = 0.4


class NotThere(Exception):
    """A page of something that does not exist (404)."""


@dataclass(frozen=True, slots=True)
class Params:
    """What an address asks for: the parts of its path by name, and its query."""

    path: Mapping[str, str]
    query: QueryParams

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for addresses that show the same."""
        return (tuple(sorted(self.path.items())), tuple(self.query.multi_items()))


@dataclass(frozen=True, slots=True)
class Rows:
    """A table whose rows come, change and go one by one: the id of its body, and the rows' ids and HTML in order."""

    into: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class View:
    """A page that stays live.

    Attributes:
        name: Its place in the navigation.
        pattern: Addresses it answers for; named groups become `Params.path`.
        template: The whole page.
        fragments: The parts that are sent again when they change: ids of elements and their templates.
        read: What the templates are filled with. May hold `rows`, a `Rows`.
    """

    name: str
    pattern: re.Pattern[str]
    template: str
    fragments: Mapping[str, str]
    read: Callable[[Site, Params], Awaitable[dict[str, Any]]]


class Site:
    """One web application's pages."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        settings: Settings,
        access: Access,
        reading: Reading,
        state: State,
        shared: Shared,
        submissions: Submissions,
        templates: Templates,
    ) -> None:
        self.gateway = gateway
        self.settings = settings
        self.access = access
        self.reading = reading
        self.state = state
        self.shared = shared
        self.submissions = submissions
        self.templates = templates
        self.pnl = PnlHistory(gateway, state, reading, settings.account)
        self._marker = (-2, 0.0)
        # What was read of the database, whether it was at rest then, and the marker it was read at.
        self._kept: OrderedDict[object, tuple[int, bool, Any]] = OrderedDict()

    def html(
        self, template: str, values: Mapping[str, Any], session: Session | None, status: int = 200
    ) -> HTMLResponse:
        """A page for one browser: its notes and its token go in here and nowhere else."""
        own = {
            "csrf": session.csrf if session is not None else "",
            "notes": session.take_notes() if session is not None else [],
            "logged_in": session is not None and self.access.password is not None,
        }
        return HTMLResponse(self.templates.render(template, {**values, **own}), status)

    async def record(self, key: object, read: Callable[[Record], T]) -> T:
        """What `read` finds in the database; read again only once something may have been written.

        A marker may move a moment before its change is committed, so what was read within a second of a move is read
        again.
        """
        marker, now = self.state.changes(), self.gateway.clock.monotonic()
        if marker != self._marker[0]:
            self._marker = (marker, now)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == marker and kept[1]:
            self._kept.move_to_end(key)
            found: T = kept[2]
            return found
        at_rest = now - self._marker[1] > _SETTLED_S
        found = await self.shared.get(("record", key), lambda: self.reading.record(read), 0.0 if at_rest else _FRESH_S)
        self._kept[key] = (marker, at_rest, found)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return found
