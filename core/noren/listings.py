"""What SearchScrip and GetSecurityInfo say of instruments (protocol 7.10)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.model.instrument import Instrument, Kind, OptionType
from core.noren.parse import BadRow, Row, number, text, whole
from core.rules.instrument_names import day_of, family_of, kind_of, plain

__all__ = ["listings", "with_details"]


def listings(answer: Row) -> tuple[Instrument, ...]:
    """The instruments a search found; rows without a symbol are left out. Raises BadRow."""
    values = answer.get("values")
    rows = [row for row in values if isinstance(row, dict)] if isinstance(values, list) else []
    return tuple(
        _instrument(row, Instrument(exchange=exchange, symbol=symbol))
        for row in rows
        if (symbol := text(row, "tsym")) and (exchange := text(row, "exch"))
    )


def with_details(known: Instrument, answer: Row) -> Instrument:
    """The instrument with all that the broker says of it; what it does not say stays as it was known.

    Raises:
        BadRow: A figure cannot be read, or the answer is about another instrument.
    """
    said = text(answer, "tsym")
    if said is not None and said != known.symbol:
        raise BadRow(f"details of {known.place} were asked for, and the answer is about {said}")
    return _instrument(answer, known)


def _instrument(row: Row, known: Instrument) -> Instrument:
    series = text(row, "instname") or known.series
    kind = kind_of(known.exchange, series)
    token = text(row, "token") or known.token
    symbol = text(row, "symname")
    expiry = day_of(text(row, "exd", "exp") or "") or known.expiry
    return replace(
        known,
        token=token,
        name=text(row, "cname", "dname") or known.name,
        kind=kind,
        series=series,
        underlying=family_of(known.exchange, token, symbol) if symbol else known.underlying,
        expiry=expiry,
        strike=(_positive(number(row, "strprc")) or known.strike) if kind is Kind.OPTION else None,
        option=_option(text(row, "optt")) or known.option,
        lot_size=_whole(row, "ls") or known.lot_size,
        tick_size=_positive(number(row, "ti")) or known.tick_size,
        freeze_quantity=_whole(row, "frzqty") or known.freeze_quantity,
    )


def _option(said: str | None) -> OptionType | None:
    return OptionType(said) if said in ("CE", "PE") else None


def _positive(value: Decimal | None) -> Decimal | None:
    return Decimal(plain(value)) if value is not None and value > 0 else None


def _whole(row: Row, name: str) -> int | None:
    value = whole(row, name)
    return value if value is not None and value > 0 else None
