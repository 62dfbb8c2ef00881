"""Pages that stay live: their parts are rendered once for all who look at the same, and sent where they changed.

A browser holds one stream of server-sent events. Each half second the parts of its page are rendered, unless another
browser's stream has just done so, and those that differ from what this browser has are sent.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from loguru import logger
from starlette.datastructures import QueryParams

from core.web.pages.site import NotThere, Params, Rows, Site, View
from core.web.sessions import Session

__all__ = ["Live"]

_TICK_S = 0.5
_SHARED_S = 0.45
_HEARTBEAT_TICKS = 30
_MOST_STREAMS = 200
_MOST_ROWS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class _Parts:
    """A page's parts at one moment."""

    fragments: Mapping[str, str]
    rows: Rows | None


class Live:
    """The streams of all browsers.

    Args:
        site: What pages stand on.
        views: The pages that can be live.
    """

    def __init__(self, site: Site, views: Sequence[View]) -> None:
        self._site = site
        self._views = views
        self._closing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams = 0

    @property
    def streams(self) -> int:
        """Browsers that are looking on."""
        return self._streams

    def begin(self) -> None:
        """Remember the event loop, so that another thread can close the streams."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End all streams, from whichever thread: a server that stops waits for them otherwise."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._closing.set)

    def find(self, address: str) -> tuple[View, Params] | None:
        """The page of an address such as `/orders?status=FAILED`."""
        try:
            split = urlsplit(address)
        except ValueError:
            return None
        for view in self._views:
            match = view.pattern.fullmatch(split.path)
            if match is not None:
                return view, Params(match.groupdict(), QueryParams(split.query))
        return None

    @property
    def full(self) -> bool:
        """Whether no further browser is taken on."""
        return self._streams >= _MOST_STREAMS

    async def stream(self, view: View, params: Params, session: Session | None) -> AsyncIterator[str]:
        """Events of one browser until it leaves, its session ends or the server stops."""
        self._streams += 1
        sent: dict[str, str] = {}
        idle = 0
        try:
            while not self._closing.is_set() and self._is_let_in(session):
                parts = await self._parts(view, params)
                patch = _patch(parts, sent) if parts is not None else None
                if patch is not None:
                    idle = 0
                    yield f"data: {json.dumps(patch, ensure_ascii=True, separators=(',', ':'))}\n\n"
                elif idle % _HEARTBEAT_TICKS == _HEARTBEAT_TICKS - 1:
                    yield ": still here\n\n"
                idle += 1
                await self._tick()
            # The browser comes back by itself, once there is a server again.
            yield "retry: 1000\n\n"
        finally:
            self._streams -= 1

    def _is_let_in(self, session: Session | None) -> bool:
        access = self._site.access
        return access.password is None or (session is not None and access.sessions.holds(session))

    async def _tick(self) -> None:
        # To run out is what a tick does; the wait ends before that only when the server stops.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _TICK_S)

    async def _parts(self, view: View, params: Params) -> _Parts | None:
        try:
            return await self._site.shared.get(
                ("parts", view.name, params.key), lambda: self._render(view, params), _SHARED_S
            )
        except NotThere:
            return None
        except Exception as error:
            # One bad moment must not end the stream: the next tick tries again.
            logger.opt(exception=error).error("the page {} could not be rendered", view.name)
            return None

    async def _render(self, view: View, params: Params) -> _Parts:
        values = await view.read(self._site, params)
        render = self._site.templates.render
        fragments = {name: render(template, values) for name, template in view.fragments.items()}
        rows = values.get("rows")
        return _Parts(fragments, rows if isinstance(rows, Rows) else None)


def _patch(parts: _Parts, sent: dict[str, str]) -> dict[str, Any] | None:
    """What differs from what was sent; `sent` is brought up to date."""
    patch: dict[str, Any] = {}
    changed = {name: html for name, html in parts.fragments.items() if sent.get(name) != html}
    if changed:
        patch["set"] = changed
        sent.update(changed)
    if parts.rows is not None:
        order = [name for name, _ in parts.rows.rows]
        fresh = {name: html for name, html in parts.rows.rows if sent.get(name) != html}
        listed = " ".join(order)
        if fresh or sent.get(parts.rows.into) != listed:
            patch["rows"] = {"into": parts.rows.into, "order": order, "html": fresh}
            before = set(sent.get(parts.rows.into, "").split())
            for gone in before - set(order):
                sent.pop(gone, None)
            sent.update(fresh)
            sent[parts.rows.into] = listed
    return patch or None


class RowCache:
    """Rows as HTML, kept while they do not change."""

    def __init__(self) -> None:
        self._rows: OrderedDict[object, str] = OrderedDict()

    def get(self, key: object) -> str | None:
        """The HTML of a row in this state."""
        return self._rows.get(key)

    def put(self, key: object, html: str) -> str:
        """Keep it, and return it."""
        self._rows[key] = html
        while len(self._rows) > _MOST_ROWS_KEPT:
            self._rows.popitem(last=False)
        return html
