"""The same said again: once at once, then once in a while with a count, so that no stranger can fill the log."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Repeats"]

_MOST_KINDS = 1024


class Repeats:
    """Counts repetitions.

    Args:
        every_s: Seconds between two lines about the same.
        most: How many different things are remembered; of the one longest silent the count is forgotten.
    """

    def __init__(self, every_s: float, most: int = _MOST_KINDS) -> None:
        self._every_s = every_s
        self._most = most
        # What: when it was said last, and how often it was kept back since.
        self._said: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def line(self, text: str, now: float, key: str | None = None) -> str | None:
        """What to say of `text` now; None where it was said a moment ago.

        Args:
            text: What happened.
            now: Monotonic seconds.
            key: What counts as the same; the text, if not given.
        """
        key = text if key is None else key
        said_at, kept_back = self._said.pop(key, (None, 0))
        if said_at is not None and now - said_at < self._every_s:
            self._said[key] = (said_at, kept_back + 1)
            return None
        self._said[key] = (now, 0)
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return text if not kept_back else f"{text} ({kept_back} times more since it was said last)"
