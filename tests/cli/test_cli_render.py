"""Answers as text: aligned, on their lines, and harmless to a terminal (F4)."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from core.cli import render

INDIA = ZoneInfo("Asia/Kolkata")

ROW: dict[str, Any] = {
    "command_id": "c-1",
    "strategy": "momentum",
    "execution_type": "ENTRY",
    "side": "BUY",
    "quantity": 50,
    "symbol": "M&M-EQ",
    "order_type": "MARKET",
    "status": "SENT_TO_BROKER",
    "unknown": True,
    "created_at": "2026-11-23T06:30:00+00:00",
}


def test_columns_stand_under_their_names() -> None:
    assert render.table(("a", "long name"), [("wide cell", 1), (None, 2)]) == (
        "a          long name\nwide cell  1\n-          2"
    )


def test_a_row_shows_the_time_of_the_exchange_and_an_unknown_outcome() -> None:
    text = render.orders_text([ROW], INDIA)
    assert "2026-11-23 12:00:00" in text
    assert "BUY 50 M&M-EQ at MARKET" in text
    assert "SENT_TO_BROKER (outcome unknown)" in text


def test_a_refused_row_with_little_in_it_is_shown_all_the_same() -> None:
    assert "c-2" in render.orders_text([{"command_id": "c-2", "status": "FAILED"}], INDIA)


def test_an_order_lists_events_and_fills() -> None:
    event = {"at": "2026-11-23T06:30:00+00:00", "from_status": None, "to_status": "CREATED", "tag": None, "reason": "x"}
    fill = {"at": "2026-11-23T06:31:00+00:00", "quantity": 5, "price": "10.05", "broker_trade_id": "T1"}
    text = render.order_text({**ROW, "events": [event], "fills": [fill]}, INDIA)
    assert "12:00:00  -            CREATED" in text
    assert "12:01:00  5         10.05  T1" in text


def test_empty_states_are_said_in_words() -> None:
    assert render.orders_text([], INDIA) == "no orders"
    nothing: dict[str, Any] = {"lines": [], "differences": [], "reconciled_at": None}
    assert render.guard_text(nothing, INDIA) == "strategies hold nothing\n\nreconciled with the broker: not yet"
    read_at = "2026-11-23T06:30:00+00:00"
    assert "no positions" in render.positions_text({"positions": [], "read_at": read_at}, INDIA)


def test_risk_tells_numbers_and_reasons() -> None:
    found = {
        "trading_day": "2026-11-23",
        "pnl": None,
        "halt": {"reason": "news", "by": "ravi", "at": "2026-11-23T06:30:00+00:00"},
        "breach": {"pnl": "-2140.00", "limit": "2000"},
        "loss_runs": [{"strategy": "m", "losses": 2, "cooldown_until": "2026-11-23T06:31:00+00:00"}],
        "open_orders": 3,
        "orders_today": 9,
        "entry_blocked": "halted",
        "limits": {"max_open_orders": 10, "max_orders_per_day": 20},
    }
    text = render.risk_text(found, INDIA)
    for words in (
        "not known",
        "news (by ravi at 2026-11-23 12:00:00)",
        "P&L -2140.00, limit 2000",
        "2 in a row, cooldown until 2026-11-23 12:01:00",
        "3 of 10",
        "9 of 20",
        "would be refused: halted",
    ):
        assert words in text


@given(st.text())
def test_f4_no_text_of_a_broker_leaves_its_line_or_steers_the_terminal(words: str) -> None:
    shown = render.order_text({**ROW, "reason": words}, INDIA)
    plain = render.order_text({**ROW, "reason": "x"}, INDIA)
    assert shown.count("\n") == plain.count("\n")
    assert all(line.isprintable() for line in shown.split("\n"))
    assert render.as_json({"reason": words}).isascii()
