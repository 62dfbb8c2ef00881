"""What a strategy may do (docs/guarantees.md)."""

from __future__ import annotations

import pytest

from actors.cast import Cast
from actors.strategy import Strategy
from core.runtime import StepRuntime, VirtualClock
from tests.making import NOON, an_intent


def test_e9_a_strategy_trades_in_its_own_name() -> None:
    """Under another one it would go on while it is halted, and trade that one's positions."""
    runtime = StepRuntime(VirtualClock(NOON))
    strategy = Strategy(runtime, "strategy:alpha", cast=Cast.of(runtime), strategy="alpha")
    with pytest.raises(ValueError, match=r"intent.strategy is 'beta'; strategy 'alpha' trades in its own name"):
        strategy.submit(an_intent(strategy="beta"))
