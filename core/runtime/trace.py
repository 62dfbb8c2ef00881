"""The record of every envelope: what it was, what caused it, when, and what became of it."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from json.encoder import encode_basestring as _quoted
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from core.messages.envelope import Envelope
from core.rules.secrets import NO_SECRETS, Secrets
from core.runtime.clock import Clock
from core.runtime.redaction import render
from core.runtime.trace_file import TraceFile, read_days

__all__ = ["EnvelopeTimes", "Outcome", "TraceEntry", "TraceRecord", "Tracer", "in_order"]


class Outcome(StrEnum):
    """What became of an envelope."""

    DONE = "done"
    FAILED = "failed"
    """Its handler raised; or it was in a batch that could not be completed."""
    DEAD = "dead"
    """Nobody took it: refused, or left over when its addressee ended."""
    MERGED = "merged"
    """An equal one was waiting already."""
    LATE = "late"
    """An answer to somebody who no longer waits, or a tick to an actor that has ended."""
    CANCELLED = "cancelled"
    """A tick whose timer was cancelled while it waited."""
    DROPPED = "dropped"
    """It came while its addressee waited for something that includes it."""
    UNASKED = "unasked"
    """A reply to an envelope that wanted none; it went nowhere."""


class EnvelopeTimes(NamedTuple):
    """When an envelope was sent, taken and done, in monotonic seconds."""

    id: str
    cause: str | None
    command: str | None
    type: str
    to: str
    sent_at: float
    taken_at: float | None
    done_at: float


# What the hot path keeps of an envelope: itself, when it was taken and done, and its outcome. A bare tuple, since it is
# made for each envelope; the writer finds words for it soon after, and the envelope is let go: a message may be large.
TraceEntry: TypeAlias = tuple[Envelope, float | None, float, Outcome]

# What memory keeps of an envelope: the fields of its `TraceRecord`, in their order. A bare tuple for the same reason.
Words: TypeAlias = tuple[str, str | None, str | None, str, str, str, str, str, str, float, float | None, float, str]

# What most envelopes are: left out of the file.
_USUAL = {"lane": "NORMAL", "outcome": "done"}

# About what an entry takes in memory beside its text: the tuple, ids, times.
_ENTRY_BYTES = 600


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One envelope, in words. Times ending in `_at` are monotonic seconds of one run; `at` is the wall clock."""

    id: str
    cause: str | None
    command: str | None
    sender: str
    to: str
    type: str
    text: str
    lane: str
    at: str
    sent_at: float
    taken_at: float | None
    done_at: float
    outcome: str

    @property
    def run(self) -> str:
        """The run of the service it was sent in."""
        return self.id.partition(":")[0]


