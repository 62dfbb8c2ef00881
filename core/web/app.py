"""The web application: routes, what errors look like, and what holds for every request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from loguru import logger
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from core.model.order import Problem
from core.rules.validation import shown
from core.settings import Profile, Settings
from core.web.access import Access, Denied, Lock, denied
from core.web.api import api_router
from core.web.gateway import Gateway, Unanswered
from core.web.headers import SafeHeaders
from core.web.health import health_router
from core.web.limit import BodyLimit
from core.web.metrics import metrics_router
from core.web.openalgo import PATHS as OPENALGO
from core.web.openalgo import OpenAlgo, SocketPort, Sockets
from core.web.pages import Live, Site, Templates, pages_router, problem_page, views
from core.web.pages.assets import VERSION, assets_router
from core.web.pages.docs import docs_router
from core.web.plain import PlainResponse
from core.web.rate import Flood, RateLimit
from core.web.reading import Reading
from core.web.signature import Replayed
from core.web.state import Shared, State
from core.web.submitting import Busy, Submissions
from core.web.webhook import webhook_router

__all__ = ["create_app", "create_openalgo_app"]


def create_app(gateway: Gateway, settings: Settings, command_key: SecretStr | None = None) -> FastAPI:
    """The web application of one service.

    Its `state.close_streams` ends the streams of live pages, its `state.is_near` tells addresses from which many people
    may come.

    Args:
        entry points: The service, as the web sees it.
        settings: All of it may be shown, but for secrets.
        command_key: Lets commands on this machine in.
    """
    reading = Reading(gateway.open_record)
    access = Access(settings.web, gateway.clock, command_key)
    rate = RateLimit(gateway.clock, settings.web.requests_per_min)
    submissions = Submissions(gateway, reading, settings.web.wait_s, settings.limits.waiting_orders, settings.account)
    shared = Shared(gateway.clock.monotonic)
    state = State(gateway, reading, shared)
    site = Site(
        gateway=gateway,
        settings=settings,
        access=access,
        reading=reading,
        state=state,
        shared=shared,
        submissions=submissions,
        templates=_templates(settings),
    )
    live = Live(site, views())
    own = settings.openalgo
    openalgo = OpenAlgo(gateway, settings, access, reading) if own.enabled and not own.port else None
    app = FastAPI(
        title="Sixstep",
        description="Order execution for Noren brokers: submit orders, look at what became of them, halt trading.",
        version="1",
        lifespan=_lifespan(site, live, None if openalgo is None else openalgo.sockets),
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(webhook_router(access, rate, submissions))
    app.include_router(api_router(gateway, reading, settings.risk, frozenset(one.name for one in settings.strategies)))
    app.include_router(health_router(gateway))
    app.include_router(metrics_router(gateway, state, reading, settings))
    app.include_router(docs_router(app, site.templates))
    app.include_router(assets_router())
    app.include_router(pages_router(site, live))
    if openalgo is not None:
        _serve_openalgo(app, openalgo)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(HTTPException, _http(site))
    app.add_middleware(BodyLimit)
    # Added last, so they are asked first: who may not call is not even listened to.
    app.add_middleware(Lock, access=access, open_below=OPENALGO if openalgo is not None else ())
    if openalgo is not None:
        app.add_middleware(SocketPort, port=own.ws_port)
    app.add_middleware(SafeHeaders)
    app.state.close_streams = live.close
    app.state.deliver = None if openalgo is None else openalgo.sockets.deliver
    app.state.is_near = access.is_near
    return app


def create_openalgo_app(gateway: Gateway, settings: Settings) -> Starlette:
    """/api/v1 alone, for a port of its own."""
    reading = Reading(gateway.open_record)

    access = Access(settings.web, gateway.clock)
    openalgo = OpenAlgo(gateway, settings, access, reading)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        openalgo.sockets.begin()
        yield
        openalgo.sockets.end()
        reading.close()

    app = Starlette(lifespan=lifespan)
    _serve_openalgo(app, openalgo)
    app.add_middleware(BodyLimit)
    app.add_middleware(SocketPort, port=settings.openalgo.ws_port)
    app.add_middleware(SafeHeaders)
    app.state.deliver = openalgo.sockets.deliver
    app.state.is_near = access.is_near
    return app


def _serve_openalgo(app: Starlette, openalgo: OpenAlgo) -> None:
    async def serve(request: Request) -> Response:
        return await openalgo(request)

    for path in OPENALGO:
        app.add_route(f"{path}{{rest:path}}", serve, ["GET", "POST"], include_in_schema=False)
    # OpenAlgo's client goes to the root; behind a proxy it is /ws by custom.
    app.router.routes.extend(WebSocketRoute(path, openalgo.sockets.serve) for path in ("/", "/ws"))


def _templates(settings: Settings) -> Templates:
    return Templates(
        settings.zone,
        {"version": VERSION, "account": settings.account, "paper": settings.broker.profile is Profile.PAPER},
    )


def _lifespan(
    site: Site, live: Live, sockets: Sockets | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.begin()
        if sockets is not None:
            sockets.begin()
        history = asyncio.create_task(site.pnl.run())
        yield
        history.cancel()
        if sockets is not None:
            sockets.end()
        site.reading.close()
        if site.access.password is not None:
            site.access.password.close()

    return lifespan


def _invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    problems = [Problem(shown(".".join(str(part) for part in e["loc"][1:])).strip("'"), str(e["msg"])) for e in found]
    return PlainResponse({"errors": [problem if problem.field else _nameless(problem) for problem in problems]}, 422)


def _nameless(problem: Problem) -> Problem:
    return Problem("body", problem.message)


def _http(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        # Only a request that was let in as a page's has a session, or None.
        if hasattr(request.state, "session") and "text/html" in request.headers.get("accept", ""):
            what = "There is no such page." if error.status_code == 404 else error.detail
            return await problem_page(site, request, what, error.status_code)
        return PlainResponse({"error": error.detail}, error.status_code, error.headers)

    return handle


def _denied(_: Request, error: Exception) -> Response:
    return denied(error)


def _replayed(_: Request, error: Exception) -> Response:
    return PlainResponse({"error": str(error)}, 409)


def _busy(_: Request, __: Exception) -> Response:
    return PlainResponse({"error": "too many orders wait already; nothing was taken"}, 429, {"Retry-After": "1"})


def _flood(_: Request, error: Exception) -> Response:
    wait = math.ceil(error.retry_s) if isinstance(error, Flood) else 60
    return PlainResponse({"error": str(error)}, 429, {"Retry-After": str(wait)})


def _unanswered(_: Request, error: Exception) -> Response:
    return PlainResponse({"error": str(error)}, 503, {"Retry-After": "1"})


def _failed(request: Request, error: Exception) -> Response:
    logger.opt(exception=error).error("{} {} failed", request.method, shown(request.url.path))
    return PlainResponse({"error": "an error in Sixstep; see the log"}, 500)


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    RequestValidationError: _invalid,
    Denied: _denied,
    Replayed: _replayed,
    Busy: _busy,
    Flood: _flood,
    Unanswered: _unanswered,
    Exception: _failed,
}
