"""What a person is told of positions that differ, and of what EXITs opened."""

from __future__ import annotations

from collections.abc import Iterable

from core.model.positions import Correction, Difference, ExternalClose, GuardLine

__all__ = ["beside_text", "beyond_text", "difference_text", "ended_text", "interrupted_text", "opened_text"]


def difference_text(difference: Difference, lines: Iterable[GuardLine]) -> str:
    """What a person is told of a difference, with who holds what in that position."""
    where = (difference.exchange, difference.symbol, difference.product)
    holders = [line for line in lines if line.held and (line.exchange, line.symbol, line.product) == where]
    names = ", ".join(f"{line.strategy} {line.held:+d}" for line in holders)
    text = (
        f"{difference.exchange} {difference.symbol} {difference.product or ''}: the broker shows "
        f"{difference.broker:+d}, strategies hold {difference.held:+d} by their fills" + (f" ({names})" * bool(names))
    )
    if len(holders) > 1 and 0 < abs(difference.broker) < abs(difference.held):
        text += "; whose part is gone cannot be told while all of them hold, and is not guessed"
    return text


def interrupted_text(reason: str, lines: Iterable[GuardLine]) -> str:
    """A square-off that a restart does not go on with; empty where all is flat."""
    left = _held(line for line in lines if line.held and not line.stays)
    text = f"the service stopped in the middle of a square-off ({reason}) and does not go on with it"
    return f"{text}; held still: {left}; ask for it again" if left else ""


def ended_text(reason: str, left: Iterable[GuardLine]) -> str:
    """A square-off that ended before all was flat."""
    text = f"square-off ({reason}) ended, for trading was resumed; held still: {_held(left)}"
    return f"{text}; ask for a square-off to exit it"


def opened_text(line: GuardLine | None, why: str, of: str, command: str) -> str:
    """A strategy stands the other way than it meant; `command` closes just that. It may have entered again since."""
    if line is None or not line.unintended:
        held = f"holds {line.held:+d}" if line is not None else "holds nothing"
        return f"{of or why}: {held} now, which is not what it entered: {why}; compare positions"
    text = f"{line.strategy} holds {line.held:+d} {line.symbol} {line.product}, which nobody meant: {why}. "
    return f"{text}Close it: {command}"


def _held(lines: Iterable[GuardLine]) -> str:
    return ", ".join(f"{line.strategy} {line.held:+d} {line.symbol} {line.product}" for line in lines)


def beyond_text(close: ExternalClose) -> str:
    """Why a strategy stands the other way: a close came to be known when an EXIT had filled what it had closed."""
    if close.kind is not Correction.EXTERNAL_ORDER:
        return f"its holding was {close.note}"
    if not close.note:
        return f"external order {close.broker_order_id} had closed {abs(close.quantity)} when an EXIT filled"
    return (
        f"external order {close.broker_order_id} filled {abs(close.quantity)} and an EXIT filled; {close.note}, and if "
        "it was the EXIT, the position is not this strategy's"
    )


def beside_text(close: ExternalClose, lines: Iterable[GuardLine]) -> str:
    """An EXIT opened a position while other strategies hold the other side: the account nets them for now."""
    place = (close.exchange, close.symbol, close.product)
    beside = [line for line in lines if (line.exchange, line.symbol, line.product) == place]
    others = ", ".join(sorted(line.strategy for line in beside if line.held * close.quantity < 0))
    return (
        f"external order {close.broker_order_id} had closed {abs(close.quantity)} {close.symbol} "
        f"{close.product} of strategy {close.strategy} when an EXIT filled: the account is {close.quantity:+d} "
        f"beside what {others} entered, which nobody meant. It becomes {close.strategy}'s, to be "
        f"flattened, once {others} has exited"
    )
