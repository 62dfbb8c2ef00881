"""The envelopes of a command as a tree, as text and as a sequence diagram."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from core.runtime.trace import TraceRecord, in_order

__all__ = ["TraceNode", "causal_tree", "mermaid", "tree_text"]


@dataclass(slots=True)
class TraceNode:
    """An envelope and the envelopes it caused."""

    record: TraceRecord
    by_cause: bool = True
    """False: its cause is no envelope of this command (a tick, a poll that found many orders), so it hangs below the
    command's envelope sent last before it."""

    children: list[TraceNode] = field(default_factory=list)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, TraceNode]]:
        """This node and all below it, with their depth, parents first."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


def causal_tree(records: Collection[TraceRecord]) -> TraceNode | None:
    """One connected tree of a command's envelopes, rooted in the first; None if there are none.

    Args:
        records: envelopes of one command, in any order.
    """
    ordered = in_order(records)
    nodes = {record.id: TraceNode(record) for record in ordered}
    previous: TraceNode | None = None
    root: TraceNode | None = None
    for record in ordered:
        node = nodes[record.id]
        parent = nodes.get(record.cause) if record.cause is not None else None
        if parent is None and previous is not None:
            node.by_cause = False
            parent = previous
        if parent is None:
            root = node
        else:
            parent.children.append(node)
        previous = node
    return root


def tree_text(records: Collection[TraceRecord], zone: tzinfo = UTC) -> str:
    """The tree as indented lines; times are milliseconds since the first envelope, which is told in `zone`."""
    root = causal_tree(records)
    if root is None:
        return "no envelopes"
    began = datetime.fromisoformat(root.record.at).astimezone(zone).replace(tzinfo=None)
    lines = [f"{root.record.command or '-'} from {began.isoformat(' ', 'milliseconds')}"]
    for depth, node in root.walk():
        record = node.record
        mark = "" if depth == 0 else ("└ " if node.by_cause else "┆ ")
        lines.append(
            f"{_elapsed(root.record, record):>12}  {'  ' * depth}{mark}{record.sender} → {record.to}: {record.text}"
            f"  [{_timing(record)}]"
        )
    return "\n".join(lines)


def mermaid(records: Collection[TraceRecord]) -> str:
    """The envelopes as a Mermaid sequence diagram, in the order they were sent."""
    ordered = in_order(records)
    aliases = _aliases(ordered)
    lines = ["sequenceDiagram"]
    lines += [f"    participant {alias} as {_plain(name)}" for name, alias in aliases.items()]
    for record in ordered:
        arrow = "->>" if record.outcome == "done" else "-x"
        note = "" if record.outcome == "done" else f" [{record.outcome}]"
        elapsed = _elapsed(ordered[0], record)
        lines.append(f"    {aliases[record.sender]}{arrow}{aliases[record.to]}: {record.type} {elapsed}{note}")
    return "\n".join(lines) + "\n"


def _elapsed(first: TraceRecord, record: TraceRecord) -> str:
    if record.run == first.run:
        seconds = record.sent_at - first.sent_at
    else:
        # Monotonic times of two runs cannot be compared.
        seconds = (datetime.fromisoformat(record.at) - datetime.fromisoformat(first.at)).total_seconds()
    return f"+{seconds * 1000:.3f} ms"


def _timing(record: TraceRecord) -> str:
    if record.taken_at is None:
        return record.outcome
    waited = (record.taken_at - record.sent_at) * 1000
    took = (record.done_at - record.taken_at) * 1000
    return f"{record.outcome}, waited {waited:.3f} ms, took {took:.3f} ms"


def _aliases(records: Sequence[TraceRecord]) -> dict[str, str]:
    names = dict.fromkeys(name for record in records for name in (record.sender, record.to))
    return {name: f"p{number}" for number, name in enumerate(names)}


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_. " else " " for c in name)
