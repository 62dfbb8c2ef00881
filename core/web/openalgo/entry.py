"""/api/v1: the door for programs written for OpenAlgo. Its keys, its errors, and which call answers which path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from loguru import logger
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from core.model.order import Product
from core.process.api_keys import Right
from core.rules.submission import BodyProblem, read_object
from core.rules.validation import shown
from core.settings import Profile, Settings
from core.web.access import Access, Denied
from core.web.gateway import Gateway, Unanswered
from core.web.instruments import Lookup
from core.web.openalgo.answers import Answer, Refused, data, error
from core.web.openalgo.books import Books
from core.web.openalgo.chartink import Chartink
from core.web.openalgo.data import MarketData
from core.web.openalgo.fields import ENDPOINTS, Problems, orders_in, read
from core.web.openalgo.history import History
from core.web.openalgo.keys import Caller, Keys
from core.web.openalgo.options import Options
from core.web.openalgo.orders import Orders
from core.web.openalgo.placing import Placing
from core.web.openalgo.sockets import Sockets
from core.web.openalgo.symbols import Names
from core.web.rate import Flood, RateLimit
from core.web.reading import Reading
from core.web.submitting import Busy, Submissions

__all__ = ["PATHS", "OpenAlgo"]

_PREFIX = "/api/v1/"
_CHARTINK = "chartink/webhook"
PATHS = (_PREFIX, "/placeorder", "/placesmartorder", f"/{_CHARTINK}/")
"""Everything below these is answered here. Templates of alerts are pasted with and without the prefix."""

Call = Callable[[Mapping[str, Any]], Awaitable[Answer | Response]]

_BY_GET = ("instruments", "ticker")
_TICKER = "ticker/"
# Calls of OpenAlgo that have nothing behind them here yet, and what to do instead.
_NOT_THERE: Mapping[str, str] = {
    "optiongreeks": "it is not computed here",
    "multioptiongreeks": "it is not computed here",
    "telegram/notify": "alerts go to the chat of [telegram]",
}
_GTT = ("placegttorder", "modifygttorder", "cancelgttorder", "gttorderbook")


class OpenAlgo:
    """Serves /api/v1.

    Args:
        gateway: The service.
        settings: All of it.
        access: Where requests come from, and wrong keys.
        reading: The database.
    """

    def __init__(self, gateway: Gateway, settings: Settings, access: Access, reading: Reading) -> None:
        own = settings.openalgo
        self._access = access
        self._keys = Keys(own, settings.service.data_dir, gateway.clock)
        self._rate = RateLimit(gateway.clock, own.requests_per_min)
        self._paper = settings.broker.profile is Profile.PAPER
        self._broker = settings.broker.profile.value
        submissions = Submissions(
            gateway, reading, settings.web.wait_s, settings.limits.waiting_orders, settings.account
        )
        lookup = Lookup(gateway, reading)
        names = Names(lookup)
        placing = Placing(gateway, reading, submissions, settings.account)
        self._books = Books(gateway, reading, names, settings.account, settings.calendar)
        self._orders = Orders(own, gateway, reading, names=names, placing=placing, books=self._books)
        market = MarketData(gateway, lookup, names)
        options = Options(lookup, names, market, self._orders)
        self.sockets = Sockets(
            gateway,
            access,
            self._rate,
            self._follow,
            self._follower,
            names=names,
            books=self._books,
            broker=self._broker,
            account=settings.account,
        )
        self._calls = self._table(market, options, History(gateway, names))
        self._calls[_CHARTINK] = Chartink(self._orders, placing).webhook

    def _table(self, market: MarketData, options: Options, history: History) -> dict[str, Call]:
        orders, books = self._orders, self._books
        return {
            "placeorder": orders.placeorder,
            "placesmartorder": orders.placesmartorder,
            "basketorder": orders.basketorder,
            "splitorder": orders.splitorder,
            "modifyorder": orders.modifyorder,
            "cancelorder": orders.cancelorder,
            "cancelallorder": orders.cancelallorder,
            "closeposition": orders.closeposition,
            "orderstatus": books.orderstatus,
            "openposition": self._openposition,
            "orderbook": books.orderbook,
            "tradebook": books.tradebook,
            "positionbook": books.positionbook,
            "holdings": books.holdings,
            "funds": books.funds,
            "ping": self._ping,
            "analyzer": self._analyzer,
            "analyzer/toggle": self._toggle,
            "optionsorder": options.optionsorder,
            "optionsmultiorder": options.optionsmultiorder,
            "optionsymbol": options.optionsymbol,
            "optionchain": options.optionchain,
            "syntheticfuture": options.syntheticfuture,
            "quotes": market.quotes,
            "depth": market.depth,
            "margin": market.margin,
            "multiquotes": market.multiquotes,
            "symbol": market.symbol,
            "search": market.search,
            "expiry": market.expiry,
            "instruments": market.instruments,
            "history": history.history,
            "ticker": history.ticker,
            "intervals": history.intervals,
            "market/holidays": market.holidays,
            "market/timings": market.timings,
        }

    async def __call__(self, request: Request) -> Response:
        """Answer one request, whatever it is, in OpenAlgo's form."""
        path = request.url.path.removeprefix(_PREFIX).strip("/")
        try:
            answer = await self._answer(request, path)
        except Refused as refused:
            answer = refused.answer
        except Denied as denied:
            answer = error(str(denied), 403)
        except Flood:
            answer = error("Rate limit exceeded. Please slow down your requests.", 429, retry_after=60)
        except Busy:
            answer = error("too many orders wait already; nothing was taken", 429, retry_after=1)
        except Unanswered as unanswered:
            answer = error(str(unanswered), 503)
        except Exception as failure:
            logger.opt(exception=failure).error("{} {} failed", request.method, shown(_known(path)))
            answer = error("an error in Sixstep; see its log, and its order book before anything is sent again", 500)
        return answer.response(paper=self._paper) if isinstance(answer, Answer) else answer

    async def _answer(self, request: Request, path: str) -> Answer | Response:
        source = self._access.source(request)
        self._rate.take(source)
        self._access.address(source)
        hook = path.removeprefix(f"{_CHARTINK}/") if path.startswith(f"{_CHARTINK}/") else None
        path = path if hook is None else _CHARTINK
        place = path.removeprefix(_TICKER) if path.startswith(_TICKER) else None
        path = path if place is None else "ticker"
        if path not in self._calls and path not in _NOT_THERE and path not in _GTT:
            return error("Not found", 404, path=f"{_PREFIX}{path}"[:200].encode("ascii", "backslashreplace").decode())
        given = await self._given(request, path)
        if place is not None:
            given["exchange"], _, given["symbol"] = place.rpartition(":")
        if hook is not None:
            # What an alert does not say stands in the address it is sent to, and so does the key.
            given = {**request.query_params, **given, "apikey": hook}
        caller = await self._let_in(request, given)
        if path in _GTT:
            return error(f"GTT orders are not supported for broker '{self._broker}' yet", 501)
        if path in _NOT_THERE:
            return error(f"{path} is not there in Sixstep: {_NOT_THERE[path]}; nothing was done", 501)
        endpoint = ENDPOINTS[path]
        if not caller.key.may(*endpoint.rights):
            has = ", ".join(caller.key.rights)
            raise Refused(f"the key {caller.key.name} may not do this: it has the rights {has}; nothing was done", 403)
        if path == _CHARTINK:
            given.setdefault("strategy", caller.key.name)
        key = request.headers.get("idempotency-key")
        if key is not None and "idempotency_key" in endpoint.fields:
            if given.get("idempotency_key", key) != key:
                raise Refused(str({"idempotency_key": ["Differs from the header Idempotency-Key."]}))
            given["idempotency_key"] = key
        values, problems = read(endpoint, given)
        if problems:
            raise Refused(_problems_told(problems, text=endpoint.orders))
        caller.count(orders_in(values) if endpoint.places else 0)
        return await self._calls[path](values)

    async def _given(self, request: Request, path: str) -> dict[str, object]:
        """The fields as they were sent."""
        if request.method == "GET":
            if path not in _BY_GET:
                raise Refused("The method is not allowed for the requested URL.", 405)
            return dict(request.query_params)
        body = read_object(await request.body())
        if isinstance(body, BodyProblem):
            raise Refused(f"{body.problem.field}: {body.problem.message}")
        return body

    async def _let_in(self, request: Request, given: dict[str, object]) -> Caller:
        """Take the key out of the body, and look at it; only who has it learns more."""
        key = given.pop("apikey", None)
        if key is None:
            raise Refused(_problems_told({"apikey": ["Missing data for required field."]}, text=True))
        return await self._know(request, key)

    async def _know(self, connection: HTTPConnection, key: object) -> Caller:
        caller = self._keys.caller(key)
        if caller is None:
            await self._access.wrong(connection, "OpenAlgo API key")
            raise Refused("Invalid openalgo apikey", 403)
        if not caller.is_from(self._access.source(connection)):
            raise Refused(f"the key {caller.key.name} is not taken from this address", 403)
        return caller

    async def _follow(self, connection: HTTPConnection, key: object) -> None:
        """Let a WebSocket's key in."""
        caller = await self._know(connection, key)
        if not caller.key.may(Right.READ):
            raise Refused(f"the key {caller.key.name} may not follow prices and orders: it lacks the right read", 403)

    def _follower(self, key: object) -> Caller | None:
        """Whose key may follow prices and orders now."""
        caller = self._keys.caller(key)
        return caller if caller is not None and caller.key.may(Right.READ) else None

    async def _openposition(self, values: Mapping[str, Any]) -> Answer:
        guard = await self._orders.held(str(values["strategy"]))
        strategy = self._orders.strategy(str(values["strategy"]))

        def held(exchange: str, symbol: str, product: Product) -> int | None:
            if guard is None:
                return None
            place = (strategy, exchange, symbol, product)
            lines = guard.lines
            return sum(one.held for one in lines if (one.strategy, one.exchange, one.symbol, one.product) == place)

        return await self._books.openposition(values, held)

    async def _ping(self, _: Mapping[str, Any]) -> Answer:
        return data({"message": "pong", "broker": self._broker})

    async def _analyzer(self, _: Mapping[str, Any]) -> Answer:
        return data(self._mode())

    async def _toggle(self, values: Mapping[str, Any]) -> Answer:
        if values["mode"] is not self._paper:
            raise Refused(
                f"nothing was done: orders go to {self._broker}, and paper or live is [broker] profile of the "
                "settings, which needs a restart",
                409,
            )
        mode = self._mode()
        return data({**mode, "message": f"Analyzer mode switched to {mode['mode']}"})

    def _mode(self) -> dict[str, Any]:
        return {"mode": "analyze" if self._paper else "live", "analyze_mode": self._paper, "total_logs": 0}


def _known(path: str) -> str:
    """The path without the key that an alert's address ends with."""
    return _CHARTINK if path.startswith(_CHARTINK) else path


def _problems_told(problems: Problems, *, text: bool) -> object:
    return str(problems) if text else problems
