"""The index of instruments: what is kept, and how it is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.instruments.index import FILE_NAME, InstrumentIndex, open_for_reading
from core.instruments.lookups import find, near, underlying_of
from core.instruments.symbol_file import BadSymbolFile, read_symbol_file
from core.model.instrument import Kind, SymbolFile

TODAY = date(2026, 8, 20)
AT = datetime(2026, 8, 20, 3, 0, tzinfo=UTC)
CASH = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
NSE = CASH + "".join(
    f"{row},0.05,\n"
    for row in (
        "NSE,2885,1,RELIANCE,RELIANCE-EQ,EQ",
        "NSE,2886,1,RELIANCE,RELIANCE-BL,BL",
        "NSE,9,1,RELINFRA,RELINFRA-BE,BE",
        "NSE,2031,1,M&M,M&M-EQ,EQ",
        "NSE,26000,1,Nifty 50,NIFTY INDEX,INDEX",
        "NSE,26009,1,Nifty Bank,NIFTY BANK,INDEX",
    )
)
BSE = CASH + "BSE,500325,1,RELIANCE,RELIANCE,A,0.05,\nBSE,1,1,SENSEX,SENSEX,UNDIND,0.05,\n"
NFO = DERIVATIVES + "".join(
    f"NFO,{token},65,NIFTY,NIFTY{day[:2]}{day[3:6]}26{kind[0]}{strike},{day},OPTIDX,{kind},{strike},0.05,\n"
    for token, (day, strike, kind) in enumerate(
        (day, strike, kind)
        for day in ("18-AUG-2026", "25-AUG-2026", "01-SEP-2026")
        for strike in (24_950, 25_000, 25_050)
        for kind in ("CE", "PE")
    )
)
NFO += "NFO,900,65,NIFTY,NIFTY25AUG26F,25-AUG-2026,FUTIDX,XX,0,0.05,\n"
MCX = DERIVATIVES + "MCX,1,100,CRUDEOIL,CRUDEOIL19AUG26,19-AUG-2026,FUTCOM,XX,0,1,\n"
MCX += "MCX,2,100,CRUDEOIL,CRUDEOIL18SEP26,18-SEP-2026,FUTCOM,XX,0,1,\n"


def put(index: InstrumentIndex, exchange: str, text: str, source: str = "a broker") -> None:
    index.replace(SymbolFile(exchange, source, AT, 0), read_symbol_file(text.encode(), exchange))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[InstrumentIndex]:
    index = InstrumentIndex.open(tmp_path)
    for exchange, text in (("NSE", NSE), ("BSE", BSE), ("NFO", NFO), ("MCX", MCX)):
        put(index, exchange, text)
    yield index
    index.close()


@pytest.mark.parametrize(
    ("text", "exchange", "place"),
    [
        ("RELIANCE-EQ", "NSE", "NSE:RELIANCE-EQ"),
        ("reliance-eq", "", "NSE:RELIANCE-EQ"),
        ("RELIANCE", "", "NSE:RELIANCE-EQ"),
        ("NSE:RELIANCE", "", "NSE:RELIANCE-EQ"),
        ("RELIANCE", "BSE", "BSE:RELIANCE"),
        ("M&M", "NSE", "NSE:M&M-EQ"),
        ("RELINFRA", "NSE", "NSE:RELINFRA-BE"),
        ("NIFTY", "", "NSE:NIFTY INDEX"),
        ("NSE_INDEX:BANKNIFTY", "", "NSE:NIFTY BANK"),
        ("SENSEX", "", "BSE:SENSEX"),
        ("NIFTY25AUG2625000CE", "", "NFO:NIFTY25AUG26C25000"),
        ("NIFTY260825P24950", "NFO", "NFO:NIFTY25AUG26P24950"),
        ("NIFTY25AUG26FUT", "", "NFO:NIFTY25AUG26F"),
        ("CRUDEOIL18SEP26FUT", "MCX", "MCX:CRUDEOIL18SEP26"),
    ],
)
def test_an_instrument_is_found_by_its_symbol_and_by_the_names_of_other_programs(
    index: InstrumentIndex, text: str, exchange: str, place: str
) -> None:
    found = find(index, text, exchange, TODAY)
    assert found is not None
    assert found.place == place


@pytest.mark.parametrize("text", ["RELIANSE", "NIFTY25AUG2625025CE", "NIFTY26AUG2625000CE", "NIFTY INDEX25AUG26F", ""])
def test_no_instrument_is_guessed(index: InstrumentIndex, text: str) -> None:
    assert find(index, text, "", TODAY) is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("RELIANSE", "NSE:RELIANCE-EQ"),
        ("RELIANSE-EQ", "NSE:RELIANCE-EQ"),
        ("BANKNIFTI", "NSE:NIFTY BANK"),
        ("NIFTY25AUG2625010CE", "NFO:NIFTY25AUG26C25000"),
        ("NIFTY27AUG2625000PE", "NFO:NIFTY25AUG26P25000"),
        ("NIFTI25AUG2625000PE", "NFO:NIFTY25AUG26P25000"),
    ],
)
def test_an_unknown_name_has_near_names(index: InstrumentIndex, text: str, first: str) -> None:
    assert near(index, text, "", TODAY)[0].place == first


def test_nothing_is_near_a_name_like_no_other(index: InstrumentIndex) -> None:
    assert near(index, "ZZZZZZZZ", "", TODAY) == ()


def test_a_search_holds_every_word_and_leaves_out_what_expired(index: InstrumentIndex) -> None:
    found = index.search("nifty 25000 ce", "", TODAY, 50)
    assert [one.symbol for one in found] == ["NIFTY25AUG26C25000", "NIFTY01SEP26C25000"]
    assert [one.symbol for one in index.search("reliance", "", TODAY, 2)] == ["RELIANCE", "RELIANCE-EQ"]
    assert index.search("reliance", "NFO", TODAY, 50) == ()
    assert index.search(" ", "", TODAY, 50) == ()


def test_a_chain_has_the_contracts_of_one_expiry(index: InstrumentIndex) -> None:
    assert index.expiries("NIFTY", Kind.OPTION, TODAY) == (date(2026, 8, 25), date(2026, 9, 1))
    chain = index.chain("NIFTY", date(2026, 8, 25))
    assert len([one for one in chain if one.kind is Kind.OPTION]) == 6
    assert len(chain) == 7


def test_the_price_of_options_follows_the_index_or_the_next_future(index: InstrumentIndex) -> None:
    places = [one.place for name in ("NIFTY", "CRUDEOIL") if (one := underlying_of(index, name, TODAY))]
    assert places == ["NSE:NIFTY INDEX", "MCX:CRUDEOIL18SEP26"]
    assert underlying_of(index, "NOTHING", TODAY) is None


def test_a_bad_file_leaves_the_last_good_one(index: InstrumentIndex) -> None:
    before = index.files()
    with pytest.raises(BadSymbolFile):
        put(index, "NFO", NFO.replace("CE", "CE", 1)[: len(NFO) // 2] + "\n" + "NFO,1,odd,A,B,C,D,E,F,G,\n" * 50)
    assert index.files() == before
    assert find(index, "NIFTY25AUG2625000CE", "", TODAY) is not None


def test_a_file_that_is_much_shorter_needs_a_person(index: InstrumentIndex) -> None:
    short = DERIVATIVES + "NFO,900,65,NIFTY,NIFTY25AUG26F,25-AUG-2026,FUTIDX,XX,0,0.05,\n"
    with pytest.raises(BadSymbolFile, match=r"1 instruments where the last one had 19.*instruments refresh"):
        put(index, "NFO", short)
    assert len(index.chain("NIFTY", date(2026, 8, 25))) == 7
    file = SymbolFile("NFO", "a broker", AT, 0)
    assert index.replace(file, read_symbol_file(short.encode(), "NFO"), believe_short=True).rows == 1
    assert len(index.chain("NIFTY", date(2026, 8, 25))) == 1


def test_a_short_file_of_another_source_is_believed(index: InstrumentIndex) -> None:
    put(index, "NFO", DERIVATIVES + "NFO,900,65,NIFTY,NIFTY25AUG26F,25-AUG-2026,FUTIDX,XX,0,0.05,\n", "another")
    assert len(index.chain("NIFTY", date(2026, 8, 25))) == 1


def test_what_the_broker_tells_is_kept_until_the_next_file(index: InstrumentIndex) -> None:
    option = find(index, "NIFTY25AUG2625000CE", "", TODAY)
    assert option is not None
    index.remember(replace(option, freeze_quantity=1801))
    told = find(index, "NIFTY25AUG2625000CE", "", TODAY)
    assert told == replace(option, freeze_quantity=1801)
    put(index, "NFO", NFO)
    assert find(index, "NIFTY25AUG2625000CE", "", TODAY) == option


def test_readers_see_it_while_it_is_written_and_nothing_before(tmp_path: Path) -> None:
    with open_for_reading(tmp_path) as reader:
        assert reader is None
    index = InstrumentIndex.open(tmp_path)
    with open_for_reading(tmp_path) as reader:
        assert reader is None
    put(index, "NSE", NSE)
    with open_for_reading(tmp_path) as reader:
        assert reader is not None
        assert find(reader, "RELIANCE", "", TODAY) is not None
        put(index, "NSE", NSE)
        index.forget("NSE")
    with open_for_reading(tmp_path) as reader:
        assert reader is None
    index.close()


@pytest.mark.parametrize("content", [b"no database at all, by no means" * 50, b""])
def test_a_damaged_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with open_for_reading(tmp_path) as reader:
        assert reader is None
    index = InstrumentIndex.open(tmp_path)
    put(index, "NSE", NSE)
    assert len(index.files()) == 1
    index.close()
