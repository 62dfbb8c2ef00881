from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import threading
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from core.runtime import (
    Actor,
    Message,
    Outcome,
    StepRuntime,
    SystemClock,
    ThreadRuntime,
    Tick,
    Tracer,
    TraceRecord,
    VirtualClock,
    causal_tree,
    mermaid,
    render,
    scrub,
    trace_file,
    tree_text,
)
from core.runtime import Envelope as EnvelopeType
from tests.runtime.harness import START, Harness, Note, Scribe, Work
from tests.support import no_dead_letters, wait_until


class Side(Enum):
    BUY = "B"


@dataclass(frozen=True, slots=True)
class Login(Message):
    user: str
    password: str
    api_token: str
    totp_seed: str
    idempotency_key: str
    body: str
    hidden: str = field(default="hush", repr=False)


class First(Actor):
    def on_work(self, message: Work) -> None:
        self.tell_name("second", message)
        self.tell_name("third", Note(1))


class Second(Actor):
    def on_work(self, _: Work) -> None:
        self.tell_name("third", Note(2))


def envelope(number: int, command: str | None = None, message: Message | None = None, at: float = 0.0) -> EnvelopeType:
    body = message if message is not None else Note(number)
    return EnvelopeType(f"r:{number}", command, None, "a", "b", body, body.lane, at)


def play(runtime: StepRuntime) -> list[TraceRecord]:
    runtime.spawn(First, "first")
    runtime.spawn(Second, "second")
    runtime.spawn(Scribe, "third")
    runtime.tell("first", Work("c-1"))
    runtime.tell("first", Work("c-2"))
    runtime.run_until_idle()
    return runtime.tracer.envelopes_of("c-1")


def test_every_envelope_of_a_command_is_recorded_with_its_times_and_outcome(stepped: Harness) -> None:
    assert isinstance(stepped.runtime, StepRuntime)
    records = play(stepped.runtime)
    assert [(r.sender, r.to, r.type, r.outcome) for r in records] == [
        ("edge", "first", "Work", "done"),
        ("first", "second", "Work", "done"),
        ("first", "third", "Note", "done"),
        ("second", "third", "Note", "done"),
    ]
    assert records[0].text == "Work(command_id='c-1')"
    assert records[0].at == "2024-01-15T04:00:00.000000+00:00"
    assert all(r.taken_at is not None and r.sent_at <= r.taken_at <= r.done_at for r in records)


@dataclass(frozen=True, slots=True)
class Price(Message):
    """One of many, of which the trace keeps those alone that led to something."""

    rupees: int
    traced = False


class Buyer(Actor):
    def on_price(self, message: Price) -> None:
        self.tell_name("third", Price(message.rupees) if message.rupees > 10 else Note(message.rupees))


class Kept(Actor):
    def on_what_comes(self, _: Price | Note) -> None:
        pass


def test_an_envelope_that_is_not_traced_is_kept_when_it_led_to_one_that_is(stepped: Harness) -> None:
    runtime = stepped.runtime
    assert isinstance(runtime, StepRuntime)
    runtime.spawn(Buyer, "buyer")
    runtime.spawn(Kept, "third")
    for rupees in (20, 30, 10):
        runtime.tell("buyer", Price(rupees))
    runtime.run_until_idle()
    assert [record.text for record in runtime.tracer.recent()] == ["Price(rupees=10)", "Note(number=10)"]


def test_a_command_is_one_connected_tree(stepped: Harness) -> None:
    assert isinstance(stepped.runtime, StepRuntime)
    tree = causal_tree(play(stepped.runtime))
    assert tree is not None
    assert [(depth, node.record.to, node.by_cause) for depth, node in tree.walk()] == [
        (0, "first", True),
        (1, "second", True),
        (2, "third", True),
        (1, "third", True),
    ]


def test_what_was_not_caused_by_the_command_hangs_below_the_envelope_before_it_and_says_so(stepped: Harness) -> None:
    runtime = stepped.runtime
    assert isinstance(runtime, StepRuntime)
    play(runtime)
    runtime.advance(1.0)
    runtime.tell("second", Work("c-1"))
    runtime.run_until_idle()
    tree = causal_tree(runtime.tracer.envelopes_of("c-1"))
    assert tree is not None
    grafted = [(depth, node.record.to) for depth, node in tree.walk() if not node.by_cause]
    assert grafted == [(3, "second")]
    assert "┆ edge → second" in tree_text(runtime.tracer.envelopes_of("c-1"))


