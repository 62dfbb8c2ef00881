"""Answers as text: aligned, on their lines, and harmless to a terminal (F4)."""

from __future__ import annotations

import io
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal of 60 columns."""
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "25"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", Terminal())


def test_on_a_terminal_a_table_fits_it_loses_nothing_and_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    reason = "RED:Margin Shortfall [bold] INR 1,20,000.00 :smile: for M&M-EQ and some more words of the broker"
    text = render.table(("command id", "status", "reason"), [("261123-momentum-0001", "FAILED", reason)])
    assert "\x1b[31mFAILED" in text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(len(line) for line in lines) <= 60
    assert "261123-momentum-0001" in lines[1], "what is copied into the next command is whole"
    shown = "".join("".join(line[30:].split()) for line in lines[1:])
    assert shown == "".join(reason.split())


def test_elsewhere_a_line_is_as_long_as_it_needs_to_be_and_has_no_colours() -> None:
    assert render.table(("a", "status"), [("x" * 500, "FAILED")]).splitlines()[1] == f"{'x' * 500}  FAILED"


def test_the_zone_of_times_is_said_once_in_the_head() -> None:
    head, line = render.orders_text([ROW], INDIA).splitlines()
    assert "at (IST)" in head
    assert "IST" not in line


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
