"""The exchange's own symbol files, as a broker serves them: what it trades, in Shoonya's format (section 11.1)."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable

from core.paper.instruments import CASH, Instrument

__all__ = ["exchange_of", "symbol_file"]

_PATH = re.compile(r"/+([A-Z]{3})_symbols\.txt\.zip")
_CASH_COLUMNS = ("Exchange", "Token", "LotSize", "Symbol", "TradingSymbol", "Instrument", "TickSize")
_COLUMNS = (*_CASH_COLUMNS[:5], "Expiry", "Instrument", "OptionType", "StrikePrice", "TickSize")
# The same bytes for the same contracts, whenever they are asked for.
_WRITTEN = (2026, 1, 1, 0, 0, 0)


def exchange_of(path: str) -> str | None:
    """Whose symbol file a path names; None for any other path."""
    found = _PATH.fullmatch(path)
    return None if found is None else found[1]


def symbol_file(exch: str, instruments: Iterable[Instrument]) -> bytes | None:
    """The zipped file of an exchange; None where nothing is traded there."""
    listed = [i for i in instruments if i.exch == exch]
    if not listed:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # Rows end with a comma, as the brokers' do: an empty column.
    writer.writerow((*(_CASH_COLUMNS if exch in CASH else _COLUMNS), ""))
    writer.writerows((*_row(i), "") for i in listed)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(f"{exch}_symbols.txt", _WRITTEN)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, text.getvalue())
    return out.getvalue()


def _row(i: Instrument) -> tuple[str, ...]:
    begin = (i.exch, i.token, str(i.lot), i.symbol, i.tsym)
    tick = f"{i.tick:f}"
    if i.exch in CASH:
        return (*begin, i.kind, tick)
    expiry = f"{i.expiry:%d-%b-%Y}".upper() if i.expiry is not None else ""
    return (*begin, expiry, i.kind, i.option or "XX", f"{i.strike:f}", tick)
