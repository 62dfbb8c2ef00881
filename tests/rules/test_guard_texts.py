"""What a person is told of what EXITs opened (scenario G1): who, how much, why, and what to do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.model.order import Product
from core.model.positions import Correction, ExternalClose, GuardLine
from core.rules.guard_texts import beside_text, beyond_text, interrupted_text, opened_text

LINE = GuardLine("alpha", "NSE", "INFY-EQ", Product.MIS, -50, 0, None, unintended=True)
CLOSE = ExternalClose("alpha", "NSE", "INFY-EQ", Product.MIS, -50, Decimal(1500), "E1")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (LINE, "alpha holds -50 INFY-EQ MIS, which nobody meant: because. Close it: flatten it"),
        (
            replace(LINE, unintended=False),
            "alpha: holds -50 now, which is not what it entered: because; compare positions",
        ),
        (None, "alpha: holds nothing now, which is not what it entered: because; compare positions"),
    ],
    ids=["opened", "entered again", "flat"],
)
def test_g1_what_an_exit_opened_is_told_with_the_command_that_closes_just_that(
    line: GuardLine | None, text: str
) -> None:
    assert opened_text(line, "because", "alpha", "flatten it") == text


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (CLOSE, "external order E1 had closed 50 when an EXIT filled"),
        (
            replace(CLOSE, note="nobody knows which was first"),
            "external order E1 filled 50 and an EXIT filled; nobody knows which was first, and if it was the EXIT, the "
            "position is not this strategy's",
        ),
        (replace(CLOSE, kind=Correction.CONVERTED, note="converted"), "its holding was converted"),
    ],
    ids=["closed before", "order not known", "converted"],
)
def test_g1_why_a_strategy_stands_the_other_way(close: ExternalClose, text: str) -> None:
    assert beyond_text(close) == text


def test_g1_the_strategies_on_the_other_side_are_named() -> None:
    others = [replace(LINE, strategy=name, held=50) for name in ("gamma", "beta")]
    text = beside_text(CLOSE, [LINE, *others, replace(LINE, strategy="delta", symbol="TCS-EQ", held=50)])
    assert text == (
        "external order E1 had closed 50 INFY-EQ MIS of strategy alpha when an EXIT filled: the account is -50 beside "
        "what beta, gamma entered, which nobody meant. It becomes alpha's, to be flattened, once beta, gamma has exited"
    )


def test_a_square_off_that_was_interrupted_names_what_is_held_but_for_deliveries() -> None:
    delivered = replace(LINE, product=Product.CNC, held=10)
    assert interrupted_text("by hand", [replace(LINE, held=0), delivered]) == ""
    assert interrupted_text("by hand", [LINE, delivered]) == (
        "the service stopped in the middle of a square-off (by hand) and does not go on with it; held still: alpha -50 "
        "INFY-EQ MIS; ask for it again"
    )
