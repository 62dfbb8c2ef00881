"""A bound on the bodies that are read at all, for every route."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.submission import MAX_BODY
from core.web.plain import PlainResponse

__all__ = ["BodyLimit"]

_PATIENCE_S = 10.0  # for a body to arrive


class BodyLimit:
    """Reads a request's body before the application sees it; 413 beyond `MAX_BODY`, 408 when it does not arrive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                body = await _read(receive)
        except TimeoutError:
            await PlainResponse({"error": "the body did not arrive"}, 408)(scope, receive, send)
            return
        if body is None:
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


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None when it is too long. What a client that hangs up has sent is no body."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)
