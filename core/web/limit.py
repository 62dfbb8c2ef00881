"""A bound on the bodies that are read at all, for every route."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.rules.submission import MAX_BODY
from core.web.plain import PlainResponse

__all__ = ["BodyLimit"]

_PATIENCE_S = 10.0  # for a body to arrive

# The kill switch argues with nobody (scenario G25): it takes what there is of a body, and does not wait for the rest.
_KILL_SWITCH = "/api/halt"
_KILL_SWITCH_PATIENCE_S = 1.0


class BodyLimit:
    """Reads a request's body before the application sees it; 413 beyond `MAX_BODY`, 408 when it does not arrive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        halts = scope["path"] == _KILL_SWITCH
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(_KILL_SWITCH_PATIENCE_S if halts else _PATIENCE_S):
                whole = await _read(receive, parts)
        except TimeoutError:
            whole = False
            if not halts:
                await PlainResponse({"error": "the body did not arrive"}, 408)(scope, receive, send)
                return
        body = b"".join(parts)
        if not whole and not halts:
            await PlainResponse({"error": f"the body is over {MAX_BODY} bytes"}, 413)(scope, receive, send)
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read(receive: Receive, parts: list[bytes]) -> bool:
    """Read a body into `parts`; False when it is too long. What a client that hangs up has sent is no body."""
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            parts.clear()
            return True
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return False
        parts.append(part)
        if not message.get("more_body", False):
            return True
