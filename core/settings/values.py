"""The kinds of values that settings have, and what all sections share."""

from __future__ import annotations

import ipaddress
import re
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from core.model.calendar import MARKETS_OPEN

__all__ = [
    "Clock",
    "Count",
    "HttpUrl",
    "OptionalChats",
    "OptionalClock",
    "OptionalNetworks",
    "OptionalPath",
    "OptionalText",
    "Paths",
    "Port",
    "Positive",
    "Rupees",
    "Seconds",
    "SecondsOrZero",
    "Secret",
    "Section",
    "Text",
    "Texts",
    "WsUrl",
    "before_markets",
    "empty_is_unset",
    "listed",
    "number",
    "rows_of",
    "time_zone",
]


def empty_is_unset(value: object) -> object:
    """None for an empty text."""
    # TOML has no null: an empty text means "not set".
    return None if value == "" else value


def number(value: object) -> object:
    """Refuse true and false, which are whole numbers to Python."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not true or false")
    return value


def _text(value: object) -> object:
    # An account or chat number may be written without quotes.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def time_zone(value: str) -> str:
    """Refuse what names no time zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise PydanticCustomError("timezone", "Input should be a time zone such as Asia/Kolkata") from error
    return value


def before_markets(value: time) -> time:
    """Refuse a start of the trading day at which trading may have begun already."""
    if value >= MARKETS_OPEN:
        text = "Input should be a time before 09:00, when the first exchange opens; the common one is 06:00"
        raise PydanticCustomError("day_starts_at", text)
    return value


def _networks(value: str) -> str:
    for part in value.split(","):
        try:
            ipaddress.ip_network(part.strip(), strict=False)
        except ValueError as error:
            message = "Input should be addresses or networks with commas between, such as 10.0.0.7, 192.168.0.0/16"
            raise PydanticCustomError("networks", message) from error
    return value


def listed(value: object) -> object:
    """The entries of a list that is written as one text."""
    # A variable of the environment is one text: its entries stand between commas.
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _clock(value: object) -> object:
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"[0-2]\d:[0-5]\d(:[0-5]\d)?", value)):
        return value
    raise PydanticCustomError("clock", 'Input should be a time of day such as "15:20"')


Text = Annotated[str, BeforeValidator(_text), StringConstraints(min_length=1, max_length=200, pattern=r"^[ -~]+$")]
OptionalText = Annotated[Text | None, BeforeValidator(empty_is_unset)]
OptionalPath = Annotated[Path | None, BeforeValidator(empty_is_unset)]
OptionalChats = Annotated[
    Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^-?[0-9]{1,20}(, *-?[0-9]{1,20})*$")] | None,
    BeforeValidator(empty_is_unset),
]
OptionalNetworks = Annotated[
    Annotated[str, StringConstraints(max_length=2000), AfterValidator(_networks)] | None,
    BeforeValidator(empty_is_unset),
]
Secret = Annotated[SecretStr | None, BeforeValidator(empty_is_unset)]
Count = Annotated[int, BeforeValidator(number), Field(ge=0, le=1_000_000_000)]
Positive = Annotated[int, BeforeValidator(number), Field(ge=1, le=1_000_000_000)]
Port = Annotated[int, BeforeValidator(number), Field(ge=0, le=65_535)]
Seconds = Annotated[float, BeforeValidator(number), Field(gt=0, le=86_400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(number), Field(ge=0, le=86_400, allow_inf_nan=False)]
Rupees = Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=Decimal("1e12"), allow_inf_nan=False)]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=300)]
WsUrl = Annotated[str, StringConstraints(pattern=r"^wss?://[!-~]+$", max_length=300)]
Clock = Annotated[time, BeforeValidator(_clock)]
OptionalClock = Annotated[Clock | None, BeforeValidator(empty_is_unset)]
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(listed)]


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def rows_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of each entry, for a setting that is a list of tables."""
    first = next(iter(get_args(field.annotation)), None)
    return first if isinstance(first, type) and issubclass(first, BaseModel) else None
