"""What SearchScrip and GetSecurityInfo say of instruments (protocol 7.10)."""

from datetime import date
from decimal import Decimal

import pytest

from core.model.instrument import Instrument, Kind, OptionType
from core.noren.listings import listings, with_details
from core.noren.parse import BadRow

ROW = {
    "exch": "NFO",
    "token": "35003",
    "tsym": "NIFTY25AUG26C25000",
    "dname": "NIFTY 25AUG26 25000 CE",
    "symname": "NIFTY",
    "instname": "OPTIDX",
    "optt": "CE",
    "pp": "2",
    "ls": "65",
    "ti": "0.05",
}
FOUND = Instrument(
    exchange="NFO",
    symbol="NIFTY25AUG26C25000",
    token="35003",
    name="NIFTY 25AUG26 25000 CE",
    kind=Kind.OPTION,
    series="OPTIDX",
    underlying="NIFTY",
    option=OptionType.CE,
    lot_size=65,
    tick_size=Decimal("0.05"),
)


def test_a_search_tells_what_it_tells_and_no_more() -> None:
    assert listings({"values": [ROW, {"exch": "NFO", "token": "1"}, "odd"]}) == (FOUND,)
    assert listings({"stat": "Ok"}) == ()


def test_the_kind_is_not_read_off_the_name() -> None:
    share = {"exch": "NSE", "token": "2885", "tsym": "RELIANCE", "instname": "EQ", "symname": "RELIANCE"}
    (found,) = listings({"values": [share]})
    assert (found.kind, found.option) == (Kind.SHARE, None)
    (found,) = listings({"values": [{"exch": "NFO", "tsym": "NIFTY25AUG2625000CE"}]})
    assert (found.kind, found.option, found.strike) == (Kind.UNKNOWN, None, None)


def test_details_add_expiry_strike_and_freeze_quantity() -> None:
    details = {**ROW, "exd": "25-AUG-2026", "strprc": "25000.00", "frzqty": "1801"}
    found = with_details(FOUND, details)
    assert (found.expiry, str(found.strike), found.freeze_quantity) == (date(2026, 8, 25), "25000", 1801)


def test_what_details_do_not_say_stays_known() -> None:
    assert with_details(FOUND, {"stat": "Ok", "frzqty": "0", "ls": "", "ti": "0"}) == FOUND


@pytest.mark.parametrize("change", [{"tsym": "NIFTY25AUG26C25100"}, {"ls": "many"}, {"strprc": "dear"}])
def test_details_of_another_instrument_and_odd_figures_are_not_used(change: dict[str, str]) -> None:
    with pytest.raises(BadRow):
        with_details(FOUND, {**ROW, **change})