def test_the_tree_is_text_with_times_since_the_first_envelope(stepped: Harness) -> None:
    assert isinstance(stepped.runtime, StepRuntime)
    lines = tree_text(play(stepped.runtime)).splitlines()
    assert lines[0] == "c-1 from 2024-01-15 04:00:00.000"
    assert re.fullmatch(
        r" +\+0\.000 ms    └ first → second: Work\(command_id='c-1'\)  \[done, waited 0\.000 ms, took 0\.000 ms\]",
        lines[2],
    )
    assert tree_text([]) == "no envelopes"


def test_the_envelopes_are_a_sequence_diagram(stepped: Harness) -> None:
    assert isinstance(stepped.runtime, StepRuntime)
    assert mermaid(play(stepped.runtime)).splitlines()[:7] == [
        "sequenceDiagram",
        "    participant p0 as edge",
        "    participant p1 as first",
        "    participant p2 as second",
        "    participant p3 as third",
        "    p0->>p1: Work +0.000 ms",
        "    p1->>p2: Work +0.000 ms",
    ]


def test_envelopes_of_two_runs_of_the_service_are_in_the_order_of_the_wall_clock() -> None:
    late = TraceRecord(
        "z:9", None, "c", "a", "b", "Note", "", "NORMAL", "2024-01-15T04:00:00", 900.0, None, 900.0, "done"
    )
    after = TraceRecord("a:1", None, "c", "b", "a", "Note", "", "NORMAL", "2024-01-15T04:00:05", 1.0, None, 1.0, "done")
    text = tree_text([after, late])
    assert text.index("a → b") < text.index("b → a")
    assert "+5000.000 ms" in text


def test_the_ring_is_bounded() -> None:
    tracer = Tracer(VirtualClock(START), ring=3)
    for number in range(5):
        tracer.record(envelope(number), None, 0.0, Outcome.DONE)
    assert [record.id for record in tracer.recent()] == ["r:2", "r:3", "r:4"]
    assert [record.id for record in tracer.recent(1)] == ["r:4"]


def test_the_file_holds_what_the_ring_has_lost(tmp_path: Path) -> None:
    tracer = Tracer(VirtualClock(START), ring=2, directory=tmp_path, threaded=False)
    for number in range(10):
        tracer.record(envelope(number, command=f"c-{number % 2}", at=number / 10), 0.0, 0.0, Outcome.DONE)
    assert [record.id for record in tracer.envelopes_of("c-1")] == ["r:1", "r:3", "r:5", "r:7", "r:9"]
    assert tracer.envelopes_of("c-1", date(2024, 1, 14)) == tracer.envelopes_of("c-1")[-1:]
    assert tracer.envelopes_of("c-9") == []
    tracer.close()


def test_what_is_read_from_the_file_is_what_memory_would_tell(tmp_path: Path) -> None:
    tracer = Tracer(VirtualClock(START), directory=tmp_path, threaded=False)
    odd = Login('"Ü\\\n\u2028', "", "", "", "k", "", "")
    told = [
        (envelope(1, "c-1", message=odd), 0.1, 0.2, Outcome.DONE),
        (envelope(2, "c-1"), None, 1e-7, Outcome.DEAD),
    ]
    for entry in told:
        tracer.record(*entry)
    tracer.close()
    found = Tracer(VirtualClock(START), directory=tmp_path, threaded=False).envelopes_of("c-1")
    assert found == [tracer.describe(entry) for entry in told]


