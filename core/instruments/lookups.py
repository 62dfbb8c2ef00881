"""From what somebody types to an instrument: exact names first, then the names of other programs, then near names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from core.instruments.index import InstrumentIndex
from core.model.instrument import Instrument, Kind
from core.rules.instrument_names import Contract, contract, openalgo_name, typed

__all__ = ["contracts_of", "find", "near", "options_of", "underlying_of"]

_MOST_NEAR = 5
_LENGTHS_DIFFER = 3
_PREFERRED = ("NSE", "NFO", "BSE", "BFO", "MCX", "CDS")
_SERIES = ("EQ", "BE")
_OWN = (Kind.INDEX, Kind.SHARE)


def find(index: InstrumentIndex, text: str, exchange: str, today: date) -> Instrument | None:
    """The one instrument that a name means; None where there is none.

    Args:
        index: The instruments.
        text: A trading symbol, or a name as OpenAlgo or TradingView have it; an exchange may stand before it (`NSE:`).
        exchange: Where it is looked for; empty: everywhere, NSE and NFO before BSE and BFO.
        today: Contracts that expired before it come last.
    """
    wanted = typed(text, exchange)
    exact = index.by_symbol(wanted.name, wanted.exchange)
    # RELIANCE is a symbol of BSE; who says no exchange means NSE's, which is RELIANCE-EQ.
    own = index.by_underlying(wanted.name, _OWN, wanted.exchange)
    if exact or own:
        return min((*exact, *own), key=lambda one: (one.expired(today), _rank(one), one not in exact))
    asked = contract(wanted.name)
    return None if asked is None else min(_contracts(index, asked, wanted.exchange), key=_rank, default=None)


def underlying_of(index: InstrumentIndex, name: str, today: date) -> Instrument | None:
    """Whose price options of this name follow: the index or share, else the future that expires first."""
    own = min(index.by_underlying(name, _OWN), key=_rank, default=None)
    if own is not None:
        return own
    futures = [one for one in index.by_underlying(name, (Kind.FUTURE,)) if not one.expired(today)]
    return futures[0] if futures else None


def options_of(
    index: InstrumentIndex, name: str, expiry: date | None, today: date
) -> tuple[tuple[date, ...], date | None, tuple[Instrument, ...]]:
    """The expiries of an underlying's options, the one asked for or the nearest, and its options by strike."""
    family = typed(name).name
    expiries = index.expiries(family, Kind.OPTION, today)
    day = expiry or (expiries[0] if expiries else None)
    if day is None:
        return expiries, None, ()
    options = [one for one in index.chain(family, day) if one.kind is Kind.OPTION]
    return expiries, day, tuple(sorted(options, key=lambda one: (one.strike or Decimal(0), one.option or "")))


def near(index: InstrumentIndex, text: str, exchange: str, today: date) -> tuple[Instrument, ...]:
    """Instruments that an unknown name may have been meant for, at most five."""
    wanted = typed(text, exchange)
    asked = contract(wanted.name)
    if asked is not None:
        return _near_contracts(index, asked, today)
    names = _near_names(index, wanted.name)
    for where in dict.fromkeys((wanted.exchange, "")):
        found = {one.place: one for name in names if (one := find(index, name, where, today))}
        if found:
            return tuple(found.values())[:_MOST_NEAR]
    return ()


def contracts_of(index: InstrumentIndex, underlying: str, today: date) -> tuple[Instrument, ...]:
    """Contracts of a share or index that somebody may mean who names just that: its nearest future, an option."""
    futures = [one for one in index.by_underlying(underlying, (Kind.FUTURE,)) if not one.expired(today)]
    _, _, options = options_of(index, underlying, None, today)
    return (*futures[:1], *options[len(options) // 2 // 2 * 2 :][:1])


def _contracts(index: InstrumentIndex, asked: Contract, exchange: str) -> Sequence[Instrument]:
    kind = Kind.OPTION if asked.option else Kind.FUTURE
    return [
        one
        for one in index.chain(asked.underlying, asked.expiry)
        if (one.kind, one.strike, one.option) == (kind, asked.strike, asked.option) and exchange in ("", one.exchange)
    ]


def _near_contracts(index: InstrumentIndex, asked: Contract, today: date) -> tuple[Instrument, ...]:
    """Of the same underlying: the strikes nearest to the one asked for, of the expiry nearest to it."""
    kind = Kind.OPTION if asked.option else Kind.FUTURE
    names = (
        [asked.underlying] if index.expiries(asked.underlying, kind, today) else _near_names(index, asked.underlying)
    )
    for name in names:
        expiries = index.expiries(name, kind, today)
        if not expiries:
            continue
        nearest = min(expiries, key=lambda day: abs((day - asked.expiry).days))
        options = [one for one in index.chain(name, nearest) if one.kind is kind and one.option is asked.option]
        return tuple(
            sorted(options, key=lambda one: abs((one.strike or Decimal(0)) - (asked.strike or Decimal(0))))[:_MOST_NEAR]
        )
    return ()


def _near_names(index: InstrumentIndex, name: str) -> list[str]:
    # A series after the name is not what was misspelt: RELIANSE-EQ.
    stem = name.rsplit("-", 1)[0] if name.rsplit("-", 1)[-1] in _SERIES else name
    known = index.names()
    longer = sorted((one for one in known if len(stem) > 1 and one.startswith(stem)), key=len)
    # Comparing takes its time, and an order waits for it: only what begins or ends alike, and is about as long.
    alike = [one for one in known if one and abs(len(one) - len(stem)) <= _LENGTHS_DIFFER and _ends_alike(one, stem)]
    return list(dict.fromkeys([*longer[:_MOST_NEAR], *difflib.get_close_matches(stem, alike, _MOST_NEAR, 0.6)]))


def _ends_alike(one: str, other: str) -> bool:
    return one[:1] == other[:1] or one[-1:] == other[-1:]


def _rank(one: Instrument) -> tuple[bool, int, int, str]:
    exchange = _PREFERRED.index(one.exchange) if one.exchange in _PREFERRED else len(_PREFERRED)
    series = _SERIES.index(one.series) if one.series in _SERIES else len(_SERIES)
    return (one.kind is not Kind.INDEX, exchange, series, openalgo_name(one))
