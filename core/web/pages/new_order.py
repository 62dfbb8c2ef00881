"""New order: a form over the webhook's own validation, with what is wrong beside each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from core.model.order import ExecutionType, OrderType, Problem, Product, Side, Source, Tag, Validity
from core.rules.submission import BodyProblem
from core.rules.validation import EXCHANGES, canonical
from core.runtime.clock import token
from core.web.gateway import Unanswered
from core.web.instruments import Lookup
from core.web.pages.forms import begun, hand_over, own_form
from core.web.pages.site import Site
from core.web.pages.status_bar import status_bar
from core.web.plain import PlainResponse
from core.web.submitting import Busy, Outcome

__all__ = ["new_order_router"]

_FIELDS = (
    "strategy",
    "execution_type",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "product",
    "order_type",
    "price",
    "trigger_price",
    "validity",
)
_DEFAULTS = {"exchange": "NSE", "product": "MIS", "order_type": "LIMIT", "validity": "DAY", "execution_type": "ENTRY"}
# The form does not stay until the broker has answered: the order's own page shows the rest live.
_WAIT_S = 0.4
_MOST_FOUND = 20
_CHOICES: Mapping[str, Sequence[str]] = {
    "execution_type": list(ExecutionType),
    "exchange": EXCHANGES,
    "side": list(Side),
    "product": list(Product),
    "order_type": list(OrderType),
    "validity": list(Validity),
}


def new_order_router(site: Site) -> APIRouter:
    """The form, its submission, and the search for instruments."""
    router = APIRouter(include_in_schema=False)
    lookup = Lookup(site.gateway, site.reading)

    @router.get("/new")
    async def form(request: Request) -> Response:
        given = {name: request.query_params.get(name, _DEFAULTS.get(name, "")) for name in _FIELDS}
        return await _form(site, request, given, ())

    @router.post("/new")
    async def submit(request: Request) -> Response:
        session, given = await own_form(request)
        fields: dict[str, object] = {name: value for name, value in given.items() if value.strip() != ""}
        try:
            found = await site.submissions.submit(fields, Source.DASHBOARD, wait_s=_WAIT_S)
        except Busy:
            return await _form(site, request, given, (Problem("form", "too many orders wait already; try again"),))
        except Unanswered as error:
            return await _form(site, request, given, (Problem("form", str(error)),))
        if isinstance(found, BodyProblem):
            return await _form(site, request, given, (found.problem,))
        outcome = found[0] if isinstance(found, list) else found
        if outcome.key_reused:
            # The form of an order sent before, shown again by the browser and changed: it gets a key of its own now.
            first = f"this form was sent before, as order {outcome.answer['command_id']}; nothing was sent now"
            return await _form(site, request, given, (Problem("form", f"{first}. Submit again to send this one too"),))
        if problems := outcome.problems or _refused_for(outcome):
            return await _form(site, request, given, problems)
        return _taken(session, outcome)

    @router.get("/instruments")
    async def instruments(exchange: str, q: str) -> Response:
        if exchange not in EXCHANGES or not 2 <= len(q) <= 32 or not q.isascii() or not q.isprintable():
            return PlainResponse({"instruments": [], "problem": None})
        found = await site.shared.get(
            ("instruments", exchange, q.upper()), lambda: lookup.search(q, exchange, _MOST_FOUND), 60.0
        )
        return PlainResponse({"instruments": found.instruments[:_MOST_FOUND], "problem": found.problem})

    return router


def _refused_for(outcome: Outcome) -> tuple[Problem, ...]:
    """What its instrument does not take, with what to send instead; empty for an order that went on."""
    if outcome.answer["tag"] != Tag.VALIDATION_FAILED:
        return ()
    field, _, words = str(outcome.answer["reason"]).partition(": ")
    return (Problem(field, words),)


def _taken(session: Any, outcome: Outcome) -> Response:
    command_id = outcome.answer["command_id"]
    if command_id is None:
        session.note("info", f"The order was handed over and has no row yet: {outcome.answer['reason']}")
        return RedirectResponse("/orders", 303)
    return RedirectResponse(f"/orders/{command_id}", 303)


async def _form(site: Site, request: Request, given: Mapping[str, str], problems: Sequence[Problem]) -> Response:
    session, cookie = begun(request, site)
    beside: dict[str, list[str]] = {}
    for problem in problems:
        field = canonical(problem.field)
        beside.setdefault(field if field in _FIELDS else "form", []).append(
            problem.message if field in _FIELDS else str(problem)
        )
    values = {
        **await status_bar(site),
        "page": "new",
        "given": {name: given.get(name, "") for name in _FIELDS},
        "beside": beside,
        "choices": _CHOICES,
        # One key for one form: sent twice, it is one order.
        "key": token(site.gateway.clock, 20),
    }
    return hand_over(request, site, site.html("new_order.html", values, session, 422 if problems else 200), cookie)