def test_there_is_a_file_for_each_trading_day_in_the_markets_time_zone(tmp_path: Path) -> None:
    clock = VirtualClock(START.replace(hour=18, minute=29))
    tracer = Tracer(clock, directory=tmp_path, threaded=False)
    tracer.record(envelope(1, at=clock.monotonic()), 0.0, 0.0, Outcome.DONE)
    clock.advance(120)
    tracer.record(envelope(2, at=clock.monotonic()), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    files = {path.name: [line["id"] for line in _lines(path)] for path in tmp_path.iterdir()}
    assert files == {"trace-2024-01-15.0001.jsonl.gz": ["r:1"], "trace-2024-01-16.jsonl": ["r:2"]}


def _lines(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def test_what_has_grown_long_is_packed_and_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "_PART_BYTES", 2_000)
    tracer = Tracer(VirtualClock(START), ring=2, directory=tmp_path, threaded=False)
    for number in range(60):
        tracer.record(envelope(number, command=f"c-{number % 3}", at=number / 100), 0.0, 0.0, Outcome.DONE)
        tracer.flush()
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts[:2]] == [f"trace-2024-01-15.000{n}.jsonl.gz" for n in (1, 2)]
    assert [line["id"] for part in parts for line in _lines(part)] == [f"r:{number}" for number in range(60)]
    assert [record.id for record in tracer.envelopes_of("c-1")] == [f"r:{number}" for number in range(1, 60, 3)]
    assert tracer.dropped == 0
    tracer.close()


def test_a_part_that_a_crash_left_behind_twice_or_spoilt_is_read_once_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_file, "_PART_BYTES", 0)
    tracer = Tracer(VirtualClock(START), ring=1, directory=tmp_path, threaded=False)
    tracer.record(envelope(1, "c-1"), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    (part,) = tmp_path.iterdir()
    (tmp_path / "trace-2024-01-15.jsonl").write_bytes(gzip.decompress(part.read_bytes()))
    (tmp_path / "trace-2024-01-15.0002.jsonl.gz").write_bytes(part.read_bytes()[:40])
    (tmp_path / "trace-2024-01-15.0003.jsonl.half").write_bytes(b"")
    again = Tracer(VirtualClock(START), ring=1, directory=tmp_path, threaded=False)
    assert [record.id for record in again.envelopes_of("c-1")] == ["r:1"]
    again.record(envelope(2, "c-1"), 0.0, 0.0, Outcome.DONE)
    assert [record.id for record in again.envelopes_of("c-1", date(2024, 1, 15))] == ["r:1", "r:2"]
    again.close()


def test_what_cannot_be_packed_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "_PART_BYTES", 0)
    tracer = Tracer(VirtualClock(START), ring=1, directory=tmp_path, threaded=False)
    monkeypatch.setattr(shutil, "copyfileobj", Mock(side_effect=OSError("disk full")))
    for number in range(3):
        tracer.record(envelope(number, "c-1"), 0.0, 0.0, Outcome.DONE)
        tracer.flush()
    assert [path.name for path in tmp_path.iterdir()] == ["trace-2024-01-15.jsonl"]
    assert [record.id for record in tracer.envelopes_of("c-1")] == ["r:0", "r:1", "r:2"]
    assert tracer.dropped == 0
    tracer.close()


def test_files_older_than_they_are_kept_go_as_a_new_day_begins(tmp_path: Path) -> None:
    for day in ("2024-01-12", "2024-01-13", "2024-01-13.0001", "2024-01-14"):
        (tmp_path / f"trace-{day}.jsonl{'.gz' if '.' in day else ''}").touch()
    (tmp_path / "trace-notes.jsonl").touch()
    tracer = Tracer(VirtualClock(START), directory=tmp_path, keep_days=2, threaded=False)
    tracer.record(envelope(1), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "trace-2024-01-14.jsonl",
        "trace-2024-01-15.jsonl",
        "trace-notes.jsonl",
    ]


