"""`settings.toml` as text, made from the models so that the file cannot fall behind them."""

from __future__ import annotations

import textwrap
from datetime import time
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.settings.models import Section, Settings
from core.settings.values import rows_of

__all__ = ["literal", "settings_template"]

_WIDTH = 118

_HEAD = """\
# The settings of Sixstep. Every key stands here with its default, so an empty file means the same as this one but for
# the example strategy at its end.
#
# Any key can be set by an environment variable instead, which then wins: SIXSTEP_<SECTION>__<KEY>, for instance
# SIXSTEP_WEB__PORT=9000. An empty text means "not set". Secrets belong into the environment or into files named by the
# ..._file keys, not into this file. Units are in the names: _s is seconds; money is in rupees.
#
# This file is made by `python run.py check-settings --template`; `python run.py check-settings` checks one.
"""

_STRATEGIES = """\
# Strategies that run inside the service, each its own actor: the class by dotted path, a name (it is written into each
# order), and whatever parameters the class takes. Repeat the block for each strategy. This one is the worked example:
# it buys and sells once, on paper only; take it away before you trade with real money.
[[strategies]]
class = "actors.strategies.round_trip.RoundTrip"
name = "example"
symbol = "INFY-EQ"
quantity = 10
"""


def settings_template() -> str:
    """The text of a settings file that holds every key with its default and what it means."""
    parts = [_HEAD]
    defaults = Settings()
    for name in Settings.model_fields:
        section = getattr(defaults, name)
        if isinstance(section, Section):
            parts.append(_section(name, section))
    parts.append(_STRATEGIES)
    return "\n".join(parts)


def _section(name: str, section: Section) -> str:
    lines = [f"# {section.__doc__}", f"[{name}]"]
    tables = []
    for key, field in type(section).model_fields.items():
        rows = rows_of(field)
        if rows is not None:
            tables.append(_rows(f"{name}.{key}", field, rows))
            continue
        lines.extend(_comment(field.description or ""))
        lines.append(f"{key} = {literal(getattr(section, key))}")
    return "\n".join(lines) + "\n" + "".join(f"\n{table}" for table in tables)


def _comment(text: str, indent: str = "# ") -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _rows(name: str, field: FieldInfo, model: type[BaseModel]) -> str:
    """A table that may be repeated, as an example that is commented out."""
    lines = _comment(f"{field.description} Take the # away before the keys that are needed; repeat the block for more.")
    lines.append(f"# [[{name}]]")
    for key, part in model.model_fields.items():
        lines.extend(_comment(part.description or "", "#   "))
        value = part.examples[0] if part.examples else part.get_default()
        lines.append(f"# {part.alias or key} = {literal(value)}")
    return "\n".join(lines) + "\n"


def literal(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    escaped = _text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return value.value if isinstance(value, StrEnum) else str(value)
