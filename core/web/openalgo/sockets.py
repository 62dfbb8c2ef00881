"""OpenAlgo's WebSocket: prices in three modes and order updates, for any number of clients on our one feed.

Each client is told by a task of its own, the newest price of each instrument first come first served; what a slow one
does not take in time is counted and not sent. Prices come as fast as they can be passed on in a part of the time of the
event loop, so that orders that come by the same port wait for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.messages import (
    ExternalOrders,
    FeedState,
    FeedStatus,
    GetFeedState,
    Message,
    MoreTicks,
    OrderUpdate,
    TicksTold,
)
from core.model.order import NEVER_AT_BROKER
from core.rules.submission import BodyProblem, read_object
from core.rules.validation import shown
from core.web.access import Access, Denied
from core.web.gateway import Gateway, Unanswered
from core.web.openalgo.answers import Refused
from core.web.openalgo.books import Books, external_shown, order_shown
from core.web.openalgo.fields import ENDPOINTS, read
from core.web.openalgo.keys import Caller
from core.web.openalgo.session import TOO_MUCH, Fields, Session
from core.web.openalgo.symbols import Names
from core.web.openalgo.ticks import FOLLOWER, LEVELS, MODES, MOST_FOLLOWED, Client, Followed, Subscription
from core.web.openalgo.updates import Updates, row_of
from core.web.rate import Flood, RateLimit

__all__ = ["SocketPort", "Sockets"]

AUTHENTICATE_S = 15.0
"""How long a client may take to say who it is."""

LOOK_EVERY_S = 5.0
"""How often the key of a client that says nothing is looked at: it may have been revoked."""

MOST_CLIENTS = 200
_MOST_SUBSCRIPTIONS = 3000
_REST = 3.0
"""Prices rest so many times as long as passing them on took: they have a quarter of the event loop at most."""

_UNAUTHENTICATED = 4401
_POLICY = 1008
_NAMES = {number: {"LTP": "LTP", "QUOTE": "Quote", "DEPTH": "Depth"}[name] for name, number in MODES.items()}

LetIn = Callable[[WebSocket, object], Awaitable[None]]


class _Wrong(Exception):
    """A frame that cannot be done; `code` is OpenAlgo's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Sockets:
    """The clients.

    Args:
        gateway: The service.
        access: Where they may come from.
        rate: How often one address may send.
        let_in: Looks at a key; raises `Refused`.
        caller: Who has a key that is good for this now.
        names: OpenAlgo's names.
        books: Orders.
        broker: What they are told of the broker.
        account: Whose orders they follow.
    """

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        rate: RateLimit,
        let_in: LetIn,
        caller: Callable[[object], Caller | None],
        *,
        names: Names,
        books: Books,
        broker: str,
        account: str,
    ) -> None:
        self._gateway = gateway
        self._access = access
        self._rate = rate
        self._let_in = let_in
        self._caller = caller
        self._names = names
        self._books = books
        self._broker = broker
        self._account = account
        self._clients: set[Client] = set()
        self._followed = Followed(lambda message: gateway.runtime.tell(gateway.prices.name, message))
        self._updates = Updates(gateway.runtime.run_prefix, {"user_id": account, "broker": broker})
        self._news: asyncio.Queue[Message] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbering: asyncio.Task[None] | None = None
        self._does: Mapping[str, Callable[[Session, Fields], Awaitable[None]]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "unsubscribe_all": self._unsubscribe_all,
            "subscribe_orders": self._subscribe_orders,
            "unsubscribe_orders": self._unsubscribe_orders,
            "get_broker_info": self._broker_info,
            "get_supported_brokers": self._brokers,
        }

    # What comes from the service

    def begin(self) -> None:
        """The event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._numbering = asyncio.create_task(self._number())

    def end(self) -> None:
        """It will stop."""
        self._loop = None
        if self._numbering is not None:
            self._numbering.cancel()

    def deliver(self, message: Message) -> None:
        """Take prices, or what became of orders; from whichever thread."""
        loop = self._loop
        with suppress(RuntimeError):
            # While the server stops, its loop may be closed already.
            if loop is not None:
                loop.call_soon_threadsafe(self._take, loop, message)

    def _take(self, loop: asyncio.AbstractEventLoop, message: Message) -> None:
        if not isinstance(message, TicksTold):
            self._news.put_nowait(message)
            return
        began = loop.time()
        self._followed.take(message.quotes)
        # Behind the tasks that this has woken: they have written by then.
        loop.call_soon(lambda: loop.call_later(_REST * (loop.time() - began), self._more))

    def _more(self) -> None:
        if self._gateway.runtime.knows(FOLLOWER):
            self._gateway.runtime.tell(FOLLOWER, MoreTicks())

    async def _number(self) -> None:
        while True:
            message = await self._news.get()
            try:
                told = [self._updates.add(one) for one in await self._shown(message)]
            except Exception as error:
                logger.opt(exception=error).error("an order update could not be told: {}", message)
                continue
            for client in self._clients if any(told) else ():
                client.news.set()

    async def _shown(self, message: Message) -> list[dict[str, Any]]:
        if isinstance(message, OrderUpdate):
            order = message.order
            if order.tag in NEVER_AT_BROKER and not self._updates.tells_of(order.command_id):
                # Its caller was answered so, and no book shows it.
                return []
            row = row_of(order)
            return [order_shown(row, await self._names.theirs([(row["exchange"], row["symbol"])]))]
        if isinstance(message, ExternalOrders):
            names = await self._names.theirs((one.exchange, one.symbol) for one in message.orders)
            return [external_shown(one, names) for one in message.orders]
        return []

    # What comes from clients

    async def serve(self, websocket: WebSocket) -> None:
        """One client, from its connection to its end."""
        source = self._access.source(websocket)
        try:
            self._access.address(source)
        except Denied as denied:
            await websocket.send_denial_response(JSONResponse({"status": "error", "message": str(denied)}, 403))
            return
        await websocket.accept()
        session = Session(websocket, source)
        writing = asyncio.create_task(session.write(self._updates, self._broker))
        try:
            if len(self._clients) >= MOST_CLIENTS:
                text = f"{MOST_CLIENTS} clients are connected already; close those that are not needed"
                await session.refuse("MAX_CAPACITY_REACHED", text, TOO_MUCH)
                return
            self._clients.add(session.client)
            await self._converse(session)
        except WebSocketDisconnect:
            """It has gone."""
        finally:
            self._clients.discard(session.client)
            self._followed.unfollow(session.client, tuple(session.client.followed))
            writing.cancel()

    async def _converse(self, session: Session) -> None:
        try:
            async with asyncio.timeout(AUTHENTICATE_S) as limit:
                while not session.authenticated:
                    await self._answer(session, await session.receive())
                limit.reschedule(None)
                await self._go_on(session)
        except TimeoutError:
            text = f'no key within {AUTHENTICATE_S:g} s; send {{"action": "authenticate", "api_key": "…"}}'
            await session.refuse("AUTHENTICATION_ERROR", text, _UNAUTHENTICATED)

    async def _go_on(self, session: Session) -> None:
        """With a client that is known, for as long as its key is good."""
        while True:
            body = None
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    body = await session.receive()
            if self._caller(session.key) is None:
                text = "this key is not good any more; make another one with `run.py keys new`"
                await session.refuse("AUTHENTICATION_ERROR", text, _POLICY)
                return
            if body is not None:
                await self._answer(session, body)

    async def _answer(self, session: Session, body: bytes) -> None:
        fields: Fields = {}
        try:
            self._rate.take(session.source)
            if session.authenticated and (caller := self._caller(session.key)) is not None:
                caller.count(0)
            found = read_object(body)
            if isinstance(found, BodyProblem):
                problem = found.problem
                raise _Wrong("INVALID_JSON", f"Invalid JSON message: {problem.field}: {problem.message}")
            fields = found
            await self._do(session, fields)
        except _Wrong as wrong:
            await session.error(wrong.code, str(wrong), fields)
        except Flood:
            text = "too many messages of this address or key; send fewer, or raise [openalgo] requests_per_min"
            await session.error("RATE_LIMIT_EXCEEDED", text, fields)
        except Unanswered as unanswered:
            await session.error("SERVER_ERROR", f"{unanswered}; try again", fields)
        except WebSocketDisconnect:
            raise
        except Exception as error:
            logger.opt(exception=error).error("a message of the WebSocket could not be answered")
            await session.error("SERVER_ERROR", "an error in Sixstep; see its log", fields)

    async def _do(self, session: Session, fields: Fields) -> None:
        action = fields.get("action") or fields.get("type")
        if action in ("authenticate", "auth"):
            await self._authenticate(session, fields)
        elif action == "ping":
            await self._pong(session, fields)
        elif not isinstance(action, str) or action not in self._does:
            known = ", ".join(("authenticate", *self._does, "ping"))
            raise _Wrong("INVALID_ACTION", f"Invalid action: {shown(action)}; there are {known}")
        elif not session.authenticated:
            text = 'You must authenticate first: send {"action": "authenticate", "api_key": "…"}'
            raise _Wrong("NOT_AUTHENTICATED", text)
        else:
            await self._does[action](session, fields)

    async def _authenticate(self, session: Session, fields: Fields) -> None:
        key = fields.get("api_key") or fields.get("apikey")
        if not key:
            raise _Wrong("AUTHENTICATION_ERROR", "API key is required: send it as api_key")
        try:
            await self._let_in(session.websocket, key)
        except Refused as refused:
            text = f"{refused.answer.body['message']}; send as api_key the key that [openalgo] has for this program"
            await session.refuse("AUTHENTICATION_ERROR", text, _POLICY)
            raise WebSocketDisconnect(_POLICY) from refused
        session.authenticated, session.key = True, key
        features = {"ltp": True, "quote": True, "depth": True}
        about = {"broker": self._broker, "user_id": self._account, "supported_features": features}
        await session.say(type="auth", status="success", message="Authentication successful", **about)

    async def _pong(self, session: Session, fields: Fields) -> None:
        echoed = {"client_timestamp": fields.get("timestamp"), "_pingId": fields.get("_pingId")}
        echoed = {name: value for name, value in echoed.items() if value is not None and len(str(value)) <= 100}
        now = round(self._gateway.clock.now().timestamp() * 1000)
        await session.say(type="pong", status="success", server_timestamp=now, **echoed)

    async def _broker_info(self, session: Session, _: Fields) -> None:
        state = await self._gateway.ask(self._gateway.order_feed, lambda _: GetFeedState())
        up = isinstance(state, FeedState) and state.standing is FeedStatus.CONNECTED
        status = "connected" if up else "disconnected"
        about = {"broker": self._broker, "adapter_status": status, "user_id": self._account}
        await session.say(type="broker_info", status="success", **about)

    async def _brokers(self, session: Session, _: Fields) -> None:
        await session.say(type="supported_brokers", status="success", brokers=[self._broker], count=1)

    # Prices

    async def _subscribe(self, session: Session, fields: Fields) -> None:
        mode = _mode(fields.get("mode", "Quote"))
        wanted: list[tuple[Subscription, tuple[str, str]]] = []
        answers, symbols = [], _symbols(fields)
        await self._names.learn((str(one["exchange"]), str(one["symbol"])) for one in map(_named, symbols))
        for given in symbols:
            try:
                subscription, place = await self._place(given, mode)
                if not self._followed.has_room(place):
                    raise Refused(f"{MOST_FOLLOWED} instruments are followed already; unsubscribe what is not needed")
                if len(session.client.followed) + len(wanted) >= _MOST_SUBSCRIPTIONS:
                    raise Refused(f"one client has at most {_MOST_SUBSCRIPTIONS} subscriptions; unsubscribe some")
            except Refused as refused:
                answers.append({**_named(given), "status": "error", "message": str(refused), "broker": self._broker})
                continue
            wanted.append((subscription, place))
            about = {"mode": _NAMES[mode], "depth": LEVELS, "broker": self._broker}
            answers.append({**_named(given), "status": "success", **about})
        status = "success" if len(wanted) == len(answers) else "partial"
        await session.say(
            fields,
            type="subscribe",
            status=status,
            subscriptions=answers,
            message="Subscription processing complete",
            broker=self._broker,
        )
        # Only now, so that no price comes before the answer.
        self._followed.follow(session.client, wanted)

    async def _place(self, given: Fields, mode: int) -> tuple[Subscription, tuple[str, str]]:
        values, problems = read(ENDPOINTS["quotes"], _named(given))
        if problems:
            raise Refused("; ".join(f"{name}: {' '.join(said)}" for name, said in problems.items()))
        exchange, symbol = str(values["exchange"]), str(values["symbol"])
        found = await self._names.instrument(exchange, symbol)
        if found is None:
            raise Refused(await self._names.unknown(exchange, symbol))
        return Subscription(exchange, symbol, mode), (found.exchange, found.symbol)

    async def _unsubscribe(self, session: Session, fields: Fields) -> None:
        default = fields.get("mode", "Quote")
        gone = []
        for given in _symbols(fields):
            named = _named(given)
            gone.append(Subscription(str(named["exchange"]), str(named["symbol"]), _mode(given.get("mode", default))))
        await self._drop(session, fields, gone)

    async def _unsubscribe_all(self, session: Session, fields: Fields) -> None:
        await self._drop(session, fields, tuple(session.client.followed))

    async def _drop(self, session: Session, fields: Fields, gone: Sequence[Subscription]) -> None:
        held = session.client.followed
        told = [{**one._asdict(), "mode": _NAMES[one.mode], "broker": self._broker} for one in gone]
        done = [{**one, "status": "success"} for one, its in zip(told, gone, strict=True) if its in held]
        text = "nothing was subscribed under this name in this mode"
        failed = [
            {**one, "status": "error", "message": text} for one, its in zip(told, gone, strict=True) if its not in held
        ]
        self._followed.unfollow(session.client, gone)
        await session.say(
            fields,
            type="unsubscribe",
            status="success" if not failed else "partial" if done else "error",
            message="Unsubscription processing complete",
            successful=done,
            failed=failed,
            broker=self._broker,
        )

    # Orders

    async def _subscribe_orders(self, session: Session, fields: Fields) -> None:
        client, updates = session.client, self._updates
        stream, after = fields.get("stream"), fields.get("after")
        again = stream is not None or after is not None
        resumed = again and updates.has_after(stream, after)
        begin = int(str(after)) if resumed else updates.last
        about = {"stream": updates.stream, "sequence": begin, **({"resumed": resumed} if again else {})}
        await session.say(fields, type="subscribe_orders", status="success", broker=self._broker, **about)
        if again and not resumed:
            # What came since is not known here any more; what all orders of the day are now includes it.
            book = (await self._books.orderbook({})).body["data"]["orders"]
            for order in reversed(book):
                await session.send(updates.text(order, begin, snapshot=True))
        client.next_update = begin + 1
        client.news.set()

    async def _unsubscribe_orders(self, session: Session, fields: Fields) -> None:
        session.client.next_update = None
        await session.say(fields, type="unsubscribe_orders", status="success", broker=self._broker)


class SocketPort:
    """Answers on the port of the WebSocket what is no WebSocket."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        here = scope["type"] == "http" and self._port and scope.get("server", ("", 0))[1] == self._port
        await (_NO_SOCKET if here else self._app)(scope, receive, send)


