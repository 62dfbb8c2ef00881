"""Reading symbol files, good and bad."""

import io
import re
import zipfile

import pytest

from core.instruments.symbol_file import BadSymbolFile, Row, read_symbol_file

CASH = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
MCX = "Exchange,Token,LotSize,GNGD,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"


def zipped(text: str, name: str = "NFO_symbols.txt") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return out.getvalue()


def read(text: str, exchange: str = "NFO") -> list[Row]:
    return list(read_symbol_file(zipped(text), exchange))


def test_an_option_is_read_from_its_columns() -> None:
    rows = read(DERIVATIVES + "NFO,35003,65,NIFTY,NIFTY25AUG26C25000,25-AUG-2026,OPTIDX,CE,25000.00,0.05,\n")
    assert rows == [
        Row("NFO", "35003", "NIFTY25AUG26C25000", "OPTION", "OPTIDX", "NIFTY", "2026-08-25", "25000", "CE", 65, "0.05")
    ]


def test_a_share_whose_name_ends_like_an_option_is_a_share() -> None:
    (row,) = read(CASH + "NSE,2885,1,RELIANCE,RELIANCE,EQ,0.10,\n", "NSE")
    assert (row.kind, row.option, row.strike, row.expiry) == ("SHARE", None, None, None)


def test_a_future_has_no_strike_and_no_option_type() -> None:
    (row,) = read(MCX + "MCX,463007,100,1,CRUDEOIL,CRUDEOIL18NOV26,18-NOV-2026,FUTCOM,XX,0,1.00,\n", "MCX")
    assert (row.kind, row.option, row.strike, row.lot_size, row.tick_size) == ("FUTURE", None, None, 100, "1")


def test_bses_families_are_the_indices_behind_them() -> None:
    (row,) = read(DERIVATIVES + "BFO,837931,20,BSXOPT,SENSEX26SEP91000PE,24-SEP-2026,OPTIDX,PE,91000,0.05,\n", "BFO")
    assert (row.underlying, row.option, row.strike) == ("SENSEX", "PE", "91000")


def test_what_the_file_does_not_say_is_unknown() -> None:
    text = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice\n"
    (row,) = read(text + "NFO,1,0,NIFTY,ODD,,STRANGE,,\n")
    assert (row.kind, row.lot_size, row.tick_size, row.expiry, row.option) == ("UNKNOWN", None, None, None, None)


def test_placeholders_are_passed_over() -> None:
    rows = read(DERIVATIVES + "NFO,1,0,,,,,,,0,\n\nNFO,2,65,NIFTY,NIFTY25AUG26F,25-AUG-2026,FUTIDX,XX,0,0.05,\n")
    assert [row.token for row in rows] == ["2"]


@pytest.mark.parametrize(
    ("ticks", "wanted"),
    [(["5", "10", "1"], ["0.05", "0.1", "0.01"]), (["0.05", "1.00", "0"], ["0.05", "1", None])],
)
def test_the_unit_of_ticks_is_told_by_the_whole_file(ticks: list[str], wanted: list[str | None]) -> None:
    rows = read(CASH + "".join(f"NSE,{n},1,S{n},S{n}-EQ,EQ,{tick},\n" for n, tick in enumerate(ticks, 1)), "NSE")
    assert [row.tick_size for row in rows] == wanted


def test_a_text_that_is_not_zipped_is_read_too() -> None:
    text = CASH + "NSE,22,1,ACC,ACC-EQ,EQ,0.05,\n"
    assert list(read_symbol_file(b"\xef\xbb\xbf" + text.encode(), "NSE")) == read(text, "NSE")


GOOD = DERIVATIVES + "".join(
    f"NFO,{n},65,NIFTY,NIFTY25AUG26C{n},25-AUG-2026,OPTIDX,CE,{n},0.05,\n" for n in range(20_000, 21_000)
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped(GOOD)[:-600], "damaged or cut short"),
        (zipped(GOOD)[:2000] + zipped(GOOD)[2600:], "it is no symbol file"),
        (b"", "no column Exchange, Token"),
        (b"<html><body>Not found</body></html>", "its first line is '<html>"),
        (zipped(DERIVATIVES), "has no instruments"),
        (zipped(GOOD.replace("StrikePrice", "StrikeRate")), "no column StrikePrice"),
        (zipped(CASH + "NSE,22,1,ACC,ACC-EQ,EQ,0.05,\n"), "no column Expiry, OptionType, StrikePrice"),
        (zipped(GOOD.replace(",65,", ",many,")), "1000 of 1000 rows cannot be read; row 2"),
        (zipped(GOOD.replace("NFO,", "BFO,")), "it is of exchange 'BFO'"),
        (zipped(GOOD)[:30] + b"\x00" * 200, "damaged or cut short"),
        (b"\xff\xfe\x00\x01", "it is no symbol file"),
    ],
)
def test_a_bad_file_says_what_is_wrong_with_it(data: bytes, words: str) -> None:
    with pytest.raises(BadSymbolFile, match=re.escape(words)):
        list(read_symbol_file(data, "NFO"))


def test_a_few_unreadable_rows_cost_nobody_the_file() -> None:
    rows = read(GOOD + "NFO,9,many,NIFTY,ODD,25-AUG-2026,OPTIDX,CE,1,0.05,\n")
    assert len(rows) == 1000


@pytest.mark.parametrize(
    ("exchange", "step", "told"), [("NFO", "5.00", "0.05"), ("NFO", "0.05", "0.05"), ("MCX", "1", "1")]
)
def test_steps_of_options_in_paise_become_rupees_and_those_of_commodities_stay(
    exchange: str, step: str, told: str
) -> None:
    lines = "".join(f"{exchange},{n},65,U,U{n},25-AUG-2026,OPTIDX,CE,{n}00,{step},\n" for n in range(1, 1500))
    ticks = {row.tick_size for row in read_symbol_file((DERIVATIVES + lines).encode(), exchange)}
    assert ticks == {told}
