"""The six steps of an order's page, its drawings and figures, as pure functions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from core.model.order import Tag
from core.runtime.trace import EnvelopeTimes
from core.settings import RiskSettings
from core.web.pages.drawing import pnl_chart, sequence_diagram
from core.web.pages.risk import uses
from core.web.pages.steps import six_steps
from core.web.pages.system import latencies
from core.web.pages.templating import price, rupees, signed, standing

LIMITS = RiskSettings()
AT = "2026-11-23T06:30:00+00:00"


def row(status: str = "CREATED", tag: Tag | None = None, reason: str | None = None, **changes: Any) -> dict[str, Any]:
    events = [{"at": AT, "from_status": None, "to_status": "CREATED", "tag": None, "reason": None}]
    if status in ("SENT_TO_BROKER", "EXECUTED") or changes.pop("was_sent", False):
        events.append({"at": AT, "from_status": "CREATED", "to_status": "SENT_TO_BROKER", "tag": None, "reason": None})
    found = {
        "command_id": "c-1",
        "source": "WEBHOOK",
        "idempotency_key": None,
        "execution_type": "ENTRY",
        "strategy": "alpha",
        "symbol": "INFY-EQ",
        "side": "BUY",
        "quantity": 50,
        "product": "MIS",
        "status": status,
        "tag": tag,
        "reason": reason,
        "unknown": False,
        "broker_order_id": None,
        "filled_quantity": 0,
        "created_at": AT,
        "updated_at": AT,
        "events": events,
        "fills": [],
    }
    return found | changes


def envelope(kind: str, sent_at: float, text: str = "", **changes: Any) -> dict[str, Any]:
    found = {"id": f"r:{sent_at}", "type": kind, "text": text or kind, "sent_at": sent_at, "at": AT, "outcome": "done"}
    return found | {"sender": "a", "to": "b"} | changes


def states(found: dict[str, Any], *envelopes: dict[str, Any]) -> str:
    return " ".join(step.state for step in six_steps(found, envelopes, LIMITS))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (row(), "done now waiting waiting waiting waiting"),
        (row("SENT_TO_BROKER"), "done done done now waiting waiting"),
        (row("SENT_TO_BROKER", unknown=True, reason="hung"), "done done done done now now"),
        (row("SENT_TO_BROKER", broker_order_id="7"), "done done done done done now"),
        (row("EXECUTED", broker_order_id="7"), "done done done done done done"),
        (row("FAILED", Tag.VALIDATION_FAILED, "x"), "stopped skipped skipped skipped skipped skipped"),
        (row("FAILED", Tag.RISK_LIMITS_EXCEEDED, "x"), "done stopped skipped skipped skipped skipped"),
        (row("FAILED", Tag.EXECUTION_GUARD_BLOCKED, "x"), "done stopped skipped skipped skipped skipped"),
        (row("FAILED", Tag.DUPLICATE_ORDER_BLOCKED, "x"), "done stopped skipped skipped skipped skipped"),
        (row("FAILED", Tag.NEVER_SENT, "x"), "done stopped skipped skipped skipped skipped"),
        (row("FAILED", Tag.BROKER_NOT_SENT, "x", was_sent=True), "done done done stopped skipped skipped"),
        (row("FAILED", Tag.BROKER_REJECTED, "x", was_sent=True), "done done done done stopped skipped"),
        (
            row("FAILED", Tag.BROKER_CANCELLED, "x", was_sent=True, broker_order_id="7"),
            "done done done done done stopped",
        ),
    ],
)
def test_each_fate_stops_at_its_step(found: dict[str, Any], expected: str) -> None:
    assert states(found) == expected


def test_g11_step_four_tells_by_which_price_a_market_order_was_sent() -> None:
    found = row("SENT_TO_BROKER", broker_order_id="7")
    told = "sent as LIMIT at 1507.50 by bid 1499.95, ask 1500, last 1500 (push feed, 0.3 s old, second source: quote)"
    found["events"].append({"at": AT, "from_status": "SENT_TO_BROKER", "to_status": "SENT_TO_BROKER", "reason": told})
    assert told in six_steps(found, (), LIMITS)[3].lines


@pytest.mark.parametrize("tag", Tag)
@pytest.mark.parametrize("was_sent", [True, False])
def test_every_tag_has_its_words_on_the_way(tag: Tag, was_sent: bool) -> None:
    steps = six_steps(row("FAILED", tag, "in its own words", was_sent=was_sent), (), LIMITS)
    told = [step.words for step in steps] + [number for step in steps for c in step.checks for number in c.numbers]
    assert "in its own words" in told
    assert sum(step.state == "stopped" for step in steps) == 1
    assert standing(row("FAILED", tag))[0] != "working"


def test_the_risk_check_shows_its_numbers() -> None:
    passed = envelope(
        "RiskPassed", 1.0, "RiskPassed(use=RiskUse(pnl=-120.50, open_orders=2, orders_today=7), order=Ord…"
    )
    risk = six_steps(row("SENT_TO_BROKER"), [passed], LIMITS)[1].checks[0]
    assert risk.verdict == "passed"
    assert risk.numbers == (
        "day P&L -120.50, limit -10000",
        "order quantity 50, limit 10000",
        "open orders 2, limit 100",
        "orders today 7, limit 2000",
    )


def test_times_are_those_between_a_question_and_its_answer() -> None:
    envelopes = [envelope("PlaceOrder", 1.0), envelope("OrderAccepted", 1.25)]
    assert six_steps(row("SENT_TO_BROKER", broker_order_id="7"), envelopes, LIMITS)[3].took_ms == 250.0
    # Monotonic times of two runs cannot be compared.
    envelopes[1]["id"] = "other:1"
    assert six_steps(row("SENT_TO_BROKER", broker_order_id="7"), envelopes, LIMITS)[3].took_ms is None


def test_cancels_are_told_in_the_last_step() -> None:
    found = row("SENT_TO_BROKER", broker_order_id="7")
    found["events"].append({**found["events"][-1], "reason": "cancel unknown: timed out"})
    assert "cancel unknown: timed out" in six_steps(found, (), LIMITS)[5].lines


# Drawings.


def test_f4_a_diagram_is_well_formed_whatever_the_words_are() -> None:
    nasty = '<script>"&\u2028'
    drawn = sequence_diagram(
        [envelope(nasty, 0.0, nasty, sender=nasty, to="reply:1"), envelope("X", 0.1, outcome="dead")]
    )
    tree = ElementTree.fromstring(str(drawn))
    assert nasty in "".join(tree.itertext())
    assert not [node for node in tree.iter() if node.tag.endswith("script")]
    assert "X [dead]" in "".join(tree.itertext())


def test_a_envelope_to_oneself_is_drawn_too() -> None:
    assert "<path" in sequence_diagram([envelope("Serve", 0.0, sender="a", to="a")])


def test_the_chart_shows_the_limit_once_it_is_near() -> None:
    far = pnl_chart([(0.0, Decimal(0)), (5.0, Decimal(-100))], Decimal(10_000), ["09:15", "15:30"])
    near = pnl_chart([(0.0, Decimal(0)), (5.0, Decimal(-6000))], Decimal(10_000), ["09:15", "15:30"])
    assert "limit" not in "".join(ElementTree.fromstring(str(far)).itertext())
    assert "limit -10,000" in "".join(ElementTree.fromstring(str(near)).itertext())
    assert pnl_chart([(0.0, Decimal(0))], Decimal(1), ["x"]) == ""
    assert re.search("nan|inf", str(pnl_chart([(1.0, Decimal(0)), (1.0, Decimal(0))], Decimal(0), ["a", "b"]))) is None


# Figures.


def test_latencies_are_those_of_each_stretch() -> None:
    def times(
        number: int, kind: str, sent: float, command: str | None = "c", cause: str | None = None
    ) -> EnvelopeTimes:
        return EnvelopeTimes(f"l{number}", cause, command, kind, "to", sent, sent, sent)

    found = {
        one.name: one
        for one in latencies(
            [
                times(1, "SubmitOrder", 0.0, None),
                times(2, "RegisterOrder", 0.001, cause="l1"),
                times(3, "OrderRegistered", 0.003),
                times(4, "CheckRisk", 0.0031),
                times(5, "RiskPassed", 0.0032),
                times(6, "PlaceOrder", 0.005),
                times(7, "OrderAccepted", 0.009),
                times(8, "CheckRisk", 1.0, "other"),
            ]
        )
    }
    assert found["1 Register"].p50_ms == pytest.approx(2.0)
    assert found["4 Execute"].p50_ms == pytest.approx(4.0)
    assert found["Submit to broker"].p99_ms == pytest.approx(5.0)
    assert found["2A Risk"].count == 1
    assert "2B Guard" not in found


def test_uses_are_bounded_and_unknown_is_not_zero() -> None:
    assert [use.used for use in uses(None, LIMITS)][:2] == ["not known", "not known"]
    assert all(use.share is None for use in uses(None, LIMITS))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1234567.5", "12,34,567.50"), ("-100", "-100.00"), ("999", "999.00"), ("100000", "1,00,000.00"), ("0", "0.00")],
)
def test_money_is_grouped_as_in_india(value: str, text: str) -> None:
    assert rupees(Decimal(value)) == text


def test_prices_keep_what_they_have() -> None:
    assert [price(value) for value in ("1500", "1500.1000", "76.2525", None)] == [
        "1500.00",
        "1500.10",
        "76.2525",
        "\u2013",
    ]
    assert [signed(value) for value in (5, -5, 0, None)] == ["+5", "-5", "0", "\u2013"]
