"""POST /webhook: orders from outside (scenarios F1 to F4)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from core.model.order import Problem, Source
from core.rules.submission import BodyProblem, read_object
from core.rules.validation import listed
from core.web.access import Access, Denied
from core.web.plain import PlainResponse
from core.web.rate import RateLimit
from core.web.schemas import WEBHOOK_BODY, KeyTaken, OrderStanding, Refusal
from core.web.submitting import Outcome, Submissions
from core.web.webhook_formats import in_our_fields, take_secret, twice_in

__all__ = ["webhook_router"]

_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": OrderStanding | list[OrderStanding], "description": "Taken; a list for a basket"},
    401: {"description": "The secret or signature is missing or wrong; nothing was recorded"},
    409: {
        "model": KeyTaken,
        "description": "The idempotency key belongs to another order, which the answer names, or the signature was "
        "used before; nothing was recorded",
    },
    413: {"description": "The body is too long"},
    422: {"model": Refusal, "description": "Not taken; every mistake is named"},
    429: {"description": "Too many requests from this address, or too many orders wait; nothing was taken"},
    503: {"description": "The service does not answer"},
}


def webhook_router(access: Access, rate: RateLimit, submissions: Submissions) -> APIRouter:
    """The route of orders."""
    router = APIRouter(tags=["orders"])

    @router.post("/webhook", status_code=202, responses=_ANSWERS, openapi_extra=WEBHOOK_BODY)
    async def webhook(request: Request) -> Response:
        """Submit one order, or a basket of up to 20 legs, and wait for the broker's answer.

        The secret stands in the header `X-Webhook-Secret`, in the body field `secret` (also `apikey`, `passphrase`) or,
        for senders that can change neither, in the address as `?secret=`; or it signs the request:
        `X-Timestamp` and `X-Signature`, the hex HMAC-SHA256 of `<timestamp>.<body>`, good once. With an
        `Idempotency-Key` header or an `idempotency_key` field the same order may be posted again: it is placed once,
        and both get the same answer. Another order under a key that is taken is answered 409 with the first order's
        `command_id` and `status`; nothing of it is recorded or sent. Fields that the body does not have may stand in
        the address.
        """
        # Before the secret is looked at, so that secrets cannot be tried at will either.
        source = access.source(request)
        rate.take(source)
        access.address(source)
        body = await request.body()
        address = dict(request.query_params)
        # Only a secret that stands in the body has to be looked for there; any other is asked for before it is read.
        in_body = access.must_look_into_body(request, address)
        signed = None if in_body else await _let_in(access, request, body, address.get("secret"))
        fields = read_object(body)
        secret = take_secret(fields if isinstance(fields, dict) else {}, address)
        if in_body:
            # Who may not call learns nothing about the body, not even that it is no JSON.
            await _let_in(access, request, body, secret)
        fields = twice_in(request.query_params) or fields
        if isinstance(fields, BodyProblem):
            return _refused((fields.problem,), [])
        key = request.headers.get("idempotency-key")
        if signed is not None and address:
            return _refused((Problem(min(address), "stands in the address, which the signature does not cover"),), [])
        if signed is not None and key is not None:
            message = "is not covered by the signature; put idempotency_key into the body"
            return _refused((Problem("Idempotency-Key", message),), [])
        read = in_our_fields(fields, address)
        if isinstance(read, BodyProblem):
            return _refused((read.problem,), [])
        problem = _take_key(read, key)
        if problem is not None:
            return _refused((problem,), [])
        if signed is not None and read.get("idempotency_key") is None:
            # A replay after a restart finds this row, although the signature is no longer remembered.
            read["idempotency_key"] = signed
        age_s = 0.0 if signed is None else submissions.age_of(int(request.headers["x-timestamp"]))
        return _answered(await submissions.submit(read, Source.WEBHOOK, age_s=age_s))

    return router


async def _let_in(access: Access, request: Request, body: bytes, secret: object) -> str | None:
    """`Access.webhook`, with wrong secrets counted."""
    try:
        return access.webhook(request, body, secret)
    except Denied:
        if secret is not None or "x-webhook-secret" in request.headers or "x-signature" in request.headers:
            await access.wrong(request, "webhook secret")
        raise


def _take_key(fields: dict[str, object], header: str | None) -> Problem | None:
    """Put the header's key beside the other fields, unless the body says something else."""
    if header is None:
        return None
    if fields.get("idempotency_key", header) != header:
        return Problem("Idempotency-Key", "differs from idempotency_key in the body; send one of them")
    fields["idempotency_key"] = header
    return None


def _answered(found: list[Outcome] | Outcome | BodyProblem) -> Response:
    if isinstance(found, BodyProblem):
        return _refused((found.problem,), [])
    outcomes = found if isinstance(found, list) else [found]
    taken = next((outcome.answer for outcome in outcomes if outcome.key_reused), None)
    if taken is not None:
        first = {name: taken[name] for name in ("command_id", "status")}
        return PlainResponse({"error": taken["reason"], **first}, 409)
    problems = tuple(problem for outcome in outcomes for problem in outcome.problems)
    if problems:
        return _refused(problems, [outcome.answer["command_id"] for outcome in outcomes])
    return PlainResponse([o.answer for o in found] if isinstance(found, list) else found.answer, 202)


def _refused(problems: tuple[Problem, ...], recorded: list[str | None]) -> Response:
    """422 with every mistake; a basket's further refused rows are named too."""
    body = {"errors": listed(problems), "command_id": recorded[0] if recorded else None}
    return PlainResponse(body | ({"command_ids": recorded} if len(recorded) > 1 else {}), 422)
