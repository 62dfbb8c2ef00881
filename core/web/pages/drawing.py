"""Drawings made on the server: the sequence diagram of an order's envelopes, and the day's P&L. Plain SVG, no script.

Colours come from classes of the style sheet, so that both follow the browser's dark or light scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

__all__ = ["pnl_chart", "sequence_diagram"]

_COLUMN = 152
_ROW = 30
_HEAD = 44
_MOST_LETTERS = 150
_CALLER = "caller"


def sequence_diagram(envelopes: Sequence[Mapping[str, Any]]) -> Markup:
    """The envelopes as a sequence diagram: one column an actor, one arrow an envelope, top to bottom in time.

    Args:
        envelopes: `TraceRecord`s as mappings, in the order they were sent.
    """
    if not envelopes:
        return Markup("")
    shown = list(envelopes[:_MOST_LETTERS])
    names = list(dict.fromkeys(name for envelope in shown for name in (_who(envelope["sender"]), _who(envelope["to"]))))
    place = {name: _COLUMN // 2 + index * _COLUMN for index, name in enumerate(names)}
    width, height = _COLUMN * len(names), _HEAD + _ROW * len(shown) + 16
    parts = [
        f'<svg class="sequence" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="Sequence diagram of {len(shown)} messages">{_ARROWS}'
    ]
    for name, x in place.items():
        parts.append(f'<line class="life" x1="{x}" y1="{_HEAD - 8}" x2="{x}" y2="{height - 6}"/>')
        parts.append(f'<rect class="head" x="{x - 68}" y="6" width="136" height="28" rx="6"/>')
        parts.append(f'<text class="name" x="{x}" y="24" text-anchor="middle">{escape(_title(name))}</text>')
    first = shown[0]
    for index, envelope in enumerate(shown):
        parts.append(_arrow(envelope, first, place, _HEAD + _ROW * index + 20))
    parts.append("</svg>")
    # Every text above went through escape(); numbers and class names are ours.
    return Markup("".join(parts))


_ARROWS = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0,0 L8,4 L0,8 z"/></marker><marker id="tip-bad" viewBox="0 0 8 8" refX="7" refY="4" '
    'markerWidth="7" markerHeight="7" orient="auto"><path class="tip bad" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
)


def _arrow(envelope: Mapping[str, Any], first: Mapping[str, Any], place: Mapping[str, int], y: int) -> str:
    start, end = place[_who(envelope["sender"])], place[_who(envelope["to"])]
    good = envelope["outcome"] == "done"
    kind = "" if good else " bad"
    tip = "tip" if good else "tip-bad"
    note = "" if good else f" [{envelope['outcome']}]"
    told = f"<title>{escape(envelope['text'])}</title>"
    label = escape(f"{envelope['type']}{note}")
    since = escape(_elapsed(envelope, first))
    if start == end:
        path = f"M{start},{y - 6} h26 v10 h-24"
        shape = f'<path class="arrow{kind}" d="{path}" marker-end="url(#{tip})"/>'
        text = (
            f'<text class="label{kind}" x="{start + 32}" y="{y + 2}">{label} <tspan class="when">{since}</tspan></text>'
        )
    else:
        inset = 2 if end > start else -2
        shape = (
            f'<line class="arrow{kind}" x1="{start}" y1="{y}" x2="{end - inset}" y2="{y}" marker-end="url(#{tip})"/>'
        )
        # Over the column next to the sender, so that a long arrow's label stands where it begins.
        middle = start + (_COLUMN // 2 if end > start else -_COLUMN // 2)
        text = (
            f'<text class="label{kind}" x="{middle}" y="{y - 5}" text-anchor="middle">{label} '
            f'<tspan class="when">{since}</tspan></text>'
        )
    return f"<g>{told}{shape}{text}</g>"


def _who(name: object) -> str:
    return _CALLER if str(name).startswith("reply:") or name == "edge" else str(name)


def _title(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}\u2026"


def _elapsed(envelope: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    if envelope["id"].partition(":")[0] != first["id"].partition(":")[0]:
        return "later run"
    seconds = float(envelope["sent_at"]) - float(first["sent_at"])
    return f"+{seconds * 1000:.1f} ms" if seconds < 10 else f"+{seconds:.0f} s"


# The day's P&L


_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 200, 74, 24, 12


def pnl_chart(points: Sequence[tuple[float, Decimal]], limit: Decimal, clock: Sequence[str]) -> Markup:
    """The day's P&L over time, with the limit it is held against.

    Args:
        points: Seconds and rupees, oldest first.
        limit: The daily loss limit in rupees, positive; 0 for none.
        clock: What stands under the first and the last point.
    """
    if len(points) < 2:
        return Markup("")
    values = [float(value) for _, value in points]
    low, high = min(0.0, *values), max(0.0, *values)
    # The limit is drawn once the P&L is half way to it: a line far away would press the curve flat.
    with_limit = bool(limit) and low <= -float(limit) / 2
    low = min(low, -float(limit)) if with_limit else low
    room = (high - low or 1.0) * 0.08
    low, high = low - room, high + room
    begin, end = points[0][0], points[-1][0]

    def x(at: float) -> float:
        return _LEFT + (at - begin) / ((end - begin) or 1.0) * (_WIDTH - _LEFT - 10)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    line = " ".join(f"{x(at):.1f},{y(float(value)):.1f}" for at, value in points)
    last = values[-1]
    mood = "up" if last >= 0 else "down"
    zero = y(0)
    below = _HEIGHT - zero
    area = f"{x(begin):.1f},{zero:.1f} {line} {x(end):.1f},{zero:.1f}"
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Day P&amp;L, now {last:,.2f}">',
        f'<line class="zero" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{zero:.1f}" y2="{zero:.1f}"/>',
        # What is above zero is a gain and what is below a loss, whatever the day was before or is now.
        f'<clipPath id="gain"><rect x="0" y="0" width="{_WIDTH}" height="{zero:.1f}"/></clipPath>',
        f'<clipPath id="loss"><rect x="0" y="{zero:.1f}" width="{_WIDTH}" height="{below:.1f}"/></clipPath>',
        *(
            f'<g clip-path="url(#{part})"><polygon class="area {side}" points="{area}"/>'
            f'<polyline class="line {side}" points="{line}"/></g>'
            for part, side in (("gain", "up"), ("loss", "down"))
        ),
        f'<circle class="dot {mood}" cx="{x(end):.1f}" cy="{y(last):.1f}" r="3.5"/>',
    ]
    # One value on the scale for each height: two that would stand on each other are one.
    marks: list[float] = []
    for value in (0.0, max(values), min(values)):
        if all(abs(y(value) - y(other)) > 20 for other in marks):
            marks.append(value)
            parts.append(f'<text class="scale" x="{_LEFT - 8}" y="{y(value) + 4:.1f}">{value:,.0f}</text>')
    if with_limit:
        level = y(-float(limit))
        parts.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(f'<text class="limit-text" x="{_WIDTH - 12}" y="{level - 5:.1f}">limit -{limit:,.0f}</text>')
    parts.append(f'<text class="scale start" x="{_LEFT}" y="{_HEIGHT - 6}">{escape(clock[0])}</text>')
    parts.append(f'<text class="scale" x="{_WIDTH - 10}" y="{_HEIGHT - 6}">{escape(clock[-1])}</text></svg>')
    return Markup("".join(parts))
