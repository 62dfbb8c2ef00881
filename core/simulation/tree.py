"""Law 10: from an order's first message to its last there is one connected tree, in each process that dealt with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.messages import Alert, MissedFillsWanted, OpenOrders, OrderAnswer
from core.runtime.letter import Letter
from core.runtime.trace import TraceEntry
from core.simulation.books import Amiss

__all__ = ["broken_trees"]


def broken_trees(entries: Iterable[TraceEntry], in_hand: Iterable[Letter]) -> Iterator[Amiss]:
    """The commands whose letters do not hang together.

    A letter from outside, such as a person's wish to cancel, begins a tree too.

    Args:
        entries: The whole trace.
        in_hand: Letters that left their sender and were not over when their process ended.
    """
    letters = {entry[0].id: entry[0] for entry in entries}
    letters.update((letter.id, letter) for letter in in_hand)
    roots: dict[tuple[str, str], list[Letter]] = {}
    for letter in letters.values():
        command, cause = letter.correlation_id, letter.causation_id
        if cause is not None and cause not in letters:
            yield "10", f"{_named(letter)} was caused by {cause}, which is not in the trace"
        if command is None or (cause is not None and _command(letters, cause) == command):
            continue
        if cause is not None and not _begins_anew(letter, letters.get(cause)):
            roots.setdefault((letter.id.partition(":")[0], command), []).append(letter)
    for (run, command), found in roots.items():
        causes = {letter.causation_id for letter in found}
        if len(causes) > 1:
            told = "; ".join(_named(letter) for letter in found[:4])
            yield "10", f"{command} in run {run} has {len(causes)} beginnings: {told}"


def _begins_anew(letter: Letter, cause: Letter | None) -> bool:
    """Whether a letter may stand at the top of a tree of its own.

    What an actor learns of an order when it starts, or rebuilds its state, is a beginning. A repeated submission is
    answered with the first one's order, and the answer hangs below the repetition; so does the word to a person that
    the key of another order came again.
    """
    message = letter.message
    returned = cause is not None and isinstance(cause.message, OpenOrders | MissedFillsWanted)
    key_came_again = isinstance(message, Alert) and message.kind == "key_reused"
    return returned or key_came_again or isinstance(message, OrderAnswer)


def _command(letters: dict[str, Letter], letter_id: str) -> str | None:
    letter = letters.get(letter_id)
    return None if letter is None else letter.correlation_id


def _named(letter: Letter) -> str:
    kind = type(letter.message).__name__
    return f"{kind} {letter.id} from {letter.sender} to {letter.to} (cause {letter.causation_id})"
