"""An order's way through the six steps, from its row and its envelopes: what was checked, said and done, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.model.order import NEVER_AT_BROKER, Tag
from core.settings import RiskSettings

__all__ = ["Check", "Step", "six_steps"]

Row = Mapping[str, Any]

DONE, NOW, STOPPED, WAITING, SKIPPED = "done", "now", "stopped", "waiting", "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: passed, blocked or not reached, with its numbers in words."""

    name: str
    verdict: str
    numbers: tuple[str, ...] = ()


@dataclass(slots=True)
class Step:
    """One of the six. `state` is done, now, stopped, waiting or skipped; `took_ms` is how long it took."""

    number: int
    title: str
    state: str
    at: str | None = None
    took_ms: float | None = None
    lines: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    words: str | None = None


_REFUSED_AT_THE_DOOR = frozenset({Tag.VALIDATION_FAILED, Tag.SERVICE_NOT_READY})
_ANSWERS = ("OrderAccepted", "OrderRefused", "OrderNotSent", "OrderOutcomeUnknown")


def six_steps(row: Row, envelopes: Sequence[Row], limits: RiskSettings) -> list[Step]:
    """The steps of one order.

    Args:
        row: The row with its `events` and `fills`.
        envelopes: Its envelopes in words, oldest first; where there are none any more, the events tell less.
        limits: What the risk check holds an order against.
    """
    way = _Way(row, envelopes)
    return [_register(way), _block(way, limits), _mark(way), _execute(way), _result(way), _watch(way)]


class _Way:
    """The row and its envelopes, looked up by name."""

    def __init__(self, row: Row, envelopes: Sequence[Row]) -> None:
        self.row = row
        self.events: Sequence[Row] = row["events"]
        self.fills: Sequence[Row] = row["fills"]
        self.failed = row["status"] == "FAILED"
        self.tag = Tag(row["tag"]) if row["tag"] else None
        self.sent = next((event for event in self.events if event["to_status"] == "SENT_TO_BROKER"), None)
        self.at_door = self.failed and self.tag in _REFUSED_AT_THE_DOOR and self.sent is None
        self._envelopes = {envelope["type"]: envelope for envelope in envelopes}

    def envelope(self, *types: str) -> Row | None:
        """The last envelope of one of these types."""
        return next((self._envelopes[kind] for kind in types if kind in self._envelopes), None)

    def took(self, asked: str, *answers: str) -> float | None:
        """Milliseconds between a question and its answer."""
        first, last = self.envelope(asked), self.envelope(*answers)
        if first is None or last is None or first["id"].partition(":")[0] != last["id"].partition(":")[0]:
            return None
        return float(last["sent_at"] - first["sent_at"]) * 1000


def _register(way: _Way) -> Step:
    row = way.row
    step = Step(1, "Register", STOPPED if way.at_door else DONE, row["created_at"])
    step.took_ms = way.took("RegisterOrder", "OrderRegistered")
    step.lines.append(f"from {str(row['source']).lower()}, as {row['command_id']}")
    if row.get("idempotency_key"):
        step.lines.append(f"key {row['idempotency_key']}")
    if way.at_door:
        step.words = row["reason"]
    return step


# Blockers


def _block(way: _Way, limits: RiskSettings) -> Step:
    checks = [_risk(way, limits), _guard(way), _duplicate(way)]
    step = Step(2, "Blockers", WAITING, checks=checks)
    blocked = any(check.verdict == "blocked" for check in checks)
    if way.sent is not None:
        step.state = DONE
    elif way.at_door:
        step.state = SKIPPED
    elif way.failed:
        step.state = STOPPED
        step.words = None if blocked else way.row["reason"]
    else:
        step.state = NOW
    answer = way.envelope("GuardPassed", "GuardBlocked", "RiskBlocked")
    step.at = answer["at"] if answer is not None else None
    step.took_ms = way.took("CheckRisk", "GuardPassed", "GuardBlocked", "RiskBlocked")
    return step


def _risk(way: _Way, limits: RiskSettings) -> Check:
    if way.envelope("RiskBlocked") is not None or (way.tag is Tag.RISK_LIMITS_EXCEEDED and way.sent is None):
        return Check("Risk limits", "blocked", (str(way.row["reason"]),))
    passed = way.envelope("RiskPassed")
    if passed is None:
        return Check("Risk limits", "passed" if way.sent is not None else "not reached")
    if way.row["execution_type"] == "EXIT":
        return Check("Risk limits", "passed", ("an EXIT always passes",))
    use = dict(_FIGURE.findall(passed["text"]))
    numbers = [_against("order quantity", way.row["quantity"], limits.max_order_quantity)]
    if "pnl" in use:
        numbers.insert(0, _against("day P&L", use["pnl"], -limits.max_daily_loss))
        numbers.append(_against("open orders", use["open_orders"], limits.max_open_orders))
        numbers.append(_against("orders today", use["orders_today"], limits.max_orders_per_day))
    return Check("Risk limits", "passed", tuple(numbers))


