"""The broker calls of the last minute, kept across a restart: the broker counts on, whoever made them (G18)."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

__all__ = ["CallLog"]

_STAMP = struct.Struct("<d")
_MINUTE_S = 60.0


class CallLog:
    """Times of the last calls, in a small file of fixed size that is overwritten in a circle.

    Nothing is synced: a killed process loses nothing by that, and a machine that lost its power is not back within the
    minute. A call under way has a negative stamp: nobody knows when it ended.

    Args:
        path: The file; made if absent. None keeps the stamps in memory only, for a simulation.
        slots: How many calls are kept: as many as a minute may have.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path | None, slots: int) -> None:
        self._slots = max(1, slots)
        self._file: int | None = None
        self._stamps: list[float] = []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            data = os.pread(self._file, os.fstat(self._file).st_size, 0)
            self._stamps = [stamp for (stamp,) in _STAMP.iter_unpack(data[: len(data) // 8 * 8])]
        self._next = 0
        self._open = 0

    def ages(self, now: float) -> list[float]:
        """How many seconds ago the calls of the last minute were made; to be asked once, before the first call.

        A stamp of the future counts as of now: the clock was set back meanwhile.

        Args:
            now: Seconds of a clock that the last process had too (`Clock.steady`).
        """
        ages = [0.0 if stamp < 0 else max(0.0, now - stamp) for stamp in self._stamps if stamp and math.isfinite(stamp)]
        recent = sorted((age for age in ages if age < _MINUTE_S), reverse=True)
        self._stamps = []
        self._next = self._open = 0
        if self._file is not None:
            os.ftruncate(self._file, 0)
        for age in recent[-self._slots :]:
            self._write(self._next, now - age)
            self._next = (self._next + 1) % self._slots
        return recent

    def begin(self, now: float, calls: int) -> None:
        """Calls begin."""
        for _ in range(calls):
            self._write(self._next, -now)
            self._next = (self._next + 1) % self._slots
        self._open = min(self._slots, self._open + calls)

    def end(self, now: float) -> None:
        """The calls that began are over."""
        for back in range(self._open):
            self._write((self._next - 1 - back) % self._slots, now)
        self._open = 0

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, slot: int, stamp: float) -> None:
        if self._file is not None:
            os.pwrite(self._file, _STAMP.pack(stamp), slot * _STAMP.size)
            return
        self._stamps += [0.0] * (slot + 1 - len(self._stamps))
        self._stamps[slot] = stamp
