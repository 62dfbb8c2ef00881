"""The names of instruments: the brokers' words for kinds and underlyings, and the names that people and programs type.

A typed name is only read for what to look for: underlying, expiry, strike, call or put. What an instrument is, the
broker's columns say: `RELIANCE` ends in CE and is a share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from core.model.instrument import Instrument, Kind, OptionType

__all__ = ["Contract", "Typed", "contract", "day_of", "family_of", "kind_of", "openalgo_name", "plain", "typed"]

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_KINDS = {"INDEX": Kind.INDEX, "UNDIND": Kind.INDEX, "FUT": Kind.FUTURE, "OPT": Kind.OPTION}
_CASH = frozenset({"NSE", "BSE"})

# The indices with derivatives, by the broker's number: their own rows have display names, such as "Nifty Bank" (11.2).
_INDICES: Mapping[tuple[str, str], str] = {
    ("NSE", "26000"): "NIFTY",
    ("NSE", "26009"): "BANKNIFTY",
    ("NSE", "26037"): "FINNIFTY",
    ("NSE", "26074"): "MIDCPNIFTY",
    ("NSE", "26013"): "NIFTYNXT50",
    ("NSE", "26017"): "INDIAVIX",
    ("BSE", "1"): "SENSEX",
    ("BSE", "12"): "BANKEX",
}
# What BSE's derivatives file calls its underlyings, at Shoonya: the contract's family in place of the index.
_FAMILIES: Mapping[str, str] = {
    "BSXOPT": "SENSEX",
    "BSXFUT": "SENSEX",
    "BKXOPT": "BANKEX",
    "BKXFUT": "BANKEX",
    "SX50OPT": "SENSEX50",
    "SX50FUT": "SENSEX50",
}
# OpenAlgo's exchanges of indices, and the exchange whose file has them.
_EXCHANGES: Mapping[str, str] = {"NSE_INDEX": "NSE", "BSE_INDEX": "BSE", "MCX_INDEX": "MCX"}

_STRIKE = r"(?P<strike>\d{1,7}(?:\.\d{1,4})?)"
_DAY = r"(?P<day>\d{2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
_PATTERNS = tuple(
    re.compile(rf"(?P<underlying>[A-Z0-9&_-]*?[A-Z&]){rest}")
    for rest in (
        rf"{_DAY}(?:{_STRIKE}(?P<option>CE|PE)|FUT)",  # OpenAlgo: NIFTY25AUG2625000CE, NIFTY25AUG26FUT
        rf"{_DAY}(?:(?P<option>C|P){_STRIKE}|F)",  # Noren: NIFTY25AUG26C25000, NIFTY25AUG26F
        # TradingView: NIFTY260825C25000
        rf"(?P<year>\d{{2}})(?P<month>\d{{2}})(?P<day>\d{{2}})(?P<option>C|P){_STRIKE}",
    )
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A name as typed: upper case, without the exchange before it; `exchange` is empty where none was given."""

    name: str
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A future, or an option, that a typed name asks for."""

    underlying: str
    expiry: date
    strike: Decimal | None = None
    option: OptionType | None = None


def typed(text: str, exchange: str = "") -> Typed:
    """What a name asks for; an exchange written before it, as in `NSE:RELIANCE`, wins over the one beside it."""
    before, colon, after = text.strip().upper().partition(":")
    name, where = (after, before) if colon else (before, exchange.strip().upper())
    return Typed(" ".join(name.split()), _EXCHANGES.get(where, where))


def contract(name: str) -> Contract | None:
    """The future or option a name asks for, in OpenAlgo's, TradingView's or Noren's spelling; None for other names."""
    for pattern in _PATTERNS:
        found = pattern.fullmatch(name.upper())
        expiry = None if found is None else _expiry(found["year"], found["month"], found["day"])
        if found is not None and expiry is not None:
            parts = found.groupdict()
            option, strike = parts.get("option"), parts.get("strike")
            if option is None or strike is None:
                return Contract(found["underlying"], expiry)
            return Contract(found["underlying"], expiry, Decimal(strike), OptionType(f"{option[0]}E"))
    return None


def openalgo_name(instrument: Instrument) -> str:
    """The name OpenAlgo has for it, made from its columns: `RELIANCE`, `NIFTY25AUG2625000CE`, `NIFTY25AUG26FUT`."""
    expiry, under = instrument.expiry, instrument.underlying
    if expiry is None:
        return under or instrument.symbol
    day = f"{under}{expiry.day:02}{MONTHS[expiry.month - 1]}{expiry.year % 100:02}"
    if instrument.kind is Kind.FUTURE:
        return f"{day}FUT"
    if instrument.option is None or instrument.strike is None:
        return instrument.symbol
    return f"{day}{plain(instrument.strike)}{instrument.option}"


def kind_of(exchange: str, series: str) -> Kind:
    """What the broker's column Instrument means. In a cash file a word that is none of the others is a share's."""
    word = series.upper()
    found = _KINDS.get(word) or _KINDS.get(word[:3])
    if found is not None:
        return found
    return Kind.SHARE if exchange in _CASH and word else Kind.UNKNOWN


def family_of(exchange: str, token: str, symbol: str) -> str:
    """The short name of the underlying, from the columns Token and Symbol."""
    return _INDICES.get((exchange, token)) or _FAMILIES.get(symbol.upper(), symbol.upper())


def day_of(text: str) -> date | None:
    """A date as the brokers write it, `25-AUG-2026`, or as ISO does; None for any other text."""
    parts = text.strip().upper().split("-")
    try:
        if len(parts) == 3 and parts[1] in MONTHS:
            return date(int(parts[2]), MONTHS.index(parts[1]) + 1, int(parts[0]))
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def plain(number: Decimal) -> str:
    """A number without needless zeros: one text for one strike."""
    try:
        return f"{number.normalize():f}"
    except InvalidOperation:
        return str(number)


def _expiry(year: str, month: str, day: str) -> date | None:
    number = MONTHS.index(month) + 1 if month in MONTHS else int(month) if month.isdecimal() else 0
    try:
        return date(2000 + int(year), number, int(day))
    except ValueError:
        return None
