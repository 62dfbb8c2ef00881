"""The live page of the paper exchange, rendered here and escaped here; the browser only shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from core.paper.page_forms import command_forms, fault_forms, row_button, switch_forms

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
<title>Paper exchange</title>
</head>
<body>
<header>
<h1>Paper exchange</h1>
<p>{links} <span id="link" role="status"></span></p>
<nav>{contents}</nav>
<p id="said" role="status"></p>
</header>
<main>
<div id="live">
{live}</div>
{forms}</main>
<script src="/page.js"></script>
</body>
</html>
"""

_SECTIONS = {
    "positions": "Positions",
    "orders": "Orders",
    "prices": "Prices",
    "books": "Order books",
    "accounts": "Accounts",
    "sockets": "Sockets",
    "faults": "Faults at work",
}
"""The lists of a snapshot in the order they are shown."""

_LABELS = {
    "change_pct": "change %",
    "norenordno": "order",
    "netqty": "net",
    "netavg": "average",
    "urmtom": "unrealised",
}


def render_page(snapshot: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        snapshot: What `Exchange.snapshot` returned.
        links: Name and URL of the faces to point a client at.
    """
    shown = " &middot; ".join(f"{escape(name)} <code>{escape(url)}</code>" for name, url in links.items())
    switches = snapshot.get("switches") or {}
    values = {name: value for name, value in switches.items() if not isinstance(value, bool)}
    forms = {
        "make-fault": ("Make a fault", fault_forms()),
        "commands": ("Commands", command_forms()),
        "values": ("Settings with a value", switch_forms(values)),
    }
    titles = {**_SECTIONS, "switches": "Switches"} | {name: title for name, (title, _) in forms.items()}
    return _PAGE.format(
        links=shown,
        contents=" ".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in titles.items()),
        live=render_live(snapshot),
        forms="".join(_section(name, title, content) for name, (title, content) in forms.items()),
    )


def render_live(snapshot: Mapping[str, Any]) -> str:
    """The part of the page that changes."""
    facts = {"day": snapshot.get("day"), "time": str(snapshot.get("now", ""))[11:19], "prices": snapshot.get("source")}
    facts |= snapshot.get("counters") or {}
    parts = [_facts(facts)]
    for name, title in _SECTIONS.items():
        rows = snapshot.get(name) or []
        content = _book(rows) if name == "books" else _table(rows, _BUTTONS.get(name))
        parts.append(_section(name, title, content))
    switches = [{"switch": name, "value": value} for name, value in (snapshot.get("switches") or {}).items()]
    parts.append(_section("switches", "Switches", _table(switches, _switch_button)))
    return "".join(parts)


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>\n{content}</section>\n'


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<div><dt>{_label(name)}</dt> <dd>{_cell(value)}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>\n'


def _order_buttons(order: Mapping[str, Any]) -> str:
    number = {"norenordno": str(order.get("norenordno", ""))}
    if order.get("status") == "CANCELED":
        return row_button("late_fill", "Fill late", number)
    if order.get("status") in {"COMPLETE", "REJECTED"}:
        return ""
    return row_button("cancel_order", "Cancel", number) + row_button("fill_order", "Fill", number)


def _fault_button(fault: Mapping[str, Any]) -> str:
    return row_button("remove_fault", "Remove", {"id": str(fault.get("id", ""))})


def _switch_button(switch: Mapping[str, Any]) -> str:
    name, value = str(switch.get("switch")), switch.get("value")
    if not isinstance(value, bool):
        return ""
    return row_button("set_switch", "Turn off" if value else "Turn on", {"name": name, "value": str(not value).lower()})


_Buttons = Callable[[Mapping[str, Any]], str]
_BUTTONS: dict[str, _Buttons] = {"orders": _order_buttons, "faults": _fault_button}


def _table(rows: Sequence[Mapping[str, Any]], buttons: _Buttons | None = None) -> str:
    """A table of rows that need not all have the same columns, with what can be done to each."""
    if not rows:
        return '<p class="none">none</p>\n'
    columns = list(dict.fromkeys(name for row in rows for name in row))
    # What can be done comes first: on a phone the end of a row is out of sight.
    head = "".join(f'<th scope="col">{_label(name)}</th>' for name in (*([""] if buttons else []), *columns))
    body = "".join(f"<tr>{_actions(row, buttons)}{_cells(row, columns)}</tr>\n" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n'


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    return "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns)


def _actions(row: Mapping[str, Any], buttons: _Buttons | None) -> str:
    return f"<td>{buttons(row)}</td>" if buttons else ""


def _book(books: Iterable[Mapping[str, Any]]) -> str:
    """Each book as one row a level: what is bid on the left, what is asked on the right."""
    rows = []
    for book in books:
        bids, asks = book.get("bids") or [], book.get("asks") or []
        for level in range(max(len(bids), len(asks))):
            bid = bids[level] if level < len(bids) else ("", "")
            ask = asks[level] if level < len(asks) else ("", "")
            name = f"{book.get('exch')} {book.get('tsym')}" if level == 0 else ""
            rows.append({"instrument": name, "bid qty": bid[1], "bid": bid[0], "ask": ask[0], "ask qty": ask[1]})
    return _table(rows)


def _label(name: str) -> str:
    return escape(_LABELS.get(name, name.replace("_", " ")))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name}={item}" for name, item in value.items()))
    if isinstance(value, list | tuple):
        return escape(", ".join(str(item) for item in value))
    return escape(str(value))
