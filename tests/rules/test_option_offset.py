"""Offsets from the strike at the money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.model.instrument import OptionType
from core.rules.option_offset import strike_at

STRIKES = [Decimal(strike) for strike in (24800, 24850, 24900, 24950, 25000, 25050, 25100)]
CE, PE = OptionType.CE, OptionType.PE


@pytest.mark.parametrize(
    ("offset", "option", "strike"),
    [
        ("ATM", CE, 24950),
        ("ATM", PE, 24950),
        ("ITM1", CE, 24900),
        ("ITM1", PE, 25000),
        ("OTM2", CE, 25050),
        ("OTM2", PE, 24850),
        ("ITM3", CE, 24800),
        ("ITM4", CE, None),
        ("OTM4", CE, None),
        ("OTM0", CE, None),
        ("OTM51", CE, None),
        ("atm", CE, None),
    ],
)
def test_the_nth_strike_in_or_out_of_the_money(offset: str, option: OptionType, strike: int | None) -> None:
    assert strike_at(STRIKES, Decimal("24962.30"), offset, option) == strike


def test_of_an_interval_only_its_strikes_count() -> None:
    price = Decimal("24962.30")
    assert strike_at(STRIKES, price, "ATM", CE, 100) == 25000
    assert strike_at(STRIKES, price, "OTM1", CE, 100) == 25100
    assert strike_at(STRIKES, price, "OTM2", CE, 100) is None
    gap = [strike for strike in STRIKES if strike != 25100]
    assert strike_at(gap, price, "OTM1", CE, 100) is None, "a strike that is not listed is not jumped over"


def test_without_strikes_there_is_none() -> None:
    assert strike_at([], Decimal(1), "ATM", CE) is None
