"""`[protection]`: what is told of positions without a stop."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from core.settings.values import Section, number

__all__ = ["ProtectionSettings"]


class ProtectionSettings(Section):
    """Stops, targets and trails of positions."""

    alarm_naked_after_s: Annotated[float, BeforeValidator(number), Field(ge=0, le=86_400)] = Field(
        default=0.0,
        description="Seconds that a strategy's position may stand without a stop or trail before that is a critical "
        "alert, once. 0: it is measured and shown, and never an alert.",
    )
