"""What senders that cannot write our fields send instead: defaults in the address, and the alerts of Chartink.

Nothing is guessed here either: what a body does not say must stand in the address, and what neither says is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.datastructures import QueryParams

from core.model.order import Problem
from core.rules.submission import MAX_LEGS, BodyProblem
from core.rules.validation import canonical, shown

__all__ = ["SECRETS", "in_our_fields", "take_secret"]

SECRETS = ("secret", "apikey", "passphrase")
"""Body fields that may hold the webhook secret: ours, and what other platforms call it."""

# What Chartink tells beside the symbols. Its trigger prices are those of the alert, and no order's.
_CHARTINK = frozenset({"trigger_prices", "triggered_at", "scan_name", "scan_url", "alert_name", "webhook_url"})
_SUFFIX = "symbol_suffix"


def twice_in(query: QueryParams) -> BodyProblem | None:
    """A field that stands more than once in the address; which of them is meant is not guessed."""
    twice = next((name for name in query if len(query.getlist(name)) > 1), None)
    return None if twice is None else BodyProblem(Problem(twice, "stands twice in the address; send it once"))


def take_secret(fields: dict[str, object], address: dict[str, str]) -> object:
    """Take the secret out of the body, or else out of the address; None if neither has one."""
    given = [fields.pop(name) for name in SECRETS if name in fields]
    beside = address.pop("secret", None)
    return given[0] if given else beside


def in_our_fields(fields: Mapping[str, object], address: Mapping[str, str]) -> dict[str, object] | BodyProblem:
    """The body in our fields, with what the address adds.

    Args:
        fields: The body.
        address: The query of the address: defaults for what the body does not say.
    """
    said = {canonical(name) for name in fields}
    twice = sorted(name for name in address if canonical(name) in said)
    if twice:
        return BodyProblem(Problem(twice[0], "stands in the address and in the body; send it once"))
    together = {**fields, **address}
    if "stocks" in fields:
        return _from_chartink(together)
    if _SUFFIX in together:
        return BodyProblem(Problem(_SUFFIX, "goes with stocks, the alert of Chartink, only"))
    return together


def _from_chartink(fields: Mapping[str, object]) -> dict[str, object] | BodyProblem:
    """An alert such as `{"stocks": "SBIN,INFY", "trigger_prices": "800,1500", "scan_name": "Breakouts", ...}`."""
    stocks, suffix = fields["stocks"], fields.get(_SUFFIX, "")
    names = [name.strip() for name in stocks.split(",")] if isinstance(stocks, str) else []
    if not all(names) or not 1 <= len(names) <= MAX_LEGS or len(set(names)) != len(names):
        message = f"must name 1 to {MAX_LEGS} different symbols with commas between; got {shown(stocks)}"
        return BodyProblem(Problem("stocks", message))
    rest = _without(fields, {"stocks", _SUFFIX, *_CHARTINK})
    legs = [{"symbol": f"{name}{suffix}"} for name in names]
    return {**rest, **legs[0]} if len(legs) == 1 else {**rest, "legs": legs}


def _without(fields: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    left_out = set(names)
    return {name: value for name, value in fields.items() if name not in left_out}
