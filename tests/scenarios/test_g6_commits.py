"""G6: the answer to a COMMIT is lost, done or not done. Rows, guard and broker agree, and every caller is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.messages import CancelAnswer, CancelOrder, CancelStatus, GetGuardSnapshot
from core.model.order import OrderResult, Tag
from core.store import Store, StoreError, StoreUnavailable
from core.store.database import Database
from tests.scenarios.orders import EXIT, SELL, absent_tag, marketable, resting
from tests.support import wait_until
from tests.support_proxy import Cut, cutting_proxy
from tests.support_service import ANSWER_S, Databases, Running, running

# What only the transaction of this step hands to the database: the statuses of its event, or how a text begins.
MOMENTS: dict[str, tuple[str, ...] | str] = {
    "register": ("CREATED",),
    "mark": ("CREATED", "SENT_TO_BROKER"),
    "accept": "broker order ",
    "report": ("SENT_TO_BROKER", "EXECUTED"),
}


class Cutter:
    """Loses the answer to one COMMIT of the service, on either database."""

    def __init__(self, cut_next: Callable[[Cut, str], None], cuts: Callable[[], int], *, lengths: bool) -> None:
        self._cut_next = cut_next
        self.cuts = cuts
        self._lengths = lengths

    def cut_next(self, cut: Cut, handed: tuple[str, ...] | str) -> None:
        if isinstance(handed, tuple):
            # On the wire each value stands behind its length, and so is not taken for a word of a statement.
            handed = "".join(f"\0\0\0{chr(len(text))}{text}" for text in handed) if self._lengths else " ".join(handed)
        self._cut_next(cut, handed)


@contextmanager
def cutter(engine: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cutter]:
    if engine == "sqlite":
        fault = SqliteFault(monkeypatch)
        yield Cutter(fault.cut_next, lambda: fault.cuts, lengths=False)
        return
    url = Databases.url_of(directory)
    assert url is not None
    with cutting_proxy(url) as (proxy, through):
        monkeypatch.setattr(Databases, "url_of", staticmethod(lambda _: through))
        yield Cutter(lambda cut, marker: proxy.cut_next(cut, marker.encode()), lambda: proxy.cuts, lengths=True)


class SqliteFault:
    """An I/O error at a COMMIT, before or after the log was written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cuts = 0
        self._armed: tuple[Cut, str] | None = None
        self._sent = ""
        write, commit = Database.write, Database.commit

        def watched(database: Database, sql: str, parameters: Any = ()) -> Any:
            self._sent += " ".join(map(str, parameters))
            return write(database, sql, parameters)

        def cut_or_commit(database: Database) -> None:
            sent, self._sent = self._sent, ""
            armed = self._armed
            if armed is None or armed[1] not in sent:
                commit(database)
                return
            self._armed = None
            self.cuts += 1
            if armed[0] is Cut.AFTER:
                commit(database)
            raise StoreUnavailable("disk I/O error")

        monkeypatch.setattr(Database, "write", watched)
        monkeypatch.setattr(Database, "commit", cut_or_commit)

    def cut_next(self, cut: Cut, marker: str) -> None:
        self._armed = (cut, marker)


def answers(service: Running, name: str) -> list[str]:
    return [record.text for record in service.service.runtime.tracer.recent() if record.to == name]


def at_the_broker(service: Running, symbol: str = "INFY-EQ") -> int:
    """What the exchange has filled of a symbol."""
    orders = [order for order in service.sent() if order["tsym"] == symbol]
    return sum(order["filled"] * (1 if order["side"] == "B" else -1) for order in orders)


def in_the_record(service: Running, symbol: str = "INFY-EQ") -> int:
    return sum(holding.quantity for holding in service.store.holdings() if holding.symbol == symbol)


def agree(service: Running) -> bool:
    """Guard, record and broker hold the same, and nothing is reserved without an open order."""
    lines = service.ask("execution_guard", GetGuardSnapshot()).lines
    reserved = any(line.reserved for line in lines)
    open_rows = any(row["status"] == "SENT_TO_BROKER" for row in service.rows())
    held = sum(line.held for line in lines)
    return held == in_the_record(service) == at_the_broker(service) and reserved == open_rows


def is_over(service: Running, command_id: str) -> bool:
    """Its row says how it ended; that of a refusal is written when the database is back."""
    row = service.store.row(command_id)
    return row is not None and row["status"] in ("EXECUTED", "FAILED")


