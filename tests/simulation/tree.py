"""Law 10: from an order's first message to its last there is one connected tree, in each process that dealt with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.messages import Alert, GetMissedFills, OpenOrders, OrderAnswer
from core.messages.envelope import Envelope
from core.runtime.trace import TraceEntry
from tests.simulation.books import Amiss

__all__ = ["broken_trees"]


def broken_trees(entries: Iterable[TraceEntry], in_hand: Iterable[Envelope]) -> Iterator[Amiss]:
    """The commands whose envelopes do not hang together.

    An envelope from outside, such as a person's wish to cancel, begins a tree too.

    Args:
        entries: The whole trace.
        in_hand: Envelopes that left their sender and were not over when their process ended.
    """
    envelopes = {entry[0].id: entry[0] for entry in entries}
    envelopes.update((envelope.id, envelope) for envelope in in_hand)
    roots: dict[tuple[str, str], list[Envelope]] = {}
    for envelope in envelopes.values():
        command, cause = envelope.correlation_id, envelope.causation_id
        if cause is not None and cause not in envelopes:
            yield "10", f"{_named(envelope)} was caused by {cause}, which is not in the trace"
        if command is None or (cause is not None and _command(envelopes, cause) == command):
            continue
        if cause is not None and not _begins_anew(envelope, envelopes.get(cause)):
            roots.setdefault((envelope.id.partition(":")[0], command), []).append(envelope)
    for (run, command), found in roots.items():
        causes = {envelope.causation_id for envelope in found}
        if len(causes) > 1:
            told = "; ".join(_named(envelope) for envelope in found[:4])
            yield "10", f"{command} in run {run} has {len(causes)} beginnings: {told}"


def _begins_anew(envelope: Envelope, cause: Envelope | None) -> bool:
    """Whether an envelope may stand at the top of a tree of its own.

    What an actor learns of an order when it starts, or rebuilds its state, is a beginning. A repeated submission is
    answered with the first one's order, and the answer hangs below the repetition; so does the word to a person that
    the key of another order came again.
    """
    message = envelope.message
    returned = cause is not None and isinstance(cause.message, OpenOrders | GetMissedFills)
    key_came_again = isinstance(message, Alert) and message.kind == "key_reused"
    return returned or key_came_again or isinstance(message, OrderAnswer)


def _command(envelopes: dict[str, Envelope], envelope_id: str) -> str | None:
    envelope = envelopes.get(envelope_id)
    return None if envelope is None else envelope.correlation_id


def _named(envelope: Envelope) -> str:
    kind = type(envelope.message).__name__
    return f"{kind} {envelope.id} from {envelope.sender} to {envelope.to} (cause {envelope.causation_id})"
