"""Templates with everything escaped, and how values look on a page: money, times, quantities, states in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.model.order import TAGS, Tag

__all__ = ["Templates", "standing"]

_PLACE = Path(__file__).parent / "templates"
_NONE = "\u2013"


class Templates:
    """Renders the files of `templates/`.

    Args:
        zone: The time zone times are shown in.
        constants: What every template may use.
    """

    def __init__(self, zone: tzinfo, constants: Mapping[str, object]) -> None:
        self._zone = zone
        # Undefined names raise: a page with a hole in it is an error, not an empty cell.
        self._jinja = Environment(
            loader=FileSystemLoader(_PLACE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(constants)
        self._jinja.globals["standing"] = standing
        self._jinja.filters.update(
            price=price,
            clock=self.clock,
            exact=self.exact,
            day=self.day,
            rupees=rupees,
            signed=signed,
            ms=ms,
            or_dash=or_dash,
        )
        self._jinja.filters["tag_meaning"] = lambda tag: TAGS[Tag(tag)].meaning
        self._jinja.filters["tag_next"] = lambda tag: TAGS[Tag(tag)].next_step

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The text of a template."""
        return self._jinja.get_template(name).render(values)

    def clock(self, at: object) -> str:
        """A time of day."""
        return self._format(at, "%H:%M:%S")

    def exact(self, at: object) -> str:
        """A time of day with milliseconds."""
        return self._format(at, "%H:%M:%S.%f")[:-3] if at else _NONE

    def day(self, at: object) -> str:
        """A date and a time."""
        return self._format(at, "%d %b %Y, %H:%M:%S")

    def _format(self, at: object, form: str) -> str:
        if not at:
            return _NONE
        try:
            parsed = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
        except ValueError:
            return str(at)
        return parsed.astimezone(self._zone).strftime(form)


def or_dash(value: object) -> object:
    """A dash for what is not there."""
    return _NONE if value is None or value == "" else value


def rupees(value: object) -> str:
    """Money with two decimals and groups as written in India: 12,34,567.50."""
    if value is None:
        return _NONE
    try:
        exact = Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation:
        return str(value)
    whole, _, paise = f"{abs(exact):f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ("-" if exact < 0 else "") + ",".join([*groups, tail]) + f".{paise}"


def price(value: object) -> str:
    """A price with two decimals, or as many more as it has."""
    if value is None or value == "":
        return _NONE
    whole, _, paise = str(value).partition(".")
    return f"{whole}.{paise.rstrip('0').ljust(2, '0')}"


def signed(value: object) -> str:
    """A quantity with its sign."""
    return _NONE if value is None else f"{int(str(value)):+d}" if int(str(value)) else "0"


def ms(value: object) -> str:
    """Milliseconds."""
    if value is None:
        return ""
    number = float(str(value))
    return f"{number:.2f} ms" if number < 10 else f"{number:.0f} ms" if number < 10_000 else f"{number / 1000:.1f} s"


_STANDING = {"CREATED": ("checking", "busy"), "EXECUTED": ("filled", "good")}
_FAILED = {
    Tag.BROKER_CANCELLED: ("cancelled", "flat"),
    Tag.CANCELLED_BEFORE_SENDING: ("cancelled", "flat"),
    Tag.BROKER_EXPIRED: ("expired", "flat"),
    Tag.BROKER_REJECTED: ("rejected", "bad"),
    Tag.BROKER_NOT_FOUND: ("not at broker", "bad"),
    Tag.RISK_LIMITS_EXCEEDED: ("blocked: risk", "bad"),
    Tag.EXECUTION_GUARD_BLOCKED: ("blocked: guard", "bad"),
    Tag.POSITION_ALREADY_FLAT: ("blocked: flat", "flat"),
    Tag.DUPLICATE_ORDER_BLOCKED: ("blocked: duplicate", "bad"),
    Tag.VALIDATION_FAILED: ("not valid", "bad"),
    Tag.DEADLINE_PASSED: ("too late", "bad"),
}


def standing(row: Mapping[str, Any]) -> tuple[str, str]:
    """How an order stands, in a word or two, and the class it is coloured by."""
    status = row["status"]
    if status == "FAILED":
        return _FAILED.get(Tag(row["tag"]), ("failed", "bad"))
    if status != "SENT_TO_BROKER":
        return _STANDING[status]
    if row["unknown"]:
        return "outcome unknown", "warn"
    if row["broker_order_id"] is None:
        return "sending", "busy"
    return ("partly filled" if row["filled_quantity"] else "working"), "busy"
