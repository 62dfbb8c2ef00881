"""The web application: routes, what errors look like, and what holds for every request."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.responses import Response

from core.intake import shown
from core.order import Problem
from core.settings import Settings
from core.web.access import Access, ApiLock, Denied, denied
from core.web.api import api_router
from core.web.doors import Doors, Unanswered
from core.web.health import health_router
from core.web.limit import BodyLimit
from core.web.plain import PlainResponse
from core.web.rate import Flood, RateLimit
from core.web.reading import Reading
from core.web.signature import Replayed
from core.web.submitting import Busy, Submissions
from core.web.webhook import webhook_router

__all__ = ["create_app"]


def create_app(doors: Doors, settings: Settings) -> FastAPI:
    """The web application of one service.

    Args:
        doors: The service, as the web sees it.
        settings: `[web]`, `[risk]` (shown by /api/risk) and `[limits]` are used.
    """
    reading = Reading(doors.open_record)
    access = Access(settings.web, doors.clock)
    rate = RateLimit(doors.clock, settings.web.requests_per_min)
    submissions = Submissions(doors, reading, settings.web.wait_s, settings.limits.waiting_orders)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        reading.close()

    app = FastAPI(
        title="Sixstep",
        description="Order execution for Noren brokers: submit orders, look at what became of them, halt trading.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.include_router(webhook_router(access, rate, submissions))
    app.include_router(api_router(doors, reading, settings.risk))
    app.include_router(health_router(doors))
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(BodyLimit)
    # Added last, so it is asked first: who may not call is not even listened to.
    app.add_middleware(ApiLock, access=access)
    return app


def _invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    problems = [Problem(shown(".".join(str(part) for part in e["loc"][1:])).strip("'"), str(e["msg"])) for e in found]
    return PlainResponse({"errors": [problem if problem.field else _nameless(problem) for problem in problems]}, 422)


def _nameless(problem: Problem) -> Problem:
    return Problem("body", problem.message)


def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return PlainResponse({"error": error.detail}, error.status_code, error.headers)


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
    HTTPException: _http,
    Denied: _denied,
    Replayed: _replayed,
    Busy: _busy,
    Flood: _flood,
    Unanswered: _unanswered,
    Exception: _failed,
}
