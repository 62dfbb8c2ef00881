"""`[instruments]`: where the symbol files come from, and when they are read. `[prices]`: which are believed."""

from __future__ import annotations

from datetime import time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from core.settings.values import (
    Clock,
    HttpUrl,
    OptionalPath,
    Seconds,
    Section,
    before_markets,
    empty_is_unset,
    listed,
    number,
)

__all__ = ["ClosedCheck", "InstrumentSettings", "OrderCheck", "PriceSettings"]

_Exchange = Literal["NSE", "BSE", "NFO", "BFO", "CDS", "MCX"]
EXCHANGES: tuple[_Exchange, ...] = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")


class OrderCheck(StrEnum):
    """What becomes of an order that its instrument does not take."""

    REFUSE = "refuse"
    WARN = "warn"
    OFF = "off"


class ClosedCheck(StrEnum):
    """What becomes of an order that comes while its exchange is closed."""

    REFUSE = "refuse"
    WARN = "warn"
    PASS = "pass"


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
    check: Annotated[OrderCheck | None, BeforeValidator(empty_is_unset)] = Field(
        default=None,
        description="What becomes of an ENTRY or ADJUST that its instrument or the broker does not take: an unknown or "
        "expired symbol, a quantity off the lot or of more than 20 slices, a price off the step or outside the "
        "day's band, a product of the other segment, an order type the broker takes from no program. refuse: it FAILS, "
        "and the reason says what to send. warn: it is sent, and an alert says so. off: nobody looks. An EXIT is never "
        "refused for it; a symbol file that is not today's only warns. Empty: refuse.",
    )
    market_closed: Annotated[ClosedCheck | None, BeforeValidator(empty_is_unset)] = Field(
        default=None,
        description="What becomes of an ENTRY or ADJUST that comes while its exchange is closed: refuse, warn (it is "
        "sent, and an alert says so) or pass. Hours that no publication confirms only warn, and an EXIT is never "
        "refused for it. Empty: pass on paper, elsewhere warn.",
    )
    refresh_at: Annotated[Clock, AfterValidator(before_markets)] = Field(
        default=time(8, 30),
        description="Time of day at which they are read anew, before the markets open: contracts are listed and expire "
        "each day. They are also read at a start, where that was missed.",
    )


class PriceSettings(Section):
    """Prices: from the push feed, and from quotes where it is down or silent."""

    max_jump_percent: Annotated[int, BeforeValidator(number), Field(ge=1, le=100)] = Field(
        default=10,
        description="A price that lies further off the last one is not used until a second source says the same; "
        "options five times as far. Lower asks for more quotes in a fast market; higher lets a false price pass.",
    )
    silence_s: Seconds = Field(
        default=10.0,
        description="Seconds without a tick after which a price of the push feed is old and a quote is asked for. "
        "Lower costs more calls of the broker's limit, since shares that nobody trades have no ticks.",
    )
