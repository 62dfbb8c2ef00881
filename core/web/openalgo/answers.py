"""Answers in OpenAlgo's form: what became of an order, and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any

from starlette.responses import Response

from core.model.order import Problem, Tag
from core.web.submitting import Outcome

__all__ = ["Answer", "Refused", "data", "encoded", "error", "outcome_told", "success", "unknown"]

NOT_AGAIN = "Do not send it again"
_SETTLES = "Sixstep settles it from the broker's order book"
# What a caller may send again, for nothing of it reached the broker. All else it must change first.
_UNAVAILABLE = frozenset({Tag.SERVICE_NOT_READY, Tag.DATABASE_ERROR, Tag.BROKER_NOT_SENT, Tag.NEVER_SENT})


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its HTTP status."""

    body: Mapping[str, Any]
    code: int = 200

    @property
    def status(self) -> str:
        """success, error, unknown or partial."""
        return str(self.body["status"])

    def response(self, *, paper: bool) -> Response:
        """The answer as it goes out; on paper it says so, as OpenAlgo's analyzer does."""
        body = {**self.body, "mode": "analyze"} if paper else self.body
        return Response(encoded(body), self.code, media_type="application/json")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, message: object, code: int = 400, **more: object) -> None:
        super().__init__(str(message))
        self.answer = error(message, code, **more)


def success(**fields: Any) -> Answer:
    """All went as it was asked."""
    return Answer({"status": "success", **fields})


def data(found: object, **more: object) -> Answer:
    """What was asked for."""
    return success(data=found, **more)


def error(message: object, code: int = 400, **more: object) -> Answer:
    """It was not done."""
    return Answer({"status": "error", "message": message, **more}, code)


def unknown(message: str, **more: object) -> Answer:
    """Whether it was done is not known: neither success nor an error, which programs try again."""
    return Answer({"status": "unknown", **more, "message": f"{message} {NOT_AGAIN}: {_SETTLES}."})


def outcome_told(outcome: Outcome, key: str) -> Answer:
    """What became of one submission.

    Args:
        outcome: As `Submissions` gave it.
        key: The idempotency key it was submitted under.
    """
    answer = outcome.answer
    command_id, tag, number = answer["command_id"], answer["tag"], answer["broker_order_id"]
    if outcome.problems:
        return error(str(_listed(outcome.problems)), command_id=command_id)
    if tag is not None:
        code = 503 if tag in _UNAVAILABLE else 500 if tag is Tag.INTERNAL_ERROR else 400
        code = 409 if tag is Tag.IDEMPOTENCY_KEY_REUSED else code
        more = {} if code == 409 or number is None else {"orderid": number}
        return error(answer["reason"] or tag.value, code, **more, command_id=command_id, tag=tag)
    if number is not None:
        return success(orderid=number, command_id=command_id)
    if command_id is None:
        return unknown("Whether the order was taken is not known yet.", idempotency_key=key)
    return unknown(
        f"The order's outcome is not known yet; ask orderstatus for {command_id}.",
        orderid=command_id,
        command_id=command_id,
    )


def _listed(problems: tuple[Problem, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.field, []).append(problem.message)
    return found


def encoded(value: object) -> bytes:
    """JSON with prices as numbers, which OpenAlgo's clients expect; ASCII only."""
    return json.dumps(_plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _plain(value: object) -> Any:
    for kinds, convert in _RULES:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


# The first that fits is taken: an enum of texts is a text too.
_RULES: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((Enum,), lambda value: value.value),
    ((NoneType, bool, int, str), lambda value: value),
    ((Decimal,), float),
    ((date,), lambda value: value.isoformat()),
    ((Mapping,), lambda value: {str(key): _plain(item) for key, item in value.items()}),
    ((list, tuple), lambda value: [_plain(item) for item in value]),
)
