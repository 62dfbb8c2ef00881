"""`[instruments]`: where the symbol files come from, and when they are read."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from core.settings.values import Clock, HttpUrl, OptionalPath, Section, before_markets, empty_is_unset, listed

__all__ = ["InstrumentSettings"]

_Exchange = Literal["NSE", "BSE", "NFO", "BFO", "CDS", "MCX"]
EXCHANGES: tuple[_Exchange, ...] = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")


class InstrumentSettings(Section):
    """The brokers' lists of what can be traded: the symbol files."""

    url: Annotated[HttpUrl | None, BeforeValidator(empty_is_unset)] = Field(
        default=None,
        description="The address where NSE_symbols.txt.zip and the others lie. Empty: the root of the broker's host; "
        "a broker that has them elsewhere needs it.",
    )
    directory: OptionalPath = Field(
        default=None,
        description="A folder with these files, zipped or not, instead of the address: for brokers that have none, or "
        "files that somebody fetches by other means.",
    )
    exchanges: Annotated[tuple[_Exchange, ...], BeforeValidator(listed)] = Field(
        default=EXCHANGES, description="Whose files are read. On paper, exchanges it does not trade are passed over."
    )
    refresh_at: Annotated[Clock, AfterValidator(before_markets)] = Field(
        default=time(8, 30),
        description="Time of day at which they are read anew, before the markets open: contracts are listed and expire "
        "each day. They are also read at a start, where that was missed.",
    )