_NO_SOCKET = JSONResponse(
    {"status": "error", "message": "this port is for WebSockets; /api/v1 is on [openalgo] port, or on [web] port"}, 426
)


def _mode(value: object) -> int:
    """1, 2, 3, or LTP, Quote, Depth in whatever case."""
    word = str(value).upper()
    number = MODES.get(word) or next((one for one in MODES.values() if str(one) == word), None)
    if number is None or isinstance(value, bool):
        text = f"Invalid mode: {shown(value)}; it must be 1 or LTP, 2 or Quote, 3 or Depth"
        raise _Wrong("INVALID_MODE", text)
    return number


def _symbols(fields: Fields) -> Sequence[Fields]:
    """What a message names: `symbols`, or one `symbol` and its `exchange`."""
    given = fields.get("symbols")
    if not given and fields.get("symbol") and fields.get("exchange"):
        return [fields]
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        text = 'At least one symbol must be specified: {"symbols": [{"symbol": "INFY", "exchange": "NSE"}]}'
        raise _Wrong("INVALID_PARAMETERS", text)
    if len(given) > MOST_FOLLOWED:
        raise _Wrong("INVALID_PARAMETERS", f"at most {MOST_FOLLOWED} symbols at a time; send the others after them")
    return given


def _named(given: Fields) -> dict[str, object]:
    """Symbol and exchange of one of them."""
    texts = {name: given.get(name) for name in ("symbol", "exchange")}
    return {name: value if isinstance(value, str) and len(value) <= 100 else "" for name, value in texts.items()}