class Tracer:
    """Keeps the last envelopes in memory, and all of them in a file per trading day if given a directory.

    Args:
        clock: turns monotonic times into dates.
        ring: envelopes kept in memory, in words: at most some 0.9 kB each, whatever the message held.
        ring_bytes: about what they may take together; the oldest go first.
        directory: where `trace-YYYY-MM-DD.jsonl` is written; None: memory only.
        keep_days: how many days' files stay; None: all.
        timezone: whose midnight parts one trading day from the next.
        threaded: write from a thread of its own; if False, `flush` writes (simulation, tests).
        queue: envelopes that may wait for the writer; what is more is counted in `dropped` and is in memory only.
        secrets: in no envelope's words.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        ring: int = 100_000,
        ring_bytes: int = 64 * 1024 * 1024,
        directory: Path | None = None,
        keep_days: int | None = None,
        timezone: tzinfo | None = None,
        threaded: bool = True,
        queue: int = 50_000,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.secrets = secrets
        self._clock = clock
        self._timezone = timezone or ZoneInfo("Asia/Kolkata")
        self._directory = directory
        self._ring = _Ring(ring, ring_bytes)
        self.append: Callable[[TraceEntry], object] = lambda entry: self._ring.keep(self._words(entry))
        """Notes an entry. Called by whichever thread knows what became of an envelope; never waits."""

        self._file: TraceFile | None = None
        if directory is not None:
            self._file = TraceFile(directory, self._ring.keep, self._words, self._line, queue, keep_days=keep_days)
            self.append = self._file.start() if threaded else self._file.keep

    def record(self, envelope: Envelope, taken_at: float | None, done_at: float, outcome: Outcome) -> None:
        """Note what became of `envelope`; `append` with the entry made here."""
        self.append((envelope, taken_at, done_at, outcome))

    @property
    def ring_bytes(self) -> int:
        """About what the envelopes in memory take."""
        self._catch_up()
        return self._ring.bytes

    @property
    def dropped(self) -> int:
        """Envelopes that did not reach the file: the queue was full, or the directory could not be written."""
        return self._file.dropped if self._file is not None else 0

    def recent(self, limit: int | None = None) -> list[TraceRecord]:
        """The last envelopes in memory, in the order they were finished.

        Args:
            limit: how many at most; None: all.
        """
        self._catch_up()
        kept = self._ring.all()
        return [TraceRecord(*words) for words in (kept if limit is None else kept[-limit:])]

    def timings(self) -> list[EnvelopeTimes]:
        """The times of the envelopes in memory: far cheaper than their words."""
        self._catch_up()
        return [
            EnvelopeTimes(id_, cause, command, kind, to, sent_at, taken_at, done_at)
            for id_, cause, command, _, to, kind, _, _, _, sent_at, taken_at, done_at, _ in self._ring.all()
        ]

    def envelopes_of(self, command_id: str, day: date | None = None) -> list[TraceRecord]:
        """All envelopes of a command, in the order they were sent, and those that caused the first of them.

        The envelope that brings a submission carries no command yet: it is found as the cause of one that does.
        From memory; and from the files where memory does not reach back or `day` is given.

        Args:
            command_id: the command.
            day: look in this day's file only; None: in the files of the last seven days, newest first.
        """
        self._catch_up()
        ring = self._ring.all()
        found = {words[0]: TraceRecord(*words) for words in ring if words[2] == command_id}
        if self._directory is not None and (day is not None or not found or self._ring.lost):
            self.flush()
            for line in read_days(self._directory, f'"{command_id}"', day):
                if line["command"] == command_id:
                    found.setdefault(line["id"], _record(line))
        causes = {record.cause for record in found.values() if record.cause is not None} - found.keys()
        origins = {words[0]: TraceRecord(*words) for words in ring if words[0] in causes and words[2] is None}
        if self._directory is not None:
            for cause in causes - origins.keys():
                for line in read_days(self._directory, f'"{cause}"', day):
                    if line["id"] == cause and line["command"] is None:
                        origins[cause] = _record(line)
        return in_order([*origins.values(), *found.values()])

    def describe(self, entry: TraceEntry) -> TraceRecord:
        """The entry in words."""
        return TraceRecord(*self._words(entry))

    def flush(self) -> None:
        """Write what waits for the file, in the calling thread."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write what waits and end the writer. Memory can still be read. Idempotent."""
        if self._file is not None:
            self._file.close()

    def _catch_up(self) -> None:
        if self._file is not None:
            self._file.flush()

    def _wall(self, monotonic: float) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - monotonic)

    def _words(self, entry: TraceEntry) -> Words:
        envelope, taken_at, done_at, outcome = entry
        return (
            envelope.id,
            envelope.causation_id,
            envelope.correlation_id,
            envelope.sender,
            envelope.to,
            type(envelope.message).__name__,
            render(envelope.message, secrets=self.secrets),
            envelope.lane._name_,
            self._wall(envelope.sent_at).isoformat(timespec="microseconds"),
            # Microseconds: what is finer only makes the file longer.
            round(envelope.sent_at, 6),
            None if taken_at is None else round(taken_at, 6),
            round(done_at, 6),
            outcome._value_,
        )

    def _line(self, words: Words) -> tuple[date, str]:
        """The trading day of an envelope, and its words as a line of JSON; what is usual is left out (`_USUAL`).

        Written out, because an order is some twenty lines: an encoder that finds out what it was given cost more than
        the line.
        """
        id_, cause, command, sender, to, kind, text, lane, at, sent_at, taken_at, done_at, outcome = words
        unusual = "" if lane == _USUAL["lane"] else f',"lane":"{lane}"'
        if outcome != _USUAL["outcome"]:
            unusual += f',"outcome":"{outcome}"'
        line = (
            f'{{"id":{_quoted(id_)},"cause":{"null" if cause is None else _quoted(cause)},'
            f'"command":{"null" if command is None else _quoted(command)},"sender":{_quoted(sender)},'
            f'"to":{_quoted(to)},"type":"{kind}","text":{_quoted(text)},"at":"{at}","sent_at":{sent_at!r},'
            f'"taken_at":{"null" if taken_at is None else repr(taken_at)},"done_at":{done_at!r}{unusual}}}\n'
        )
        return datetime.fromisoformat(at).astimezone(self._timezone).date(), line


class _Ring:
    """The last envelopes in words, bounded in number and in bytes."""

    def __init__(self, entries: int, limit_bytes: int) -> None:
        self._kept: deque[Words] = deque()
        self._entries = entries
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self.bytes = 0
        self.lost = False
        """Whether there were more than are kept."""

    def keep(self, words: Words) -> None:
        with self._lock:
            self._kept.append(words)
            self.bytes += _ENTRY_BYTES + sys.getsizeof(words[6])
            while len(self._kept) > self._entries or self.bytes > self._limit_bytes:
                self.bytes -= _ENTRY_BYTES + sys.getsizeof(self._kept.popleft()[6])
                self.lost = True

    def all(self) -> list[Words]:
        with self._lock:
            return list(self._kept)


def in_order(records: Collection[TraceRecord]) -> list[TraceRecord]:
    """`records` in the order they were sent; runs of the service in the order of their wall clocks."""
    runs: dict[str, str] = {}
    for record in records:
        runs[record.run] = min(runs.get(record.run, record.at), record.at)

    def when(record: TraceRecord) -> tuple[str, str, float, int]:
        # Envelopes of one handler may carry one time; the counter in their ids tells their order.
        number = record.id.rpartition(":")[2]
        return runs[record.run], record.run, record.sent_at, int(number) if number.isdigit() else 0

    return sorted(records, key=when)


def _record(line: dict[str, Any]) -> TraceRecord:
    return TraceRecord(**{name: line.get(name, _USUAL.get(name)) for name in TraceRecord.__slots__})  # type: ignore[arg-type]
