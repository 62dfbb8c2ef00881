"""What a typed name asks for, and what the broker's words mean."""

from datetime import date
from decimal import Decimal

import pytest

from core.model.instrument import Instrument, Kind, OptionType
from core.rules.instrument_names import Contract, contract, day_of, family_of, kind_of, openalgo_name, plain, typed

AUGUST = date(2026, 8, 25)
CALL = Contract("NIFTY", AUGUST, Decimal(25000), OptionType.CE)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("NIFTY25AUG2625000CE", CALL),
        ("nifty25aug2625000ce", CALL),
        ("NIFTY25AUG26C25000", CALL),
        ("NIFTY260825C25000", CALL),
        ("NIFTY25AUG26FUT", Contract("NIFTY", AUGUST)),
        ("NIFTY25AUG26F", Contract("NIFTY", AUGUST)),
        ("VEDL25AUG26292.5PE", Contract("VEDL", AUGUST, Decimal("292.5"), OptionType.PE)),
        ("M&M25AUG263000PE", Contract("M&M", AUGUST, Decimal(3000), OptionType.PE)),
        ("BAJAJ-AUTO25AUG26P9000", Contract("BAJAJ-AUTO", AUGUST, Decimal(9000), OptionType.PE)),
    ],
)
def test_names_of_three_programs_ask_for_one_contract(name: str, wanted: Contract) -> None:
    assert contract(name) == wanted


@pytest.mark.parametrize("name", ["RELIANCE", "RELIANCE-EQ", "NIFTY", "NIFTY31FEB2625000CE", "25AUG2625000CE", ""])
def test_other_names_ask_for_no_contract(name: str) -> None:
    assert contract(name) is None


@pytest.mark.parametrize(
    ("text", "beside", "wanted"),
    [
        ("NSE:RELIANCE", "", ("RELIANCE", "NSE")),
        ("reliance", "bse", ("RELIANCE", "BSE")),
        ("NSE_INDEX:NIFTY", "NFO", ("NIFTY", "NSE")),
        ("  nifty  bank ", "", ("NIFTY BANK", "")),
    ],
)
def test_an_exchange_may_stand_before_the_name(text: str, beside: str, wanted: tuple[str, str]) -> None:
    found = typed(text, beside)
    assert (found.name, found.exchange) == wanted


@pytest.mark.parametrize(
    ("exchange", "series", "kind"),
    [
        ("NSE", "EQ", Kind.SHARE),
        ("BSE", "XT", Kind.SHARE),
        ("NSE", "INDEX", Kind.INDEX),
        ("BSE", "UNDIND", Kind.INDEX),
        ("NFO", "FUTSTK", Kind.FUTURE),
        ("MCX", "OPTFUT", Kind.OPTION),
        ("CDS", "OPTCUR", Kind.OPTION),
        ("MCX", "AUCSO", Kind.UNKNOWN),
        ("NSE", "", Kind.UNKNOWN),
    ],
)
def test_the_kind_is_what_the_broker_says(exchange: str, series: str, kind: Kind) -> None:
    assert kind_of(exchange, series) is kind


def test_indices_and_bses_families_have_their_short_names() -> None:
    assert family_of("NSE", "26009", "Nifty Bank") == "BANKNIFTY"
    assert family_of("BFO", "837931", "BSXOPT") == "SENSEX"
    assert family_of("NSE", "2885", "Reliance") == "RELIANCE"


def test_the_openalgo_name_is_made_from_the_columns() -> None:
    option = Instrument(
        exchange="NFO",
        symbol="any",
        kind=Kind.OPTION,
        underlying="NIFTY",
        expiry=AUGUST,
        strike=Decimal("25000.00"),
        option=OptionType.CE,
    )
    assert openalgo_name(option) == "NIFTY25AUG2625000CE"
    share = Instrument(exchange="NSE", symbol="RELIANCE-EQ", kind=Kind.SHARE, underlying="RELIANCE")
    assert openalgo_name(share) == "RELIANCE"
    unknown = Instrument(exchange="NFO", symbol="ODD", kind=Kind.OPTION, underlying="NIFTY", expiry=AUGUST)
    assert openalgo_name(unknown) == "ODD"


def test_dates_and_numbers_have_one_form() -> None:
    assert day_of("25-AUG-2026") == day_of("2026-08-25") == AUGUST
    assert day_of("31-FEB-2026") is day_of("soon") is None
    assert [plain(Decimal(text)) for text in ("25000.00", "292.50", "0.05")] == ["25000", "292.5", "0.05"]
