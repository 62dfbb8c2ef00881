"""What survives a restart beside the orders: halt, breach, losing runs, runs (scenarios D9, D10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from core.model.risk_state import Breach, Halt, LossRun
from core.store import Store
from tests.store.factories import DAY, T0, later


@pytest.fixture
def reopened(store: Store, url: str) -> Iterator[Callable[[], Store]]:
    """The database as the next start reads it."""
    opened: list[Store] = []

    def reopen() -> Store:
        store.close()
        opened.append(Store.open(url))
        return opened[-1]

    yield reopen
    for after in opened:
        after.close()


def test_d9_a_halt_survives_a_restart(store: Store, reopened: Callable[[], Store]) -> None:
    with store.transaction():
        assert store.halt("FA1", "max loss", "risk", T0) == Halt("max loss", "risk", T0)
    assert reopened().current_halt("FA1") == Halt("max loss", "risk", T0)


def test_g25_a_second_halt_keeps_the_first_reason_and_adds_its_own_within_a_bound(store: Store) -> None:
    with store.transaction():
        store.halt("FA1", "max loss", "risk", T0)
        both = Halt("max loss; again by ravi: lunch", "risk", T0)
        assert store.halt("FA1", "lunch", "ravi", later(5)) == both
        assert store.halt("FA1", "lunch", "ravi", later(6)) == both, "the same again adds nothing"
        assert store.current_halt("FA1") == both
        for number in range(200):
            halt = store.halt("FA1", f"reason {number}", "a program", later(7))
    assert halt.reason.startswith(both.reason)
    assert len(halt.reason) <= 1000


def test_what_was_resumed_over_is_kept_with_its_reason(store: Store, reopened: Callable[[], Store]) -> None:
    with store.transaction():
        store.halt("FA1", "order 7", "watcher", T0)
        store.halt("FA2", "order 8", "watcher", T0)
        store.halt("FA1", "order 9", "watcher", later(1))
        assert store.settled_halts("FA1", DAY) == (), "in force"
        store.clear_halt("FA1", "ravi", later(2))
        store.halt("FA1", "order 10", "watcher", later(3))
    again = reopened()
    assert again.settled_halts("FA1", DAY) == ("order 7; again by watcher: order 9",)
    assert again.settled_halts("FA1", DAY + timedelta(days=1)) == ()


def test_a_halt_can_be_cleared_and_set_again(store: Store) -> None:
    with store.transaction():
        assert store.clear_halt("FA1", "ravi", T0) is False
        store.halt("FA1", "max loss", "risk", T0)
        assert store.clear_halt("FA1", "ravi", later(1)) is True
        assert store.current_halt("FA1") is None
        store.halt("FA1", "lunch", "ravi", later(2))
    assert store.current_halt("FA1") == Halt("lunch", "ravi", later(2))
    halts = store.database.execute("SELECT reason, cleared_by FROM halts ORDER BY id").fetchall()
    assert [tuple(halt) for halt in halts] == [("max loss", "ravi"), ("lunch", None)]


def test_d9_a_breach_belongs_to_its_trading_day(store: Store, reopened: Callable[[], Store]) -> None:
    with store.transaction():
        store.save_breach("FA1", Breach(DAY, Decimal("-10000.05"), Decimal("-10000")))
        store.save_breach("FA1", Breach(DAY, Decimal("-10100.50"), Decimal("-10000")))
    after = reopened()
    assert after.breach("FA1", DAY) == Breach(DAY, Decimal("-10100.50"), Decimal("-10000"))
    assert after.breach("FA1", date(2026, 3, 3)) is None


def test_d9_losing_runs_survive_a_restart(store: Store, reopened: Callable[[], Store]) -> None:
    with store.transaction():
        store.save_loss_run("FA1", LossRun("trend", 1, None))
        store.save_loss_run("FA1", LossRun("trend", 2, later(600)))
        store.save_loss_run("FA1", LossRun("mean", 0, None))
    assert reopened().loss_runs("FA1") == (LossRun("mean", 0, None), LossRun("trend", 2, later(600)))


def test_a_start_tells_whether_the_run_before_ended_cleanly(store: Store) -> None:
    with store.transaction():
        assert store.start_run("r1", T0) is True
        store.end_run("r1", later(1))
        assert store.start_run("r2", later(2)) is True
    with store.transaction():
        assert store.start_run("r3", later(3)) is False
