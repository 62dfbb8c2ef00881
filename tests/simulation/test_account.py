"""The judge of law 6 by itself."""

from __future__ import annotations

import pytest

from tests.simulation.account import AccountJudge
from tests.simulation.moves import Move, own_of


def moves(*trades: tuple[str, int]) -> tuple[set[int], list[Move]]:
    """Trades of this strategy ("mine"), of others ("others") and external ones, a second apart; which are mine."""
    made = [
        Move(float(number), signed, None, ours=whose != "external", exits=False, sure=True)
        for number, (whose, signed) in enumerate(trades)
    ]
    return {id(move) for move, (whose, _) in zip(made, trades, strict=True) if whose == "mine"}, made


@pytest.mark.parametrize(("others", "own"), [(20, -2), (0, 0)])
def test_an_exit_may_take_off_what_an_external_trade_may_have_taken_from_others(others: int, own: int) -> None:
    """A person sells all, the EXIT opens 2; others sell short again, and a person buys 11 of it all."""
    before = [("others", others)] if others else []
    after = [("others", -others)] if others else []
    trades = [("mine", 2), *before, ("external", -2 - others), ("mine", -2), *after, ("external", 11)]
    mine, made = moves(*trades)
    assert own_of(AccountJudge._left_for(mine, made, 1)) == own
