"""G17: a database belongs to one broker and account; orders of another are never taken for its own."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from core.model.risk_state import Breach, Halt, LossRun
from core.store import ForeignDatabase, Owner, Store
from core.store.database import open_database
from core.store.migrations import MIGRATIONS, migrate
from tests.store.factories import DAY, T0, later, registered

LIVE = Owner.of("flattrade", "https://piconnect.flattrade.in/PiConnectAPI", "FA1")
PAPER = Owner.of("paper", "http://127.0.0.1:40001", "FA1")


def claim(store: Store, owner: Owner) -> bool:
    with store.transaction():
        return store.claim(owner, T0)


def test_g17_the_first_start_makes_the_database_its_own_and_later_ones_find_it_so(store: Store) -> None:
    assert store.owner() is None
    assert claim(store, LIVE)
    assert not claim(store, LIVE)
    assert store.owner() == LIVE


@pytest.mark.parametrize(
    "other",
    [
        Owner.of("flattrade", LIVE.host, "FA2"),
        Owner.of("zebu", LIVE.host, "FA1"),
        Owner.of("flattrade", "https://elsewhere.example/PiConnectAPI", "FA1"),
        PAPER,
    ],
    ids=["account", "profile", "host", "paper"],
)
def test_g17_another_owner_is_refused_with_what_to_do(store: Store, other: Owner) -> None:
    claim(store, LIVE)
    with pytest.raises(ForeignDatabase) as refused:
        claim(store, other)
    assert str(LIVE) in str(refused.value)
    assert str(other) in str(refused.value)
    assert "[database] url" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert store.owner() == LIVE


def test_g17_paper_is_the_same_at_another_port(store: Store) -> None:
    claim(store, PAPER)
    for host in ("http://127.0.0.1:50002", "http://localhost:40001", ""):
        assert not claim(store, Owner.of("paper", host, "FA1")), host


def test_g17_a_host_is_the_same_in_capitals_and_at_another_path(store: Store) -> None:
    claim(store, LIVE)
    assert not claim(store, Owner.of("flattrade", "https://PiConnect.flattrade.in/PiConnectTP/", "FA1"))


def test_g17_an_exchange_on_this_machine_is_the_same_at_another_port_and_no_live_broker(store: Store) -> None:
    claim(store, Owner.of("flattrade", "http://127.0.0.1:40001/NorenWClientTP", "FA1"))
    assert not claim(store, Owner.of("flattrade", "http://127.0.0.1:50002/NorenWClientTP", "FA1"))
    with pytest.raises(ForeignDatabase):
        claim(store, LIVE)


def test_g17_a_broker_that_has_moved_keeps_its_database_when_a_person_says_so(store: Store) -> None:
    claim(store, LIVE)
    there = Owner.of("flattrade", "https://new.flattrade.in", "FA1")
    with pytest.raises(ForeignDatabase, match="db move"):
        claim(store, there)
    with store.transaction():
        assert store.move(there) == LIVE
    assert not claim(store, there)
    for other in (
        Owner.of("flattrade", "https://new.flattrade.in", "FA2"),
        Owner.of("zebu", "https://h", "FA1"),
        PAPER,
    ):
        with store.transaction(), pytest.raises(ForeignDatabase):
            store.move(other)


def test_g17_orders_of_another_account_say_whose_an_old_database_is(store: Store) -> None:
    registered(store, account="FA9")
    with pytest.raises(ForeignDatabase, match="FA9"):
        claim(store, LIVE)
    assert store.owner() is None
    assert claim(store, Owner.of("flattrade", LIVE.host, "FA9"))


def test_g17_an_old_database_that_paper_wrote_is_no_live_accounts(store: Store) -> None:
    registered(store)
    with store.transaction():
        store.database.write(
            "INSERT INTO external_closes (account, trading_day, strategy, exchange, symbol, product, quantity, price, "
            "broker_order_id, at) VALUES ('FA1', '2026-03-02', 's', 'NSE', 'INFY-EQ', 'MIS', -1, '1', "
            "'anew-20260302T034500-0', 'now')"
        )
    with pytest.raises(ForeignDatabase, match="paper"):
        claim(store, LIVE)
    assert claim(store, PAPER)


def test_g17_halts_breaches_and_losing_runs_are_the_accounts_own(store: Store) -> None:
    with store.transaction():
        store.halt("FA1", "max loss", "risk", T0)
        store.save_breach("FA1", Breach(DAY, Decimal(-1), Decimal(-1)))
        store.save_loss_run("FA1", LossRun("trend", 3, later(600)))
    assert (store.current_halt("FA2"), store.breach("FA2", DAY), store.loss_runs("FA2")) == (None, None, ())
    with store.transaction():
        assert store.halt("FA2", "lunch", "ravi", T0) == Halt("lunch", "ravi", T0)
        assert store.clear_halt("FA2", "ravi", later(1))
    assert store.current_halt("FA1") == Halt("max loss", "risk", T0)


def test_g17_what_an_older_program_remembered_of_risk_is_the_owners(new_url: Callable[[], str]) -> None:
    url = new_url()
    database = open_database(url)
    migrate(database, MIGRATIONS[:3])
    with database.transaction():
        database.write("INSERT INTO halts (reason, halted_by, at) VALUES ('max loss', 'risk', ?)", (T0.isoformat(),))
        database.write("INSERT INTO breaches (trading_day, pnl, loss_limit) VALUES ('2026-03-02', '-5', '-4')")
        database.write("INSERT INTO loss_runs (strategy, losses) VALUES ('trend', 2)")
    database.close()
    store = Store.open(url)
    assert claim(store, LIVE)
    assert store.current_halt("FA1") == Halt("max loss", "risk", T0)
    assert store.breach("FA1", DAY) is not None
    assert store.loss_runs("FA1") == (LossRun("trend", 2, None),)
    store.close()
