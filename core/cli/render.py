"""Answers of the service as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from core.model.order import TAGS
from core.runtime.trace import TraceRecord
from core.runtime.trace_view import mermaid, tree_text

__all__ = [
    "answer_text",
    "as_json",
    "guard_text",
    "halt_text",
    "on_one_line",
    "order_text",
    "orders_text",
    "pairs_text",
    "positions_text",
    "risk_text",
    "square_off_text",
    "table",
    "tags_markdown",
    "tags_text",
    "trace_text",
]


def as_json(value: object) -> str:
    """JSON for programs; ASCII, so that nothing in it can steer a terminal."""
    return json.dumps(value, indent=2, ensure_ascii=True)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under their names."""
    lines = [tuple(head), *(tuple(on_one_line(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [[f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def pairs_text(pairs: Mapping[str, object]) -> str:
    """Names and values, one pair a line."""
    width = max((len(name) for name in pairs), default=0)
    return "\n".join(f"{name:<{width}}  {on_one_line(value)}" for name, value in pairs.items())


def answer_text(answer: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """What became of a submission."""
    legs = [answer] if isinstance(answer, Mapping) else answer
    return "\n\n".join(pairs_text({name: value for name, value in leg.items() if value is not None}) for leg in legs)


def orders_text(rows: Sequence[Mapping[str, Any]], zone: tzinfo) -> str:
    """Rows as a table, newest first."""
    if not rows:
        return "no orders"
    head = ("command id", "at", "strategy", "for", "order", "filled", "average", "status", "tag", "broker order id")
    return table(head, [_order_line(row, zone) for row in rows])


def order_text(row: Mapping[str, Any], zone: tzinfo) -> str:
    """One row, its events and fills."""
    facts = {name: value for name, value in row.items() if name not in ("events", "fills") and value is not None}
    facts |= {name: _clock(facts[name], zone) for name in ("created_at", "updated_at", "deadline") if name in facts}
    parts = [pairs_text(facts)]
    for title, head in (
        ("events", ("at", "from_status", "to_status", "tag", "reason")),
        ("fills", ("at", "quantity", "price", "broker_trade_id")),
    ):
        lines = row.get(title) or ()
        if lines:
            cells = [[_clock(line.get("at"), zone), *(line.get(name) for name in head[1:])] for line in lines]
            parts.append(f"{title}\n{table(head, cells)}")
    return "\n\n".join(parts)


def trace_text(envelopes: Sequence[Mapping[str, Any]], zone: tzinfo, *, as_mermaid: bool) -> str:
    """The envelopes of an order as a tree, or as a Mermaid sequence diagram."""
    records = [TraceRecord(**envelope) for envelope in envelopes]
    return mermaid(records).rstrip() if as_mermaid else tree_text(records, zone)


def positions_text(found: Mapping[str, Any], zone: tzinfo) -> str:
    """The account's positions and whose they are."""
    at = _clock(found["read_at"], zone)
    if not found["positions"]:
        return f"no positions at {at}"
    names = ("symbol", "product", "net_quantity", "average_price", "last_price", "realised", "unrealised")
    lines = [
        [line[name] for name in names]
        + [", ".join(f"{one['strategy']} {one['held']:+d}" for one in line["strategies"]), line["unattributed"]]
        for line in found["positions"]
    ]
    head = ("symbol", "product", "net", "average", "last", "realised", "unrealised", "strategies", "unattributed")
    return f"{table(head, lines)}\n\nread at {at}"


def guard_text(found: Mapping[str, Any], zone: tzinfo) -> str:
    """What strategies hold, and where the broker says something else."""
    head = ("strategy", "exchange", "symbol", "product", "held", "reserved", "basket")
    lines = [[line[name] for name in head] for line in found["lines"]]
    parts = [table(head, lines) if lines else "strategies hold nothing"]
    names = ("exchange", "symbol", "product", "broker", "held", "unattributed")
    different = [[line[name] for name in names] for line in found["differences"]]
    if different:
        parts.append(table(names, different))
    reconciled = found["reconciled_at"]
    parts.append(f"reconciled with the broker: {_clock(reconciled, zone) if reconciled else 'not yet'}")
    return "\n\n".join(parts)


def square_off_text(found: Mapping[str, Any]) -> str:
    """What a square-off began, and what it leaves."""
    head = ("strategy", "side", "quantity", "symbol", "product")
    exits, cancels = found["exits"], found.get("cancels", ())
    begun = table(head, [[line[name] for name in head] for line in exits]) if exits else ""
    if cancels:
        begun += f"\ncancelled first, exits follow where something is held: {', '.join(cancels)}"
    left = [f"not touched: {one['quantity']:+d} {one['symbol']}: {one['why']}" for one in found.get("not_touched", ())]
    return "\n".join([begun.strip("\n") or "nothing to exit that is not being exited already", *left])


def halt_text(found: Mapping[str, Any], zone: tzinfo) -> str:
    """Whether trading is halted, why and by whom."""
    halt = found["halt"]
    if not halt:
        return "trading is on"
    before = "halted already; " if found.get("halted_before") else ""
    unrecorded = "" if found.get("recorded", True) else "; not recorded yet: the database cannot be written"
    working = found.get("still_open", [])
    still_open = f"; still open at the broker and not cancelled: {', '.join(working)}" if working else ""
    return f"{before}halted: {_halt(halt, zone)}{unrecorded}{still_open}"


def risk_text(found: Mapping[str, Any], zone: tzinfo) -> str:
    """Limits, their use, and whether an ENTRY would pass."""
    halt, breach = found["halt"], found["breach"]
    limits = {name: f"{value}" for name, value in found["limits"].items()}
    facts = {
        "trading day": found["trading_day"],
        "day P&L": found["pnl"] if found["pnl"] is not None else "not known",
        "halted": _halt(halt, zone) if halt else "no",
        "daily limit reached": f"P&L {breach['pnl']}, limit {breach['limit']}" if breach else "no",
        "open orders": f"{found['open_orders']} of {limits['max_open_orders']}",
        "orders today": f"{found['orders_today']} of {limits['max_orders_per_day']}",
        **{
            f"losses of {run['strategy']}": f"{run['losses']} in a row, {_cooldown(run['cooldown_until'], zone)}"
            for run in found["loss_runs"]
        },
        "an ENTRY now": f"would be refused: {found['entry_blocked']}" if found["entry_blocked"] else "would pass",
    }
    return f"{pairs_text(facts)}\n\n{pairs_text(limits)}"


def tags_text() -> str:
    """Every tag, what it means and what to do."""
    return "\n\n".join(f"{tag}\n  {note.meaning}\n  {note.next_step}" for tag, note in TAGS.items())


def tags_markdown() -> str:
    """The table of tags as docs show it."""
    lines = [f"| {tag} | {note.meaning} | {note.next_step} |" for tag, note in TAGS.items()]
    return "\n".join(["| tag | meaning | what to do |", "|---|---|---|", *lines])


def _order_line(row: Mapping[str, Any], zone: tzinfo) -> list[object]:
    price = row.get("price") or row.get("order_type")
    unknown = " (outcome unknown)" if row.get("unknown") else ""
    return [
        row.get("command_id"),
        _clock(row.get("created_at"), zone),
        row.get("strategy"),
        row.get("execution_type"),
        f"{row.get('side') or '-'} {row.get('quantity') or '-'} {row.get('symbol') or '-'} at {price or '-'}",
        row.get("filled_quantity"),
        row.get("average_price"),
        f"{row.get('status')}{unknown}",
        row.get("tag"),
        row.get("broker_order_id"),
    ]


def _halt(halt: Mapping[str, Any], zone: tzinfo) -> str:
    return on_one_line(f"{halt['reason']} (by {halt['by']} at {_clock(halt['at'], zone)})")


def _cooldown(until: object, zone: tzinfo) -> str:
    return f"cooldown until {_clock(until, zone)}" if until else "no cooldown"


def _clock(at: object, zone: tzinfo) -> str:
    try:
        return f"{datetime.fromisoformat(str(at)).astimezone(zone):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return on_one_line(at)


def on_one_line(value: object) -> str:
    """Text that stays on its line: a broker's words may hold anything (scenario F4)."""
    if value is None:
        return "-"
    return "".join(char if char.isprintable() else " " for char in str(value))
