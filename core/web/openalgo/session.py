"""One connection of the WebSocket: what it says, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from core.web.openalgo.answers import encoded
from core.web.openalgo.ticks import Client
from core.web.openalgo.updates import Updates

__all__ = ["TOO_MUCH", "Fields", "Session"]

Fields = Mapping[str, object]

TOO_MUCH = 1013
"""Closes a connection that may come again later."""


class Session:
    """One connection."""

    def __init__(self, websocket: WebSocket, source: str) -> None:
        self.websocket = websocket
        self.source = source
        self.client = Client()
        self.authenticated = False
        self.key: object = None

    async def receive(self) -> bytes:
        """The next frame; binary ones are read as texts."""
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        return text.encode("utf-8", "surrogatepass") if text is not None else message.get("bytes") or b""

    async def send(self, text: str) -> None:
        """Send once the client has read enough of what came before."""
        await self.websocket.send_text(text)

    async def say(self, asked: Fields | None = None, /, **fields: object) -> None:
        """Answer, under the `request_id` of what was asked."""
        own = None if asked is None else asked.get("request_id")
        more = {} if own is None or len(str(own)) > 100 else {"request_id": own}
        await self.send(encoded({**fields, **more}).decode("ascii"))

    async def error(self, code: str, message: str, asked: Fields | None = None) -> None:
        """Say what is wrong with a message, and how it would do."""
        await self.say(asked, status="error", code=code, message=message)

    async def refuse(self, code: str, message: str, close: int) -> None:
        """Say why, and end the connection."""
        await self.error(code, message)
        await self.websocket.close(close, message.encode()[:120].decode("utf-8", "ignore"))

    async def write(self, updates: Updates, broker: str) -> None:
        """Send prices and order updates as fast as the client reads."""
        client = self.client
        # Who is refused meanwhile is sent nothing more: that is a RuntimeError.
        with suppress(WebSocketDisconnect, RuntimeError):
            try:
                while True:
                    await client.news.wait()
                    client.news.clear()
                    while (text := self._next(updates, broker)) is not None:
                        await self.send(text)
            except LookupError:
                text = "order updates were missed, for they were not read in time; connect again, and subscribe_orders"
                await self.refuse("SERVER_ERROR", text, TOO_MUCH)

    def _next(self, updates: Updates, broker: str) -> str | None:
        number = self.client.next_update
        if number is None or number > updates.last:
            return self.client.next_price(broker)
        self.client.next_update = number + 1
        return updates.one(number)
