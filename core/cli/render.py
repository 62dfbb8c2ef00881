"""Answers of the service as text for a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from core.model.order import TAGS
from core.runtime.trace import TraceRecord
from core.runtime.trace_view import mermaid, tree_text

__all__ = [
    "alerts_grid",
    "answer_text",
    "as_json",
    "grid",
    "guard_text",
    "halt_text",
    "levels_line",
    "on_one_line",
    "order_text",
    "orders_grid",
    "orders_text",
    "pairs_text",
    "positions_grid",
    "positions_text",
    "protections_text",
    "risk_text",
    "square_off_text",
    "table",
    "tags_markdown",
    "tags_text",
    "text_of",
    "trace_text",
]

_MEANING = {
    **{"EXECUTED": "green", "SENT_TO_BROKER": "yellow", "FAILED": "red"},
    **{"ok": "green", "warn": "yellow", "fail": "bold red", "CRITICAL": "bold red", "WARNING": "yellow"},
}
_MONEY = ("realised", "unrealised")
# Elsewhere than on a terminal a line is as long as it needs to be: programs cut it up.
_NO_END = 1_000_000


def as_json(value: object) -> str:
    """JSON for programs; ASCII, so that nothing in it can steer a terminal."""
    return json.dumps(value, indent=2, ensure_ascii=True)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under their names."""
    return text_of(grid(head, rows))


def grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Columns under their names, still to be drawn. The first names the row and is never cut."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(head))
    for number, name in enumerate(head):
        drawn.add_column(name, no_wrap=number == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(name, value) for name, value in zip(head, row, strict=True)))
    return drawn


def pairs_text(pairs: Mapping[str, object]) -> str:
    """Names and values, one pair a line."""
    return table(("", ""), pairs.items())


def text_of(drawn: RenderableType) -> str:
    """As lines: on a terminal as wide as it is and with colours, elsewhere plain."""
    terminal = sys.stdout.isatty()
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        width=None if terminal else _NO_END,
        highlight=False,
    )
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def answer_text(answer: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """What became of a submission."""
    legs = [answer] if isinstance(answer, Mapping) else answer
    return "\n\n".join(
        pairs_text({name: value for name, value in leg.items() if value is not None and value is not False})
        for leg in legs
    )


def orders_text(rows: Sequence[Mapping[str, Any]], zone: tzinfo) -> str:
    """Rows as a table, newest first."""
    return text_of(orders_grid(rows, zone)) if rows else "no orders"


def orders_grid(rows: Sequence[Mapping[str, Any]], zone: tzinfo) -> Table:
    """Rows as they come."""
    head = ("strategy", "for", "order", "filled", "average", "status", "tag", "broker order id")
    return grid(("command id", _in("at", zone), *head), [_order_line(row, zone) for row in rows])


def order_text(row: Mapping[str, Any], zone: tzinfo) -> str:
    """One row, its broker orders where there are several, its events and fills."""
    lists = ("broker_orders", "events", "fills")
    facts = {name: value for name, value in row.items() if name not in lists and value is not None}
    times = ("created_at", "updated_at", "deadline")
    parts = [
        pairs_text({_in(k, zone) if k in times else k: _clock(v, zone) if k in times else v for k, v in facts.items()})
    ]
    if len(slices := row.get("broker_orders") or ()) > 1:
        head = ("client_order_id", "broker_order_id", "quantity", "filled_quantity", "average_price", "status", "tag")
        parts.append(f"broker orders\n{table(head, [[line.get(name) for name in head] for line in slices])}")
    for title, names in (
        ("events", ("from_status", "to_status", "tag", "reason")),
        ("fills", ("quantity", "price", "broker_trade_id")),
    ):
        lines = row.get(title) or ()
        if lines:
            cells = [[_clock(line.get("at"), zone), *(line.get(name) for name in names)] for line in lines]
            parts.append(f"{title}\n{table((_in('at', zone), *names), cells)}")
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
    return f"{text_of(positions_grid(found))}\n\n{_in('read at', zone)} {at}"


def positions_grid(found: Mapping[str, Any]) -> Table:
    """A line for each symbol and product."""
    names = ("symbol", "product", "net_quantity", "average_price", "last_price", "realised", "unrealised")
    lines = [
        [line[name] for name in names]
        + [", ".join(f"{one['strategy']} {one['held']:+d}" for one in line["strategies"]), line["unattributed"]]
        for line in found["positions"]
    ]
    head = ("symbol", "product", "net", "average", "last", "realised", "unrealised", "strategies", "unattributed")
    return grid(head, lines)


def alerts_grid(alerts: Sequence[Mapping[str, Any]], zone: tzinfo) -> Table:
    """The alerts, newest first."""
    names = ("severity", "kind", "text")
    lines = [[_clock(one["at"], zone), *(one[name] for name in names)] for one in alerts]
    return grid((_in("at", zone), *names), lines)


def levels_line(one: Mapping[str, Any]) -> str:
    """The levels of one protection that are set."""
    return ", ".join(f"{name} {one[name]}" for name in ("stop", "trail", "target") if one[name] is not None)


def protections_text(found: Mapping[str, Any], zone: tzinfo) -> str:
    """What is protected, and what stands naked."""
    head = ("id", "strategy", "symbol", "product", "side", "state")
    lines = [[*(one[name] for name in head), levels_line(one)] for one in found["protections"]]
    bare = [one for one in found["naked"] if one["since"] is not None]
    naked = [
        f"naked: {one['strategy']} {one['held']:+d} {one['symbol']} {one['product']} "
        f"since {_clock(one['since'], zone)}, {one['seconds']:.0f} s in all"
        for one in bare
    ]
    return "\n".join([table((*head, "levels"), lines) if lines else "nothing is protected", *naked])


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


def _in(name: str, zone: tzinfo) -> str:
    """The name of a time with its zone, so that no value needs to say it."""
    return f"{name} ({datetime.fromtimestamp(0, zone):%Z})"


def _cell(name: str, value: object) -> Text:
    words = on_one_line(value)
    if name in _MONEY:
        return Text(words, "red" if words.startswith("-") else "green")
    return Text(words, _MEANING.get(words.partition(" ")[0], ""))


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