_FIGURE = re.compile(r"\b(pnl|open_orders|orders_today)=(-?[0-9.]+)")


def _against(what: str, used: object, limit: object) -> str:
    return f"{what} {used}, limit {limit}" if limit else f"{what} {used}, no limit"


def _guard(way: _Way) -> Check:
    if way.envelope("GuardBlocked") is not None or way.tag in (
        Tag.EXECUTION_GUARD_BLOCKED,
        Tag.POSITION_ALREADY_FLAT,
    ):
        return Check("Execution guard", "blocked", (str(way.row["reason"]),))
    if way.sent is None and way.envelope("GuardPassed") is None:
        return Check("Execution guard", "not reached")
    numbers = [f"reserved {way.row['side']} {way.row['quantity']} {way.row['symbol']} {way.row['product']}"]
    if way.sent is not None and way.sent["reason"]:
        numbers.append(str(way.sent["reason"]))
    return Check("Execution guard", "passed", tuple(numbers))


def _duplicate(way: _Way) -> Check:
    if way.tag is Tag.DUPLICATE_ORDER_BLOCKED:
        return Check("Duplicates", "blocked", (str(way.row["reason"]),))
    if way.sent is None:
        return Check("Duplicates", "not reached")
    return Check("Duplicates", "passed", (f"no other open order of {way.row['strategy']} in {way.row['symbol']}",))


# The way to the broker


def _mark(way: _Way) -> Step:
    if way.sent is None:
        return Step(3, "Mark", SKIPPED if way.failed else WAITING)
    step = Step(3, "Mark", DONE, way.sent["at"], way.took("MarkSent", "OrderMarkedSent"))
    step.lines.append("SENT_TO_BROKER is on disk; only now may the broker be called")
    return step


def _execute(way: _Way) -> Step:
    answer = way.envelope(*_ANSWERS)
    step = Step(4, "Execute", SKIPPED if way.sent is None and way.failed else WAITING)
    if way.sent is None:
        return step
    step.state = NOW if answer is None and not _has_outcome(way) else DONE
    step.took_ms = way.took("PlaceOrder", *_ANSWERS)
    call = way.envelope("PlaceOrder")
    step.at = call["at"] if call is not None else None
    if way.failed and way.tag in NEVER_AT_BROKER:
        step.state = STOPPED
        step.words = way.row["reason"]
    else:
        step.lines.append(f"sent with remarks {way.row['command_id']}, by which the broker's book is searched")
        step.lines += [str(event["reason"]) for event in way.events if "sent as " in str(event["reason"])]
    return step


def _has_outcome(way: _Way) -> bool:
    return bool(way.row["broker_order_id"] or way.row["unknown"] or way.failed)


def _result(way: _Way) -> Step:
    row = way.row
    step = Step(5, "Result", WAITING)
    if way.sent is None or (way.failed and way.tag in NEVER_AT_BROKER):
        step.state = SKIPPED if way.failed else WAITING
    elif row["broker_order_id"]:
        step.state = DONE
        step.lines.append(f"accepted: broker order {row['broker_order_id']}")
        named = next((e for e in way.events if row["broker_order_id"] in str(e["reason"] or "")), None)
        step.at = named["at"] if named is not None else None
    elif row["unknown"]:
        step.state = NOW
        step.words = row["reason"]
        step.lines.append("the outcome is not known; the broker's order book decides, nothing is sent again")
    elif way.failed:
        step.state = STOPPED
        step.at = row["updated_at"]
        step.words = row["reason"]
    return step


def _watch(way: _Way) -> Step:
    row = way.row
    step = Step(6, "Watch", WAITING)
    if row["broker_order_id"] is None and not row["unknown"]:
        step.state = SKIPPED if way.failed else WAITING
        return step
    step.lines += [f"{fill['quantity']} at {fill['price']}" for fill in way.fills[-20:]]
    if row["status"] == "EXECUTED":
        step.state = DONE
    elif way.failed:
        step.state = STOPPED
        step.words = row["reason"]
    else:
        step.state = NOW
    step.lines += _changes(way.events)
    step.at = row["updated_at"] if step.state in (DONE, STOPPED) else None
    if not step.lines and step.state == NOW:
        step.lines.append("the order book is read each second")
    return step


def _changes(events: Iterable[Row]) -> list[str]:
    return [str(event["reason"]) for event in events if str(event["reason"] or "").startswith(("cancel ", "modif"))]
