"""/healthz and /readyz: for supervisors and load balancers, without a secret and without one in the answer."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from core.messages import GetReadiness, Readiness
from core.web.gateway import Gateway, Unanswered
from core.web.plain import PlainResponse

__all__ = ["health_router"]


def health_router(gateway: Gateway) -> APIRouter:
    """The routes of liveness and readiness."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", responses={503: {"description": "An actor is dead or cannot work"}})
    async def healthz() -> Response:
        """Whether the process and all its actors are alive."""
        problems = []
        for name, actor in gateway.runtime.health().items():
            if not actor.alive:
                problems.append(f"{name} is dead")
            elif actor.impaired is not None:
                problems.append(f"{name} cannot rebuild its state")
        return PlainResponse({"alive": not problems, "problems": problems}, 503 if problems else 200)

    @router.get("/readyz", responses={503: {"description": "Orders are not taken; the reasons say why"}})
    async def readyz() -> Response:
        """Whether orders are taken; `notes` says what is slower than it should be meanwhile."""
        try:
            found = await gateway.ask(gateway.command_service, lambda _: GetReadiness())
        except Unanswered as error:
            return PlainResponse({"ready": False, "reasons": [str(error)]}, 503)
        if not isinstance(found, Readiness):
            raise TypeError(f"readiness was answered with {type(found).__name__}")
        told = {"ready": found.ready, "reasons": found.reasons, "notes": found.notes}
        return PlainResponse(told, 200 if found.ready else 503)

    return router
