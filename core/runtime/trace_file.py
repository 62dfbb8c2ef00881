"""The trace on disk: JSON lines of each trading day, written off the hot path.

The last lines stand in `trace-YYYY-MM-DD.jsonl`. Each time it has grown to some megabytes it is packed into
`trace-YYYY-MM-DD.0001.jsonl.gz`, `….0002.jsonl.gz` and so on, at about a ninth; so is what is left as the day ends.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from loguru import logger

if TYPE_CHECKING:
    from core.runtime.trace import TraceEntry, Words

__all__ = ["TraceFile", "read_days"]

# The writer works in short slices with pauses between, and is never woken by a sender: a thread that keeps the
# interpreter busy costs each hop of an order milliseconds, and a wake-up costs the sender a system call.
_SLICE = 10
# Where more waits than a few orders leave behind, catching up comes first.
_MUCH = 1_000
_SLICE_OF_MUCH = 20
_PAUSE_S = 0.001
_IDLE_S = 0.05
_DAYS_READ = 7
_PART_BYTES = 4 * 1024 * 1024


class TraceFile:
    """Puts entries into words, passes them on to the ring, and appends them to `trace-YYYY-MM-DD.jsonl`.

    A directory that cannot be written is one logged error; the entries are counted in `dropped`, each slice tries
    again, and nothing else stops.

    Args:
        directory: made if absent.
        ring: where words are kept in memory.
        words: puts an entry into words.
        line: makes of words their trading day, and a line of JSON with its end.
        capacity: entries that may wait to be written.
        keep_days: how many days' files stay, today's among them; None: all.
    """

    def __init__(
        self,
        directory: Path,
        ring: Callable[[Words], object],
        words: Callable[[TraceEntry], Words],
        line: Callable[[Words], tuple[date, str]],
        capacity: int,
        *,
        keep_days: int | None = None,
    ) -> None:
        self.dropped = 0
        self._pack_beyond = _PART_BYTES
        self._directory = directory
        self._ring = ring
        self._words = words
        self._line = line
        self._capacity = capacity
        self._keep_days = keep_days
        self._fresh: deque[TraceEntry] = deque()
        self._waiting: deque[TraceEntry] = deque()
        self._lock = threading.Lock()
        self._day: date | None = None
        self._stream: IO[str] | None = None
        self._complained = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Callable[[TraceEntry], object]:
        """Write from a thread of its own.

        Returns:
            What notes an entry: the bare `append` of a queue that the thread empties every few milliseconds, because a
            function around it would cost each envelope as much again.
        """
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._thread.start()
        return self._fresh.append

    def keep(self, entry: TraceEntry) -> None:
        """Note an entry where there is no thread; `flush` writes it."""
        self._fresh.append(entry)
        with self._lock:
            self._pass_on()

    def flush(self) -> None:
        """Write all that was noted, in the calling thread."""
        while self._write_slice():
            pass

    def close(self) -> None:
        """Write all that was noted and end the writer. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self.flush()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self._stream, self._day = None, None

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(_PAUSE_S if self._write_slice() else _IDLE_S)

    def _pass_on(self) -> None:
        for _ in range(len(self._fresh)):
            entry = self._fresh.popleft()
            if len(self._waiting) < self._capacity:
                self._waiting.append(entry)
            else:
                self._ring(self._words(entry))
                self.dropped += 1

    def _write_slice(self) -> bool:
        with self._lock:
            self._pass_on()
            waiting = len(self._waiting)
            size = min(waiting, _SLICE if waiting <= _MUCH else _SLICE_OF_MUCH)
            # The envelopes go, their words stay: a message may be a whole order book.
            entries = [self._words(self._waiting.popleft()) for _ in range(size)]
            for words in entries:
                self._ring(words)
            try:
                for words in entries:
                    day, line = self._line(words)
                    self._stream_of(day).write(line)
                if self._stream is not None:
                    self._stream.flush()
            except OSError as error:
                self.dropped += len(entries)
                self._give_up(error)
            else:
                self._complained = self._complained and not entries
                if self._stream is not None and self._stream.tell() > self._pack_beyond:
                    self._end_part()
            return bool(entries)

    def _stream_of(self, day: date) -> IO[str]:
        if self._stream is None or day != self._day:
            if self._stream is not None:
                self._end_part()
            self._directory.mkdir(parents=True, exist_ok=True)
            self._stream = (self._directory / f"trace-{day.isoformat()}.jsonl").open("a", encoding="utf-8")
            self._day = day
            self._forget_before(day)
        return self._stream

    def _end_part(self) -> None:
        """Close the file and pack it; where that fails its lines stay as they are, and are packed with the next."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._pack_beyond = stream.tell() + _PART_BYTES
        stream.close()
        with contextlib.suppress(OSError):
            _pack(Path(stream.name))
            self._pack_beyond = _PART_BYTES

    def _forget_before(self, day: date) -> None:
        if self._keep_days is None:
            return
        oldest = day - timedelta(days=self._keep_days - 1)
        for file in self._directory.glob("trace-*.jsonl*"):
            day_of = _day_of(file)
            if day_of is not None and day_of < oldest:
                file.unlink(missing_ok=True)

    def _give_up(self, error: OSError) -> None:
        stream, self._stream, self._day = self._stream, None, None
        if stream is not None:
            # Closing flushes what the disk refused a moment ago; it is counted already.
            with contextlib.suppress(OSError):
                stream.close()
        if not self._complained:
            self._complained = True
            logger.error("trace: cannot write to {}: {}; traces are kept in memory only", self._directory, error)


def _day_of(file: Path) -> date | None:
    with contextlib.suppress(ValueError):
        return date.fromisoformat(file.name.removeprefix("trace-").partition(".")[0])
    return None


def _parts(directory: Path, day: date) -> list[Path]:
    return sorted(directory.glob(f"trace-{day.isoformat()}.*.jsonl.gz"))


def _pack(file: Path) -> None:
    """Pack the lines of a file. A crash may leave them in both; they are read once all the same."""
    day = _day_of(file)
    assert day is not None
    last = [part.name.split(".")[1] for part in _parts(file.parent, day)][-1:]
    packed = file.with_name(f"{file.stem}.{int(last[0]) + 1 if last else 1:04}.jsonl.gz")
    half = packed.with_suffix(".half")
    try:
        with file.open("rb") as lines, gzip.open(half, "wb", compresslevel=6) as out:
            shutil.copyfileobj(lines, out, 256 * 1024)
        half.replace(packed)
    finally:
        half.unlink(missing_ok=True)
    file.unlink()


def read_days(directory: Path, containing: str, day: date | None) -> Iterator[dict[str, Any]]:
    """The lines of the trace files that contain a text; some may come twice.

    A line cut short by a crash is skipped.

    Args:
        directory: where the files are; may be absent.
        containing: only lines with this text are parsed, since parsing costs far more than searching.
        day: one day; None: the last seven of which there are files, newest first.
    """
    days = [day] if day is not None else sorted({d for f in directory.glob("trace-*") if (d := _day_of(f))})[::-1]
    for each in days[:_DAYS_READ]:
        # In this order: what is packed meanwhile is found.
        yield from _lines_of(directory / f"trace-{each.isoformat()}.jsonl", containing)
        for part in _parts(directory, each):
            yield from _lines_of(part, containing)


def _lines_of(file: Path, containing: str) -> Iterator[dict[str, Any]]:
    opened = gzip.open if file.suffix == ".gz" else open
    # Absent, or deleted or spoilt meanwhile.
    with (
        contextlib.suppress(OSError, EOFError, zlib.error),
        opened(file, "rt", encoding="utf-8", errors="replace") as lines,
    ):
        for line in lines:
            if containing in line:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)
