"""A submitted body: bytes from outside, read as one order or as the legs of a basket.

Reading is strict JSON: an object, no key twice, numbers exactly as written (prices never pass through a float). What
the fields mean is judged by `core.rules.validation`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.model.order import Problem, RawIntent
from core.rules.keys import MAX_LEGS, basket_under
from core.rules.validation import MAX_KEY, canonical, shown

__all__ = ["MAX_BODY", "MAX_LEGS", "BodyProblem", "intents_of", "parse_body", "read_object"]

MAX_BODY = 64 * 1024
"""Bytes of one body."""

_MAX_BASKET_KEY = MAX_KEY - len(".20")


@dataclass(frozen=True, slots=True)
class BodyProblem:
    """A body that cannot be read as orders at all; nothing of it can be recorded."""

    problem: Problem


class _Twice(ValueError):
    """A key stands twice in one object."""


def parse_body(body: bytes, basket: str) -> RawIntent | tuple[RawIntent, ...] | BodyProblem:
    """One order, the legs of a basket, or what is wrong with the body. Never raises.

    Args:
        body: The bytes as they came.
        basket: The id that the legs of a basket share (see `intents_of`).
    """
    fields = read_object(body)
    return fields if isinstance(fields, BodyProblem) else intents_of(fields, basket)


def read_object(body: bytes) -> dict[str, object] | BodyProblem:
    """The JSON object in `body`."""
    try:
        found = json.loads(body.decode("utf-8"), parse_float=Decimal, object_pairs_hook=_once)
    except _Twice as error:
        return BodyProblem(Problem(str(error), "stands twice in the body; send it once"))
    except (ValueError, ArithmeticError, RecursionError) as error:
        return _bad(_why_no_json(error))
    if not isinstance(found, dict):
        return _bad(f'must be a JSON object, such as {{"symbol": ...}}; got {shown(found)}')
    return found


def intents_of(fields: Mapping[str, object], basket: str) -> RawIntent | tuple[RawIntent, ...] | BodyProblem:
    """One order, or one for each of `legs`, whose defaults are the fields beside it.

    The legs share one basket id: made from the basket's idempotency key when it has one, so that a retry after a crash
    joins the legs that were already registered; otherwise `basket`.
    """
    if "legs" not in fields:
        return RawIntent(tuple(fields.items()))
    legs = fields["legs"]
    if not isinstance(legs, list) or not 1 <= len(legs) <= MAX_LEGS or not all(isinstance(leg, dict) for leg in legs):
        return BodyProblem(Problem("legs", f"must be a list of 1 to {MAX_LEGS} orders, each an object"))
    for name, where in (("basket", (fields, *legs)), ("idempotency_key", legs), ("legs", legs)):
        if any(name in place for place in where):
            return BodyProblem(Problem(name, _NOT_IN_A_LEG[name]))
    key = fields.get("idempotency_key")
    if isinstance(key, str):
        if len(key) > _MAX_BASKET_KEY:
            message = f"must be at most {_MAX_BASKET_KEY} characters for a basket"
            return BodyProblem(Problem("idempotency_key", message))
        basket = basket_under(key)
    shared = {name: value for name, value in fields.items() if name not in ("legs", "idempotency_key")}
    found = tuple(_leg(shared, leg, basket, key, number) for number, leg in enumerate(legs, 1))
    return _same_leg(found) or found


def _same_leg(legs: tuple[RawIntent, ...]) -> BodyProblem | None:
    """Two legs of one strategy in one symbol: the second would be refused as a duplicate once the first is sent."""
    first: dict[tuple[object, ...], int] = {}
    for number, leg in enumerate(legs, 1):
        fields = {canonical(name): value for name, value in leg.fields}
        what = tuple(_plain(fields.get(name)) for name in ("strategy", "exchange", "symbol"))
        if "symbol" not in fields:
            continue
        if (before := first.setdefault(what, number)) != number:
            return BodyProblem(Problem("legs", f"{before} and {number} are one symbol; join them, or send two orders"))
    return None


def _plain(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else repr(value)


_NOT_IN_A_LEG = {
    "basket": "must not be given with legs: they are one basket already",
    "idempotency_key": "stands in a leg; give one for the whole basket, beside legs",
    "legs": "must not be nested",
}


def _leg(shared: Mapping[str, object], leg: Mapping[str, object], basket: str, key: object, number: int) -> RawIntent:
    own = {canonical(name) for name in leg}
    fields = {name: value for name, value in shared.items() if canonical(name) not in own} | dict(leg)
    fields["basket"] = basket
    if key is not None:
        fields["idempotency_key"] = f"{key}.{number}" if isinstance(key, str) else key
    return RawIntent(tuple(fields.items()))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        # One pass: counting each name would take the square of a body's length, before anybody is let in.
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        plain = twice.isascii() and twice.isprintable() and 0 < len(twice) <= 60
        raise _Twice(twice if plain else shown(twice))
    return found


def _why_no_json(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "must be UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"must be JSON: {error.msg} at line {error.lineno} column {error.colno}"
    if isinstance(error, RecursionError):
        return "must be JSON: it is nested too deeply"
    return "must be JSON: it has a number too long to read"


def _bad(message: str) -> BodyProblem:
    return BodyProblem(Problem("body", message))
