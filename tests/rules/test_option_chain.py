"""Options around a price, and the one nearest to a premium."""

from decimal import Decimal

import pytest

from core.model.instrument import Instrument, OptionType
from core.rules.option_chain import PremiumSearch, around, at_the_money

STRIKES = [Decimal(n) for n in range(25_000, 26_050, 50)]


def option(strike: Decimal, kind: OptionType) -> Instrument:
    return Instrument(exchange="NFO", symbol=f"{kind}{strike}", strike=strike, option=kind)


CHAIN = [option(strike, kind) for strike in STRIKES for kind in OptionType]


@pytest.mark.parametrize(
    ("price", "strike"), [("25512", "25500"), ("25525", "25500"), ("1", "25000"), ("99999", "26000")]
)
def test_the_strike_at_the_money_is_the_nearest_and_the_lower_of_two(price: str, strike: str) -> None:
    assert at_the_money(STRIKES, Decimal(price)) == Decimal(strike)
    assert at_the_money([], Decimal(price)) is None


def test_so_many_strikes_on_each_side_are_taken_with_calls_and_puts() -> None:
    found = around(CHAIN, Decimal(25_512), 1)
    assert [one.symbol for one in found] == ["CE25450", "PE25450", "CE25500", "PE25500", "CE25550", "PE25550"]
    assert [one.strike for one in around(CHAIN, Decimal(1), 1)] == [25_000, 25_000, 25_050, 25_050]
    assert around([], Decimal(1), 3) == ()


def search(prices: dict[str, str], premium: str) -> tuple[PremiumSearch, int]:
    options = [one for one in CHAIN if one.symbol in prices]
    found, asked = PremiumSearch(options, Decimal(premium)), 0
    while (one := found.next()) is not None:
        asked += 1
        price = prices[one.symbol]
        found.took(Decimal(price) if price else None)
    return found, asked


def test_the_option_nearest_to_a_premium_is_found_with_few_quotes() -> None:
    prices = {f"PE{strike}": str(n * 10) for n, strike in enumerate(STRIKES, 1)}
    found, asked = search(prices, "123")
    assert found.best is not None
    assert (found.best[0].symbol, found.best[1]) == ("PE25550", 120)
    assert asked <= 5


def test_options_without_a_price_are_passed_over() -> None:
    found, _ = search({"PE25000": "10", "PE25050": "", "PE25100": "30"}, "21")
    assert found.best is not None
    assert found.best[0].symbol == "PE25100"
    assert search({"PE25000": "", "PE25050": ""}, "21")[0].best is None
