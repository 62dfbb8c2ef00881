"""/api/protections: stops, targets and trails of positions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from core.messages import (
    CancelProtection,
    GetProtections,
    Message,
    ProtectionAnswer,
    ProtectionsSnapshot,
    ProtectPosition,
)
from core.model.protection import Naked, Protection
from core.rules.protection import levels, read_protect
from core.web.gateway import Gateway, Unanswered
from core.web.plain import PlainResponse
from core.web.schemas import CancelRequest, ProtectRequest

__all__ = ["add_protections", "told"]

# A price may have to be asked from the broker.
_LIMIT_S = 12.0
_NOT_TAKEN: dict[int | str, dict[str, Any]] = {
    404: {"description": "The strategy does not hold that, or there is no such protection"},
    409: {"description": "A level is reached already, or it has fired: nothing was changed"},
}


def add_protections(router: APIRouter, gateway: Gateway) -> None:
    """GET and POST /protections, and the cancel of one."""

    @router.get("/protections", tags=["positions"])
    async def protections() -> Response:
        """Protections that are not over, and for each position held how long it stood without stop or trail.

        `stop`, `target` and `trail` are the levels now, `protect` what was asked for. `naked` counts from the service's
        start; `since` is null while the position has a stop or trail.
        """
        found = await gateway.ask(gateway.position_manager, lambda _: GetProtections())
        if not isinstance(found, ProtectionsSnapshot):
            raise TypeError(f"protections were answered with {type(found).__name__}")
        shown = [told(one, tick) for one, tick in found.protections]
        return PlainResponse({"protections": shown, "naked": [_naked(one) for one in found.naked]})

    @router.post("/protections", tags=["positions"], status_code=201, responses=_NOT_TAKEN)
    async def protect(body: ProtectRequest) -> Response:
        """Protect what a strategy holds, in place of the protection it has.

        Stop and target count from its average entry price, the trail from the price now; each is one of
        `{"points": 5}`, `{"percent": 2}` and, but for the trail, `{"price": 95}`.
        """
        rule = read_protect({name: getattr(body, name) for name in ("stop", "target", "trail")})
        if isinstance(rule, str):
            raise RequestValidationError([{"loc": ("body", "protect"), "msg": rule}])
        return await _answered(
            gateway,
            lambda name: ProtectPosition(body.strategy, body.exchange, body.symbol, body.product, rule, name),
            201,
        )

    @router.post("/protections/{protection_id}/cancel", tags=["positions"], responses=_NOT_TAKEN)
    async def cancel_protection(protection_id: str, wanted: CancelRequest | None = None) -> Response:
        """End a protection that has not fired; the position stays as it is, and is naked then."""
        by = (wanted or CancelRequest()).by
        return await _answered(gateway, lambda name: CancelProtection(protection_id, by, name), 200)


async def _answered(gateway: Gateway, make: Any, status: int) -> Response:
    found: Message = await gateway.ask(gateway.position_manager, make, _LIMIT_S)
    if not isinstance(found, ProtectionAnswer):
        raise Unanswered(f"a protection was answered with {type(found).__name__}")
    if found.protection is None:
        raise HTTPException(409 if found.found else 404, found.reason)
    return PlainResponse(told(found.protection, None), status)


def told(one: Protection, tick: Any) -> dict[str, Any]:
    """A protection with its levels."""
    at = levels(one, tick)
    names = ("id", "strategy", "exchange", "symbol", "product", "state", "anchor", "best", "fired", "fired_price")
    return {
        **{name: getattr(one, name) for name in names},
        "side": "LONG" if one.sign > 0 else "SHORT",
        "protect": {name: {distance.unit: distance.value} for name, distance in one.rule.given()},
        **{"stop": at.stop, "target": at.target, "trail": at.trail},
        **{"reason": one.reason, "created_at": one.created_at, "updated_at": one.updated_at},
    }


def _naked(one: Naked) -> dict[str, Any]:
    names = ("strategy", "exchange", "symbol", "product", "held", "since")
    return {**{name: getattr(one, name) for name in names}, "seconds": round(one.seconds, 1)}
