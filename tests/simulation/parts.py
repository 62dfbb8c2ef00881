"""Parts of the world that need product code which is on its way: drawn and judged once it is there."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LANDED", "Part"]


class Part(StrEnum):
    """One part."""

    PHONES = "phones"
    HOLDINGS = "holdings"
    DAYS = "days"
    EMPTY_BOOKS = "empty books"
    FALSE_POSITIONS = "false positions"
    LOST_COMMIT = "lost commit"
    KEYS = "keys"
    QUOTES = "quotes"
    POWER = "power"
    SECOND = "second"
    RATES = "rates"
    DOOR = "door"
    FORGOTTEN = "forgotten"


LANDED: set[Part] = {
    Part.QUOTES,
    Part.POWER,
    Part.SECOND,
    Part.KEYS,
    Part.RATES,
    Part.PHONES,
    Part.EMPTY_BOOKS,
    Part.FALSE_POSITIONS,
    Part.LOST_COMMIT,
    Part.HOLDINGS,
    Part.DAYS,
    Part.DOOR,
    Part.FORGOTTEN,
}
"""Those that are drawn."""
