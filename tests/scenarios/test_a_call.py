"""Section A: around the broker call. A2, A4 and A8 without a crash are in test_six_steps.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.messages import CancelAnswer, CancelOrder, CancelStatus, HaltChanged, SetHalt
from core.model.calendar import trading_day
from core.model.order import Order, OrderType, Source, Status, Tag
from core.paper.server import PaperServer
from core.rules.risk import RiskBook
from core.runtime import SystemClock
from core.store import Store, StoreUnavailable
from core.store.check import check
from core.store.database import Database
from tests.factories import an_intent
from tests.scenarios.orders import EXIT, SELL, absent_tag, body, marketable, resting
from tests.support import wait_until
from tests.support_process import Process
from tests.support_service import Running, SettableClock, running, settings_for


@pytest.fixture
def process(tmp_path: Path, exchange: PaperServer, engine: str) -> Iterator[Process]:  # noqa: ARG001 - its database
    service = Process(tmp_path, exchange)
    service.wait_ready()
    yield service
    service.end()


def killed_in_the_call(process: Process, exchange: PaperServer, fault: str) -> dict[str, Any]:
    """Kill the process while the broker has its request and says nothing; the row as it was left."""
    exchange.control("add_fault", {"kind": "push_lost", "count": 0})
    exchange.control("add_fault", {"kind": fault, "path": "PlaceOrder"})
    store = Store.open(process.database, read_only=True)
    caller = threading.Thread(target=_post_and_forget, args=(process.url,), daemon=True)
    caller.start()
    wait_until(lambda: not exchange.control("help")["faults"] or _fired(exchange, fault))
    [row] = store.rows()
    process.kill()
    store.close()
    return dict(row)


def _post_and_forget(url: str) -> None:
    try:
        requests.post(f"{url}/webhook", json=body(), timeout=20)
    except requests.RequestException:
        """The process was killed under it, as meant."""


def _fired(exchange: PaperServer, fault: str) -> bool:
    return all(rule["kind"] != fault for rule in exchange.snapshot()["faults"])


def test_a1_accepted_and_killed_before_the_number_was_stored_it_is_found_and_not_sent_again(
    tmp_path: Path, process: Process, exchange: PaperServer
) -> None:
    left = killed_in_the_call(process, exchange, "accept_hang")
    assert (left["status"], left["broker_order_id"]) == ("SENT_TO_BROKER", None)
    with running(tmp_path, exchange=exchange, SIXSTEP_DATABASE__URL=process.database) as service:
        service.wait_for_number(left["command_id"])
        [order] = service.sent()
        assert order["remarks"] == left["command_id"]
        assert service.row(left["command_id"])["broker_order_id"] == order["norenordno"]
        exchange.control("fill_order", {"norenordno": order["norenordno"]})
        assert service.wait_for(left["command_id"], "EXECUTED")["filled_quantity"] == 50
        assert len(service.sent()) == 1


def test_a2_killed_and_never_received_it_fails_after_proof_and_is_not_resent(
    tmp_path: Path, process: Process, exchange: PaperServer
) -> None:
    left = killed_in_the_call(process, exchange, "drop_hang")
    assert (left["status"], left["broker_order_id"]) == ("SENT_TO_BROKER", None)
    clock = SystemClock()
    started = clock.monotonic()
    with running(tmp_path, exchange=exchange, SIXSTEP_DATABASE__URL=process.database) as service:
        row = service.wait_for(left["command_id"], "FAILED")
        assert clock.monotonic() - started >= 1.5, "no verdict before the grace period"
        assert (row["tag"], row["broker_order_id"]) == (absent_tag(row), None)
        assert "the service was restarted before" in row["reason"]
        assert service.sent() == []


def test_a3_a_row_left_created_fails_as_never_sent_and_frees_its_symbol(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, {})
    store = Store.open(settings.database_url)
    now = SystemClock().now()
    left = Order(
        command_id=f"{trading_day(now):%y%m%d}-crash-1",
        account="PAPER",
        source=Source.WEBHOOK,
        intent=resting(),
        quantity=50,
        product=resting().product,
        status=Status.CREATED,
        created_at=now,
        updated_at=now,
        trading_day=trading_day(now),
        deadline=now + timedelta(seconds=30),
    )
    with store.transaction():
        store.register(left, now, "crash:1")
    store.close()
    with running(tmp_path) as service:
        service.set_price("1500")
        row = service.row(left.command_id)
        assert (row["status"], row["tag"]) == ("FAILED", Tag.NEVER_SENT)
        wait_until(lambda: service.alerts("never_sent"))
        assert service.submit(resting()).success
        assert len(service.sent()) == 1


@pytest.mark.parametrize("fault", ["accept_502", "accept_empty", "accept_server_timeout", "accept_close"])
def test_a5_an_answer_that_says_nothing_is_unknown_and_resolved_from_the_book(service: Running, fault: str) -> None:
    service.mute()
    # The book may be read, and tell, before the caller is answered.
    service.control("add_fault", kind="book_missing_order", count=0)
    service.control("add_fault", kind=fault, path="PlaceOrder")
    result = service.submit(resting())
    assert (result.success, result.unknown, result.tag) == (False, True, None)
    service.control("clear_faults")
    service.wait_for_number(result.command_id)
    assert len(service.sent()) == 1
    assert service.row(result.command_id)["unknown"] is False


def test_a6_an_ok_without_a_number_is_unknown_and_resolved_from_the_book(service: Running) -> None:
    service.mute()
    service.control("add_fault", kind="book_missing_order", count=0)
    service.control("add_fault", kind="accept_no_number", path="PlaceOrder")
    result = service.submit(resting())
    assert (result.success, result.unknown, result.status) == (False, True, Status.SENT_TO_BROKER)
    service.control("clear_faults")
    service.wait_for_number(result.command_id)
    assert len(service.sent()) == 1


def test_a7_no_connection_is_not_sent_and_safe_to_submit_again(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange, SIXSTEP_WATCHER__UNREADABLE_ALARM_AFTER="10000") as service:
        exchange.stop()
        unreadable = "BookUnreadable"
        recent = service.service.runtime.tracer.recent
        # The connection kept alive is noticed to be gone by a read; what counts is the connection that is refused.
        wait_until(lambda: sum(record.type == unreadable for record in recent()) >= 2)
        result = service.submit(resting())
        assert (result.success, result.unknown, result.tag) == (False, False, Tag.BROKER_NOT_SENT)
        assert service.path(result.command_id) == ["CREATED", "SENT_TO_BROKER", "FAILED"]
        service.wait_for_guard([])


def test_a9_a_mark_that_cannot_be_written_is_never_sent(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Order:
        raise StoreUnavailable("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "mark_sent", full)
        result = service.submit(resting())
    assert (result.success, result.tag) == (False, Tag.DATABASE_ERROR)
    assert "disk is full" in (result.reason or "")
    assert service.wait_for(result.command_id, "FAILED")["tag"] == Tag.DATABASE_ERROR
    assert service.sent() == []
    wait_until(lambda: service.alerts("database"))
    assert service.submit(resting()).success, "the symbol is free again"


def test_a9_nothing_is_sent_while_the_database_is_locked(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer holds the file, or the table, for longer than the service waits for it."""
    real = Store.open.__func__  # type: ignore[attr-defined]

    def impatient(cls: type[Store], url: str, read_only: bool = False) -> Store:
        store: Store = real(cls, url, read_only, busy_timeout_s=0.2)
        return store

    monkeypatch.setattr(Store, "open", classmethod(impatient))
    with running(tmp_path) as service:
        service.set_price("1500")
        other = Store.open(service.service.settings.database_url)
        with other.transaction():
            other.halt("PAPER", "by hand", "test", SystemClock().now())
            if engine == "postgresql":
                other.database.write("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            result = service.submit(resting())
            assert (result.success, result.tag) == (False, Tag.DATABASE_ERROR)
            assert service.sent() == []
        other.close()
        # What was refused while it was locked stays refused: the halt of the other writer was committed with it.
        wait_until(lambda: service.submit(resting()).tag is Tag.RISK_LIMITS_EXCEEDED)
        # And is recorded as refused once it can be (D4).
        wait_until(lambda: service.store.row(result.command_id) is not None)
        assert service.row(result.command_id)["tag"] == Tag.DATABASE_ERROR
        assert service.sent() == []


def test_a10_a_number_that_cannot_be_written_is_retried_and_not_forgotten(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = Store.accept, iter(range(2))

    def full_twice(store: Store, *arguments: Any) -> Any:
        for _ in failures:
            raise StoreUnavailable("database or disk is full")
        return real(store, *arguments)

    service.mute()
    service.control("add_fault", kind="book_missing_order", count=0)
    monkeypatch.setattr(Store, "accept", full_twice)
    result = service.submit(resting())
    assert result.success, "written once the database takes it again"
    [order] = service.sent()
    assert service.row(result.command_id)["broker_order_id"] == order["norenordno"]
    wait_until(lambda: service.alerts("database"))


def test_a10_a_commit_that_fails_after_acceptance_leaves_no_caller_without_an_answer(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, commit = Store.accept, Database.commit
    failing = threading.Event()

    def accept_then_fail(store: Store, *arguments: Any) -> Any:
        failing.set()
        return accept(store, *arguments)

    def commit_unless_full(database: Database) -> None:
        if failing.is_set():
            failing.clear()
            monkeypatch.setattr(Store, "accept", accept)
            raise StoreUnavailable("database or disk is full")
        commit(database)

    service.mute()
    monkeypatch.setattr(Store, "accept", accept_then_fail)
    monkeypatch.setattr(Database, "commit", commit_unless_full)
    result = service.submit(resting())
    assert result.success
    assert service.row(result.command_id)["broker_order_id"] == result.broker_order_id


class Held:
    """Holds every order at the risk check, between steps 1 and 3, until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reached, self._go = threading.Event(), threading.Event()
        real = RiskBook.check

        def check_later(book: RiskBook, order: Any, *times: Any) -> str | None:
            verdict = real(book, order, *times)
            self._reached.set()
            assert self._go.wait(10)
            return verdict

        monkeypatch.setattr(RiskBook, "check", check_later)

    def wait(self) -> None:
        assert self._reached.wait(10)

    def release(self) -> None:
        self._go.set()


@pytest.mark.usefixtures("own_threads")
def test_a11_an_order_halted_after_its_risk_check_never_goes_out(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    box = service.begin(resting())
    held.wait()
    halted = service.service.runtime.open_reply()
    service.service.runtime.tell("order_repo", SetHalt("test", "operator", halted.name))
    assert isinstance(halted.future.result(5), HaltChanged)
    held.release()
    result = service.answer(box)
    assert (result.status, result.tag) == (Status.FAILED, Tag.RISK_LIMITS_EXCEEDED)
    assert service.path(result.command_id) == ["CREATED", "FAILED"]
    assert service.sent() == []


@pytest.mark.usefixtures("own_threads")
def test_a11_an_order_cancelled_before_it_is_marked_never_goes_out(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    box = service.begin(resting(idempotency_key="cancelled"))
    held.wait()
    command_id = service.wait_for_key("cancelled", "CREATED")["command_id"]
    told = service.service.runtime.open_reply()
    service.service.runtime.tell("order_repo", CancelOrder(command_id, "operator", told.name))
    answer = told.future.result(5)
    assert isinstance(answer, CancelAnswer)
    assert answer.standing is CancelStatus.CANCELLED
    held.release()
    result = service.answer(box)
    assert (result.status, result.tag) == (Status.FAILED, Tag.CANCELLED_BEFORE_SENDING)
    assert service.sent() == []
    service.wait_for_guard([])


def test_a12_a_silent_peer_holds_up_others_no_longer_than_the_timeout(service: Running) -> None:
    held = service.submit(marketable(strategy="beta"))
    service.wait_for(held.command_id, "EXECUTED")
    service.wait_for_guard([("beta", "INFY-EQ", 50, 0)])
    service.control("add_fault", kind="drop_hang", path="PlaceOrder")
    clock = SystemClock()
    silent = service.begin(resting(symbol="TCS-EQ"))
    wait_until(lambda: service.snapshot()["faults"] == [])
    started = clock.monotonic()
    assert service.submit(marketable(EXIT, SELL, strategy="beta")).success
    assert clock.monotonic() - started < 15, "the read timeout of this service is 1 s; nobody waits for the peer"
    assert service.answer(silent).unknown


def test_a13_one_key_at_the_same_moment_and_after_a_restart_is_one_order(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        boxes = [service.begin(resting(idempotency_key="same")) for _ in range(8)]
        answers = [service.answer(box) for box in boxes]
        assert len({answer.command_id for answer in answers}) == 1
        assert all(answer.success for answer in answers)
        assert len({answer.broker_order_id for answer in answers}) == 1
        assert len(service.rows()) == 1
    with running(tmp_path, exchange=exchange) as service:
        again = service.submit(resting(idempotency_key="same"))
        assert replace(again, reason=None) == replace(answers[0], reason=None)
        assert len(service.rows()) == 1
        assert len(service.sent()) == 1


def a_twin(service: Running, command_id: str, account: str) -> str:
    """A second resting order at the broker under the tag of the first (scenario A14); its number."""
    what = {"exch": "NSE", "tsym": "INFY-EQ", "trantype": "B", "qty": 50, "prc": "1450"}
    return str(service.control("external_order", account=account, remarks=command_id, **what)["norenordno"])


def test_a14_two_broker_orders_under_one_tag_are_alarmed_and_both_tracked(service: Running) -> None:
    result = service.submit(resting())
    service.wait_at_exchange(result.broker_order_id)
    twin = a_twin(service, result.command_id, "PAPER")
    wait_until(lambda: service.alerts("two_orders") or service.alerts("two broker orders"))
    service.wait_at_exchange(twin)
    service.control("fill_order", norenordno=twin, qty=20)
    service.wait_for_guard([("alpha", "INFY-EQ", 20, 30)])
    service.control("fill_order", norenordno=result.broker_order_id)
    row = service.wait_for(result.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 70, 0)])
    assert row["broker_order_id"] == result.broker_order_id
    wait_until(lambda: service.row(result.command_id)["filled_quantity"] == 70)
    assert twin in " ".join(event["reason"] or "" for event in service.row(result.command_id)["events"])


def test_a14_a_second_order_that_never_fills_stands_in_the_record_once_also_after_a_restart(
    tmp_path: Path, exchange: PaperServer
) -> None:
    with running(tmp_path, exchange=exchange) as service:
        result = service.submit(resting())
        service.wait_at_exchange(result.broker_order_id)
        twin = a_twin(service, result.command_id, "FA00001")
        wait_until(lambda: _told_of(service, result.command_id, twin) == 1)
        service.wait_for_polls(3)
    with running(tmp_path, exchange=exchange) as service:
        wait_until(lambda: service.alerts("two broker orders"))
        service.wait_for_polls(3)
        row = service.row(result.command_id)
        assert (row["status"], row["broker_order_id"]) == ("SENT_TO_BROKER", result.broker_order_id)
        assert _told_of(service, result.command_id, twin) == 1
        assert check(service.store) == []


def _told_of(service: Running, command_id: str, number: str) -> int:
    """How many events of a row name this order of the broker."""
    return sum(number in (event["reason"] or "") for event in service.row(command_id)["events"])


def test_a15_an_order_that_waited_past_its_deadline_is_not_sent_later(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_LIMITS__SEND_DEADLINE_S="0.5") as service:
        service.set_price("1500")
        service.control("add_fault", kind="drop_hang", path="PlaceOrder")
        first = service.begin(resting(symbol="TCS-EQ"))
        wait_until(lambda: service.snapshot()["faults"] == [])
        late = service.submit(resting(strategy="beta"))
        assert (late.status, late.tag) == (Status.FAILED, Tag.DEADLINE_PASSED)
        assert service.answer(first).unknown
        service.wait_for_polls(2)
        assert service.sent() == []


def test_a15_a_clock_set_back_gives_an_order_that_waits_no_more_time(tmp_path: Path) -> None:
    clock = SettableClock()
    with running(tmp_path, clock=clock, SIXSTEP_LIMITS__SEND_DEADLINE_S="0.5") as service:
        service.set_price("1500")
        service.control("add_fault", kind="drop_hang", path="PlaceOrder")
        service.begin(resting(symbol="TCS-EQ"))
        wait_until(lambda: service.snapshot()["faults"] == [])
        late = service.begin(resting(strategy="beta", idempotency_key="late"))
        service.wait_for_key("late", "SENT_TO_BROKER")
        clock.step(timedelta(hours=-1))
        assert service.answer(late).tag is Tag.DEADLINE_PASSED


def test_a15_an_order_whose_price_was_asked_for_beyond_its_deadline_is_not_sent(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_LIMITS__SEND_DEADLINE_S="0.5") as service:
        service.set_price("1500")
        service.control("add_fault", kind="reply_delay", path="GetQuotes", seconds=0.7)
        late = service.submit(an_intent(order_type=OrderType.MARKET, price=None))
        assert (late.tag, late.reason) == (
            Tag.DEADLINE_PASSED,
            "its send deadline passed while its price was asked for",
        )
        assert service.sent() == []


def test_every_scenario_leaves_a_sound_record(service: Running) -> None:
    """What `db check` looks for, after a refusal, an unknown outcome, a fill and an invalid intent."""
    service.control("add_fault", kind="accept_502", path="PlaceOrder")
    unknown = service.submit(marketable())
    service.wait_for(unknown.command_id, "EXECUTED")
    service.submit(an_intent(EXIT, SELL, strategy="nobody", price=Decimal(1500)))
    assert check(service.store) == []