def agrees_with_row(result: OrderResult, row: dict[str, Any]) -> bool:
    """The answer says of an order what its row says now, or said when it was given."""
    if result.status == row["status"]:
        return result.tag == row["tag"]
    return result.status == "SENT_TO_BROKER" and (result.success or result.unknown)


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("moment", MOMENTS)
def test_g6_the_answer_to_the_commit_of_a_step_is_lost(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch, moment: str, cut: Cut
) -> None:
    with cutter(engine, tmp_path, monkeypatch) as fault, running(tmp_path) as service:
        service.set_price("1500")
        fault.cut_next(cut, MOMENTS[moment])
        box = service.begin(marketable())
        result = service.answer(box)
        wait_until(lambda: fault.cuts() == 1, ANSWER_S)
        wait_until(lambda: is_over(service, result.command_id), ANSWER_S)
        row = service.row(result.command_id)
        assert agrees_with_row(result, row), (result, row)
        wait_until(lambda: agree(service), ANSWER_S)
        assert len(answers(service, box.name)) == 1
        assert len(service.sent()) == (row["status"] == "EXECUTED"), "never twice, and as the row says"
        if moment == "mark":
            assert service.sent() == [], "marked and never called: looked for, and found not to be there"
            assert row["tag"] == (absent_tag(row) if cut is Cut.AFTER else Tag.DATABASE_ERROR)
            assert result.unknown is (cut is Cut.AFTER)
        elif moment in ("accept", "report"):
            assert row["status"] == "EXECUTED"
        # Nothing is reserved for ever: what is held can be left, and entered again.
        if row["status"] == "EXECUTED":
            leave = service.submit(marketable(EXIT, SELL))
            service.wait_for(leave.command_id, "EXECUTED")
        again = service.submit(marketable())
        service.wait_for(again.command_id, "EXECUTED")
        wait_until(lambda: agree(service), ANSWER_S)


def test_g6_an_order_whose_commit_cannot_be_looked_up_at_first_is_answered_and_has_its_row(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the commit is lost, and what tells whether it was made fails once as nobody expects."""
    is_committed = Store.is_committed

    def fail_once(*_: object) -> None:
        monkeypatch.setattr(Store, "is_committed", is_committed)
        raise StoreError("an error nobody expects")

    with cutter(engine, tmp_path, monkeypatch) as fault, running(tmp_path) as service:
        service.set_price("1500")
        monkeypatch.setattr(Store, "is_committed", fail_once)
        fault.cut_next(Cut.BEFORE, MOMENTS["register"])
        result = service.submit(marketable())
        wait_until(lambda: is_over(service, result.command_id), ANSWER_S)
        assert agrees_with_row(result, service.row(result.command_id))
        assert fault.cuts() == 1
        again = service.submit(marketable())
        service.wait_for(again.command_id, "EXECUTED")
        wait_until(lambda: agree(service), ANSWER_S)


@pytest.mark.parametrize("cut", Cut)
def test_g6_the_answer_to_the_commit_of_a_cancel_is_lost(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch, cut: Cut
) -> None:
    with cutter(engine, tmp_path, monkeypatch) as fault, running(tmp_path) as service:
        service.set_price("1500")
        order = service.submit(resting())
        service.wait_at_exchange(order.broker_order_id)
        fault.cut_next(cut, "cancel wanted by")
        box = service.service.runtime.open_reply()
        service.service.runtime.tell("order_repo", CancelOrder(order.command_id, "tester", box.name))
        answer = box.future.result(ANSWER_S)
        assert isinstance(answer, CancelAnswer)
        assert fault.cuts() == 1
        assert answer.standing is (CancelStatus.TAKEN if cut is Cut.AFTER else CancelStatus.NOT_SENT)
        if cut is Cut.AFTER:
            assert service.wait_for(order.command_id, "FAILED")["tag"] == Tag.BROKER_CANCELLED
        else:
            assert service.row(order.command_id)["status"] == "SENT_TO_BROKER"
        wait_until(lambda: agree(service), ANSWER_S)
        assert len(answers(service, box.name)) == 1


def test_g6_a_number_of_another_row_is_told_as_unknown_and_settled_from_the_book(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.submit(resting(strategy="alpha"))
    accept = Store.accept

    def accept_as_the_first(store: Store, command_id: str, _: str, *more: Any) -> Any:
        assert first.broker_order_id is not None
        monkeypatch.setattr(Store, "accept", accept)
        return accept(store, command_id, first.broker_order_id, *more)

    monkeypatch.setattr(Store, "accept", accept_as_the_first)
    # Neither push nor book brings its number before the answer does.
    service.mute()
    service.control("add_fault", kind="book_missing_order", count=3)
    result = service.submit(resting(strategy="beta"))
    assert (result.success, result.unknown, result.status) == (False, True, "SENT_TO_BROKER")
    assert first.command_id in (result.reason or "")
    service.wait_for_number(result.command_id)
    row = service.row(result.command_id)
    assert row["broker_order_id"] != first.broker_order_id
    assert row["broker_order_id"] in {order["norenordno"] for order in service.sent()}
