"""/api: looking in, and the kill switch."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from core.messages import (
    BookUnreadable,
    CancelStatus,
    ClearHalt,
    GetBrokerUse,
    GetExternalOrders,
    GetFeedState,
    GetGuardSnapshot,
    GetPositions,
    GetRecentAlerts,
    GetRiskSnapshot,
    GuardSnapshot,
    HaltChanged,
    Message,
    ModifyAnswer,
    ModifyStatus,
    PositionsRead,
    RecentAlerts,
    ResumeRefused,
    Seen,
    SetHalt,
)
from core.model.order import OrderIntent, Source, Status
from core.rules.square_off_scope import not_touched
from core.rules.submission import BodyProblem, read_object
from core.settings import RiskSettings
from core.web.account import adopt, flatten, positions_told
from core.web.actions import COMMAND_ID, cancel, misnamed_scope, modify, square_off
from core.web.candles import add_candles
from core.web.gateway import Gateway, Unanswered
from core.web.instruments import add_instruments
from core.web.kill_switch import HALT_BODY, halt_words
from core.web.plain import PlainResponse, plain
from core.web.protections import add_protections
from core.web.quotes import add_quotes
from core.web.reading import Reading
from core.web.schemas import (
    AdoptRequest,
    CancelRequest,
    CancelTaken,
    FlattenRequest,
    ModifyRequest,
    ModifyTaken,
    Refusal,
    ResumeRequest,
    SquareOffRequest,
)
from core.web.webhook_formats import twice_in

__all__ = ["api_router"]

_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The API token is missing or wrong"},
    422: {"model": Refusal, "description": "A filter or field is wrong; every mistake is named"},
    503: {"description": "An actor or the database does not answer"},
}
_NOT_BORNE: dict[int | str, dict[str, Any]] = {409: {"description": "The broker's positions do not bear it"}}
_NOT_FLATTENED: dict[int | str, dict[str, Any]] = {
    409: {"description": "That is not what EXITs opened, or not what the broker has: the figures; nothing was sent"}
}
_NO_ORDER: dict[int | str, dict[str, Any]] = {404: {"description": "There is no order with this command id"}}


def api_router(gateway: Gateway, reading: Reading, risk: RiskSettings, strategies: frozenset[str]) -> APIRouter:
    """The routes below /api, which `ApiLock` guards."""
    router = APIRouter(prefix="/api", responses=_ERRORS, dependencies=[Depends(_no_other_parameters)])
    _add_orders(router, gateway, reading)
    _add_snapshots(router, gateway, risk)
    add_instruments(router, gateway, reading)
    add_quotes(router, gateway, reading)
    add_candles(router, gateway, reading)
    add_protections(router, gateway)
    _add_halt(router, gateway)
    _add_deeds(router, gateway, reading, strategies)
    return router


def _add_orders(router: APIRouter, gateway: Gateway, reading: Reading) -> None:
    @router.get("/orders", tags=["orders"])
    async def orders(
        status: Status | None = None,
        strategy: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] = None,
        day: Annotated[date | None, BeforeValidator(_iso_day)] = None,
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    ) -> Response:
        """Rows, newest first."""
        return PlainResponse(
            await reading.record(
                lambda record: plain(record.rows(status=status, strategy=strategy, day=day, limit=limit))
            )
        )

    @router.get("/orders/{command_id}", tags=["orders"], responses=_NO_ORDER)
    async def order(command_id: str) -> Response:
        """One row with its events and fills."""
        known = _known(command_id)
        row = await reading.record(lambda record: plain(record.row(known)))
        if row is None:
            raise _no_order()
        return PlainResponse(row)

    @router.get("/trace/{command_id}", tags=["orders"], responses=_NO_ORDER)
    async def trace(command_id: str) -> Response:
        """The messages of one order, in the order they were sent."""
        known = _known(command_id)
        envelopes = await reading.run(lambda: plain(list(gateway.trace(known))))
        if not envelopes:
            raise _no_order()
        return PlainResponse(envelopes)


def _add_snapshots(router: APIRouter, gateway: Gateway, risk: RiskSettings) -> None:
    @router.get("/positions", tags=["state"])
    async def positions() -> Response:
        """What the broker says is held, what of it each strategy holds, and what is nobody's here (`unattributed`).

        `unattributed` is null while that is not known: an order is in flight in the symbol, or has filled since the
        broker's figure was read.
        """
        found = await gateway.ask(gateway.order_watcher, _without_name(GetPositions()))
        if isinstance(found, BookUnreadable):
            raise HTTPException(503, f"the position book cannot be read: {found.reason}")
        if not isinstance(found, PositionsRead):
            raise TypeError(f"positions were answered with {type(found).__name__}")
        guard = await gateway.ask(gateway.execution_guard, _without_name(GetGuardSnapshot()))
        return PlainResponse(positions_told(found, guard if isinstance(guard, GuardSnapshot) else None))

    @router.post("/positions/adopt", tags=["positions"], responses=_NOT_BORNE)
    async def adopt_position(body: AdoptRequest) -> Response:
        """Give a position, or a part of it, to a strategy; with `write_off`, take off it what the broker lacks."""
        told = await adopt(gateway, body)
        if told.correction is None:
            raise HTTPException(409, told.reason)
        return PlainResponse({"recorded": told.correction})

    @router.post("/positions/flatten", tags=["positions"], status_code=202, responses=_NOT_FLATTENED)
    async def flatten_position(body: FlattenRequest) -> Response:
        """Close what EXITs opened in a position because the holding was gone, and nothing else.

        `quantity` is what they opened, signed. `exits` are the orders submitted, each found by its idempotency key;
        `under_way` the command ids of those that close it already. What no strategy owns is never closed.
        """
        told = await flatten(gateway, body, Source.WEBHOOK)
        if told.reason:
            raise HTTPException(409, told.reason)
        exits = [{**_exit(one), "idempotency_key": one.idempotency_key} for one in told.exits]
        return PlainResponse({"exits": exits, "under_way": told.under_way}, 202)

    @router.get("/external-orders", tags=["state"])
    async def external_orders() -> Response:
        """Orders of today's order book at the broker that Sixstep did not place, as the broker shows them.

        They are never touched. What they do to positions is in `differences` of /api/guard until a strategy's holding
        explains it.
        """
        return PlainResponse(await gateway.ask(gateway.order_watcher, _without_name(GetExternalOrders())))

    @router.get("/feed", tags=["state"])
    async def feed() -> Response:
        """The push feed: `standing` is CONNECTED, DOWN, WAITING for its first connection, or OFF by settings.

        `since` is when it began to stand so, `heard_at` when the broker's last frame came.
        """
        return PlainResponse(await gateway.ask(gateway.order_feed, _without_name(GetFeedState())))

    @router.get("/budget", tags=["state"])
    async def budget() -> Response:
        """The calls to the broker: used, allowed, and by kind since the start; `waiting` are not made yet.

        `plan` is what is read, each so many seconds as wanted and as given, in the order in which it is served;
        `slowed` says in words what is given less often than wanted, and is empty when nothing is.
        """
        found = plain(await gateway.ask(gateway.broker_proxy, _without_name(GetBrokerUse())))
        told = {key: found[key] for key in ("last_second", "per_second", "last_minute", "per_minute", "waiting")}
        return PlainResponse(told | {"calls": dict(found["calls"]), "slowed": found["slowed"], "plan": found["plan"]})

    @router.get("/alerts", tags=["state"])
    async def alerts() -> Response:
        """The last alerts, newest first; `undelivered` says what Telegram did not take, null when it took all."""
        found = await gateway.ask(gateway.notifier, _without_name(GetRecentAlerts()))
        if not isinstance(found, RecentAlerts):
            raise TypeError(f"alerts were answered with {type(found).__name__}")
        told = [{"at": at, **plain(alert)} for at, alert in found.alerts]
        return PlainResponse({"alerts": told, "undelivered": found.undelivered})

    @router.get("/guard", tags=["state"])
    async def guard() -> Response:
        """What strategies hold and have reserved, and where the broker says something else."""
        found = plain(await gateway.ask(gateway.execution_guard, _without_name(GetGuardSnapshot())))
        for difference in found["differences"]:
            difference["unattributed"] = difference["broker"] - difference["held"]
        return PlainResponse(found)

    @router.get("/risk", tags=["state"])
    async def risk_state() -> Response:
        """Limits, their use, and why an ENTRY would be refused now."""
        found = plain(await gateway.ask(gateway.risk_manager, _without_name(GetRiskSnapshot())))
        return PlainResponse({**found, "limits": risk.model_dump()})


def _add_halt(router: APIRouter, gateway: Gateway) -> None:
    async def changed(make: Callable[[str], Message]) -> Response:
        found = await gateway.ask(gateway.order_repo, make)
        if isinstance(found, ResumeRefused):
            return PlainResponse({"error": f"trading is not resumed: {found.reason}; ask for it again"}, 503)
        if not isinstance(found, HaltChanged):
            raise TypeError(f"a halt was answered with {type(found).__name__}")
        unrecorded = {} if found.recorded else {"recorded": False}
        before = {} if found.before is None else {"halted_before": found.before}
        still_open = {"still_open": found.still_open} if found.still_open else {}
        told = {"halted": found.halt is not None, "halt": found.halt}
        return PlainResponse({**told, **before, **unrecorded, **still_open})

    @router.post("/halt", tags=["kill switch"], openapi_extra=HALT_BODY)
    async def halt(request: Request) -> Response:
        """Halt trading: no ENTRY and no ADJUST is sent any more, EXITs are. `recorded` false: not in the database yet.

        `halted_before` is the halt that was in force already; `halt` then has both reasons. `still_open` are the ENTRYs
        and ADJUSTs that work at the broker: a halt does not cancel them.
        Any body halts, and none does too: what it says is the reason at most, never a condition.
        """
        reason, by = halt_words(await request.body())
        return await changed(lambda name: SetHalt(reason, by, name))

    @router.post("/resume", tags=["kill switch"])
    async def resume(wanted: ResumeRequest | None = None) -> Response:
        """Let trading go on. 503 with the reason where that cannot be recorded: then it is not, and never will be."""
        by = (wanted or ResumeRequest()).by
        return await changed(lambda name: ClearHalt(by, name))


_CANCEL_STATUS = {
    CancelStatus.CANCELLED: 200,
    CancelStatus.TAKEN: 202,
    CancelStatus.UNKNOWN: 202,
    CancelStatus.REFUSED: 409,
    CancelStatus.OVER: 409,
    CancelStatus.NO_NUMBER: 409,
    CancelStatus.NOT_SENT: 503,
    CancelStatus.NO_ORDER: 404,
}
_CANCEL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": CancelTaken, "description": "It had not been sent, and never will be"},
    202: {"model": CancelTaken, "description": "Asked for at the broker; the row tells when it is over"},
    404: {"model": CancelTaken, "description": "There is no such order"},
    409: {"model": CancelTaken, "description": "It is over, or the broker refused, or its number is not known yet"},
    503: {"model": CancelTaken, "description": "The request could not be sent; try again"},
}


_MODIFY_STATUS = {
    ModifyStatus.UNCHANGED: 200,
    ModifyStatus.TAKEN: 202,
    ModifyStatus.UNDER_WAY: 202,
    ModifyStatus.UNKNOWN: 202,
    ModifyStatus.NO_ORDER: 404,
    ModifyStatus.INVALID: 422,
    ModifyStatus.NOT_SENT: 503,
}
_MODIFY_STATUS |= {standing: 409 for standing in ModifyStatus if standing not in _MODIFY_STATUS}
_MODIFY_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": ModifyTaken, "description": "It has these terms already"},
    202: {"model": ModifyTaken, "description": "Asked for at the broker; the row tells when it has the new terms"},
    404: {"model": ModifyTaken, "description": "There is no such order"},
    409: {"model": ModifyTaken, "description": "It is not what was seen, is over, or something stands against it"},
    422: {"model": Refusal, "description": "A field is wrong; `errors` names each"},
    503: {"model": ModifyTaken, "description": "The request could not be sent; try again"},
}


def modify_told(told: ModifyAnswer) -> dict[str, Any]:
    """The body of an answer."""
    order = None
    if told.terms is not None:
        names = ("quantity", "order_type", "price", "trigger_price")
        order = {name: getattr(told.terms, name) for name in names} | {"filled_quantity": told.filled_quantity}
    return {
        "command_id": told.command_id or None,
        "standing": told.standing,
        "reason": told.reason,
        "order": order,
        "errors": [{"field": one.field, "message": one.message} for one in told.problems],
    }


def _add_deeds(router: APIRouter, gateway: Gateway, reading: Reading, strategies: frozenset[str]) -> None:
    @router.post("/orders/{command_id}/cancel", tags=["orders"], responses=_CANCEL_ANSWERS)
    async def cancel_order(command_id: str, wanted: CancelRequest | None = None) -> Response:
        """Cancel an order: for good if it was not sent yet, else by one request to the broker."""
        told = await cancel(gateway, command_id, (wanted or CancelRequest()).by)
        body = {"command_id": command_id if told.found else None, "standing": told.standing, "reason": told.reason}
        return PlainResponse(body, _CANCEL_STATUS[told.standing])

    @router.post("/orders/{command_id}/modify", tags=["orders"], responses=_MODIFY_ANSWERS)
    async def modify_order(command_id: str, wanted: ModifyRequest) -> Response:
        """Have an order at the broker changed: by one request, which holds once the broker's order book shows it.

        With `seen` only while the order is still so (409 CHANGED otherwise). The same asked for again is not sent
        again. `order` is what the order is now; while the book has not told of the new terms, its row shows them as
        `modifying`. More of an ENTRY passes the risk limits; an EXIT never gets more than its strategy holds.
        """
        fields = {name: getattr(wanted, name) for name in ("quantity", "price", "trigger_price", "order_type")}
        seen = Seen(**wanted.seen.model_dump())
        told = await modify(gateway, command_id, fields, wanted.by, seen)
        return PlainResponse(modify_told(told), _MODIFY_STATUS[told.standing])

    @router.post("/squareoff", tags=["kill switch"], status_code=202, responses=_SQUARE_OFF_ANSWERS)
    async def squareoff(wanted: SquareOffRequest | None = None) -> Response:
        """Exit what strategies hold. Delivery holdings stay, and so does what no strategy owns.

        With `strategy` only what that one holds, with `symbol` only that symbol, of all strategies; with both one
        symbol of one strategy; without either everything. `exits` are the orders submitted, `cancels` the command ids
        of the orders cancelled at once. `waiting` are exits that follow where something is held and orders are in
        flight: each with the command ids it `waits_for`, among them resting EXITs and stops, which are cancelled if
        they have not filled within 5 s; without any, another square-off has sent an EXIT a moment ago.
        `not_touched` are positions in the account that stay, each with `why`.
        """
        given = wanted or SquareOffRequest()
        # Asked before: afterwards the exits may have filled.
        guard = await gateway.ask(gateway.execution_guard, _without_name(GetGuardSnapshot()))
        if not isinstance(guard, GuardSnapshot):
            raise TypeError(f"the guard answered with {type(guard).__name__}")
        wrong = await misnamed_scope(reading, guard, strategies, given.strategy, given.symbol)
        if wrong is not None:
            return PlainResponse(wrong, 404)
        begun = await square_off(
            gateway, reason=given.reason, source=Source.WEBHOOK, strategy=given.strategy, symbol=given.symbol
        )
        if begun is None:
            raise Unanswered("the guard does not answer; look into the orders whether exits were sent")
        body = {
            "exits": [_exit(one) for one in begun.exits],
            "cancels": begun.cancels,
            "waiting": [{**_exit(one), "waits_for": ids} for one, ids in begun.waiting],
            "not_touched": not_touched(guard, given.strategy, given.symbol),
        }
        return PlainResponse(body, 202)


_SQUARE_OFF_ANSWERS: dict[int | str, dict[str, Any]] = {
    404: {"description": "Nobody knows the strategy or holds the symbol; `near` has names like it; nothing was exited"},
}


def _exit(one: OrderIntent) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _EXIT}


_EXIT = ("strategy", "exchange", "symbol", "product", "side", "quantity")


def _iso_day(value: object) -> object:
    # A plain number would be taken for seconds since 1970.
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
        raise PydanticCustomError("iso_day", "Input should be a day as 2026-11-23")
    return value


def _without_name(message: Message) -> Callable[[str], Message]:
    """For messages that are answered to their sender."""
    return lambda _: message


def _known(command_id: str) -> str:
    if COMMAND_ID.fullmatch(command_id) is None:
        raise _no_order()
    return command_id


def _no_order() -> HTTPException:
    return HTTPException(404, "there is no order with this command id")


# The kill switch does not argue (scenario G25).
_TAKES_ANYTHING = "/api/halt"


async def _no_other_parameters(request: Request) -> None:
    """A misspelt filter must not answer with everything, nor `?strategy=` of a square-off exit everything.

    Nor does a field count that stands twice: of two strategies the last, null, would be everybody.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or route.path == _TAKES_ANYTHING:
        return
    known = {parameter.alias for parameter in route.dependant.query_params}
    told = f"there are {', '.join(sorted(known))}" if known else "this call takes fields in its JSON body alone"
    wrong = [
        {"loc": ("query", name), "msg": f"is no query parameter of {route.path}; {told}"}
        for name in request.query_params
        if name not in known
    ]
    body = await request.body()
    for place, found in (("query", twice_in(request.query_params)), ("body", read_object(body) if body else None)):
        if isinstance(found, BodyProblem):
            wrong.append({"loc": (place, found.problem.field), "msg": found.problem.message})
    if wrong:
        raise RequestValidationError(wrong)