def test_a_line_cut_short_by_a_crash_is_skipped(tmp_path: Path) -> None:
    tracer = Tracer(VirtualClock(START), directory=tmp_path, threaded=False)
    tracer.record(envelope(1, "c-1"), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    with (tmp_path / "trace-2024-01-15.jsonl").open("a") as file:
        file.write('{"id":"r:2","command":"c-1","to')
    found = Tracer(VirtualClock(START), directory=tmp_path, threaded=False).envelopes_of("c-1")
    assert [record.id for record in found] == ["r:1"]
    assert found[0].text == "Note(number=1)"


def test_the_writer_thread_writes_by_itself_and_to_the_end_on_close(tmp_path: Path) -> None:
    tracer = Tracer(SystemClock(), directory=tmp_path)
    runtime = ThreadRuntime(SystemClock(), tracer)
    with no_dead_letters(runtime):
        harness = Harness(runtime)
        harness.spawn(Scribe, "scribe")
        harness.tell("scribe", Work("c-1"))
        wait_until(lambda: any(path.stat().st_size for path in tmp_path.iterdir()))
        harness.tell("scribe", *(Note(number) for number in range(1000)))
        harness.settle()
        assert len(tracer.recent()) == 1001
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == 1001
    assert "trace-writer" not in {thread.name for thread in threading.enumerate()}
    assert tracer.dropped == 0


def test_what_the_writers_queue_cannot_hold_is_counted_and_still_in_memory(tmp_path: Path) -> None:
    tracer = Tracer(VirtualClock(START), directory=tmp_path, threaded=False, queue=3)
    for number in range(10):
        tracer.record(envelope(number), 0.0, 0.0, Outcome.DONE)
    assert tracer.dropped == 7
    assert len(tracer.recent()) == 10
    tracer.close()


def test_a_directory_that_cannot_be_written_is_one_error_and_no_stop(tmp_path: Path, log: list[str]) -> None:
    obstacle = tmp_path / "file"
    obstacle.write_text("not a directory")
    tracer = Tracer(VirtualClock(START), directory=obstacle / "trace", threaded=False)
    for number in range(3):
        tracer.record(envelope(number, "c-1"), 0.0, 0.0, Outcome.DONE)
        tracer.flush()
    assert len([line for line in log if line.startswith("ERROR trace: cannot write to")]) == 1
    assert tracer.dropped == 3
    assert len(tracer.envelopes_of("c-1")) == 3
    os.remove(obstacle)
    tracer.record(envelope(4), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    assert (obstacle / "trace" / "trace-2024-01-15.jsonl").exists()


def test_secrets_are_hidden_in_the_ring_and_in_the_file(tmp_path: Path) -> None:
    tracer = Tracer(VirtualClock(START), directory=tmp_path, threaded=False)
    login = Login("U1", "hunter2", "hunter2", "hunter2", "k-1", 'jData={"pwd":"hunter2"}&jKey=hunter2', "hunter2")
    tracer.record(envelope(1, message=login), 0.0, 0.0, Outcome.DONE)
    tracer.close()
    text = tracer.recent()[0].text + (tmp_path / "trace-2024-01-15.jsonl").read_text()
    assert "hunter2" not in text
    assert "idempotency_key='k-1'" in text
    assert "user='U1'" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Tick("poll", 2, 7), "Tick(key='poll', missed=2, generation=7)"),
        ((1, Decimal("1.50"), None, Side.BUY), "(1, 1.50, None, BUY)"),
        ({"price": 1, "secret": "x", "idempotency_key": "k"}, "{price: 1, secret: ***, idempotency_key: 'k'}"),
        (frozenset("hgfedcba"), "{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}"),
        (object(), "<object>"),
        ((((((1,),),),),), "((((…))))"),
    ],
)
def test_values_are_rendered_without_addresses_and_alike_in_every_run(value: Any, text: str) -> None:
    assert render(value) == text


def test_long_values_are_cut() -> None:
    assert len(render("x" * 1000, limit=50)) == 50
    assert render("x" * 1000, limit=50).endswith("…")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter2&x=1", "password=***&x=1"),
        ('{"jKey": "hunter2", "x": 1}', '{"jKey": "***", "x": 1}'),
        ("Authorization token: Bearer hunter2", "Authorization token: Bearer ***"),
        ("a monkey: ate nothing", "a monkey: ate nothing"),
    ],
)
def test_free_text_is_scrubbed(text: str, clean: str) -> None:
    assert scrub(text) == clean


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "pwd",
        "secret",
        "token",
        "totp",
        "jkey",
        "api_key",
        "apikey",
        "vc_code",
        "vccode",
        "factor2",
        "susertoken",
        "TOKEN",
        "ﬀ_toKen",
    ],
)
def test_every_name_of_a_secret_is_found_in_free_text(name: str) -> None:
    assert scrub(f"x: 1, {name}=hunter2") == f"x: 1, {name}=***"
