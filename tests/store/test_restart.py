"""What one run of the service leaves to the next."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from core.model.broker import BrokerStatus
from core.model.order import ExecutionType, Product, Side, Tag
from core.model.positions import Baseline, Correction, ExternalClose, ExternalFill
from core.store import Store
from tests.store.factories import DAY, T0, accepted, failed, fill, later, registered, report, sent


def filled(store: Store, quantity: int = 100) -> None:
    accepted(store)
    with store.transaction():
        store.report(
            "260302-r1-1", report(BrokerStatus.OPEN, filled_quantity=quantity), (fill("t1", quantity),), later(3), "l"
        )


def test_b10_a_fill_is_owed_until_it_is_taken_across_restarts(url: str, store: Store) -> None:
    filled(store, 40)
    with store.transaction():
        store.deliver_fill_later("trend", "260302-r1-1", fill("t1", 40))
        store.deliver_fill_later("trend", "260302-r1-1", fill("t1", 40))
    store.close()
    again = Store.open(url)
    [(order, pending)] = again.fills_to_deliver("FA1", "trend")
    assert (order.command_id, pending) == ("260302-r1-1", fill("t1", 40))
    assert again.fills_to_deliver("FA1", "other") == ()
    with again.transaction():
        again.fill_taken("260302-r1-1", "t1")
    assert again.fills_to_deliver("FA1", "trend") == ()
    again.close()


def test_b12_orders_that_ended_today_are_those_the_broker_may_show(store: Store) -> None:
    accepted(store)
    with store.transaction():
        store.report("260302-r1-1", report(BrokerStatus.CANCELLED, filled_quantity=0), (), later(3), "l")
    registered(store, "260302-r1-2", symbol="TCS-EQ")
    failed(store, "260302-r1-2", Tag.RISK_LIMITS_EXCEEDED)
    sent(store, "260302-r1-3", symbol="ACC-EQ")
    with store.transaction():
        store.absent("260302-r1-3", "not there", later(4), "l")
    assert [order.command_id for order in store.ended_orders("FA1", DAY)] == ["260302-r1-1", "260302-r1-3"]
    assert len(store.ended_orders("FA1", DAY.replace(day=1))) == 2
    assert store.ended_orders("FA1", DAY.replace(day=3)) == ()


def test_b7_an_order_whose_day_is_over_fails_with_the_tag_given(store: Store) -> None:
    sent(store)
    with store.transaction():
        order = store.absent("260302-r1-1", "its day is over", later(4), "l", Tag.BROKER_EXPIRED)
    assert order is not None
    assert order.tag is Tag.BROKER_EXPIRED


def test_b9_what_others_closed_is_taken_off_what_is_held(store: Store) -> None:
    filled(store)
    close = ExternalClose("trend", "NSE", "INFY-EQ", Product.MIS, -60, Decimal(1510), "26030200000009")
    with store.transaction():
        store.close_externally("FA1", close, DAY, T0)
    [(holding, price)] = store.held("FA1")
    assert (holding.quantity, price) == (40, Decimal("1500.50"))
    assert store.closes("FA1") == (("26030200000009", 60),)
    with store.transaction():
        store.close_externally("FA1", ExternalClose(*_key(close), -40, Decimal(1510), "10"), DAY, T0)
    assert store.held("FA1") == ()


def test_a_holding_comes_back_with_the_times_of_its_fills_and_corrections(store: Store) -> None:
    filled(store, 60)
    close = ExternalClose("trend", "NSE", "INFY-EQ", Product.MIS, -20, Decimal(1510), "26030200000009")
    with store.transaction():
        store.report(
            "260302-r1-1", report(BrokerStatus.COMPLETE, filled_quantity=100), (fill("t2", 40),), later(5), "l"
        )
        store.close_externally("FA1", close, DAY, later(9))
    [(holding, _)] = store.held("FA1")
    changes = store.with_changes("FA1", holding).changes
    assert changes == ((fill("t1", 60).at, 60), (fill("t2", 40).at, 40), (later(9), -20))
    assert sum(quantity for _, quantity in changes) == holding.quantity
    order = ExternalFill("26030200000009", -20, later(4), Decimal(1510))
    with store.transaction():
        store.put_baselines("FA1", [Baseline("NSE", "INFY-EQ", Product.MIS, -20, (order,))], later(9))
    assert store.with_changes("FA1", holding).changes[-1] == (later(4), -20), (
        "when its order filled, where that is known"
    )


def test_g1_what_an_exit_opened_stands_after_a_restart_since_then(store: Store) -> None:
    """Others sold 60 at 4 s, the EXIT fills 10 at 5 s, and both are recorded at 9 s: from 5 s on it is 10 short."""
    filled(store, 60)
    with store.transaction():
        for quantity in (-60, -10):
            close = ExternalClose("trend", "NSE", "INFY-EQ", Product.MIS, quantity, Decimal(1510), "26030200000009")
            store.close_externally("FA1", close, DAY, later(9))
        order = ExternalFill("26030200000009", -70, later(4), Decimal(1510))
        store.put_baselines("FA1", [Baseline("NSE", "INFY-EQ", Product.MIS, -70, (order,))], later(9))
    [(holding, _)] = store.held("FA1")
    changes = store.with_changes("FA1", holding).changes
    assert [one for one in changes if one[1] < 0] == [(later(4), -60), (later(4), -10)]


def overtaken(store: Store, day: date, kind: Correction = Correction.EXTERNAL_ORDER) -> None:
    """On that day the phone closed, or converted, a holding whose EXIT filled as well: the strategy is 100 short."""
    for number, (meant, side) in enumerate(((ExecutionType.ENTRY, Side.BUY), (ExecutionType.EXIT, Side.SELL)), 1):
        row, at_broker = f"old-{number}", f"2602010000000{number}"
        accepted(store, row, at_broker, execution_type=meant, side=side, product=Product.NRML, trading_day=day)
        told = report(BrokerStatus.COMPLETE, at_broker, filled_quantity=100)
        with store.transaction():
            store.report(row, told, (fill(f"old-t{number}", 100),), later(3 + number), "l")
    gone = ExternalClose("trend", "NSE", "INFY-EQ", Product.NRML, -100, Decimal(1510), "26020100000009", True, kind)
    with store.transaction():
        store.close_externally("FA1", gone, day, later(9))


@pytest.mark.parametrize("kind", [Correction.EXTERNAL_ORDER, Correction.EXIT_OPENED])
@pytest.mark.parametrize("days", [0, 1, 3, 40, 700])
def test_g1_what_an_exit_opened_is_known_on_every_later_day(store: Store, days: int, kind: Correction) -> None:
    """What a person closed of it since, as well: its mark is not lost with the day."""
    overtaken(store, DAY - timedelta(days=days), kind)
    mine = ("trend", "NSE", "INFY-EQ", Product.NRML)
    assert store.opened_by_exits("FA1", DAY) == {mine}
    part = ExternalClose(*mine, 30, Decimal(1510), "26020100000010")
    with store.transaction():
        store.close_externally("FA1", part, DAY, later(20))
    assert store.opened_by_exits("FA1", DAY) == {mine}
    assert store.opened_by_exits("OTHER", DAY) == frozenset()


def test_what_was_entered_on_an_earlier_day_was_not_opened_by_an_exit(store: Store) -> None:
    filled(store)
    assert store.opened_by_exits("FA1", DAY + timedelta(days=90)) == frozenset()


def _key(close: ExternalClose) -> tuple[str, str, str, Product]:
    return close.strategy, close.exchange, close.symbol, close.product


def test_b11_a_fill_beyond_what_the_broker_counts_is_not_booked_and_told(store: Store) -> None:
    filled(store, 40)
    with store.transaction():
        outcome = store.report(
            "260302-r1-1", report(BrokerStatus.OPEN, filled_quantity=40), (fill("other-id", 40),), later(4), "l"
        )
    assert outcome.new_fills == ()
    assert "other-id" in outcome.notes[0]
    assert outcome.order.filled_quantity == 40


def test_accounts_in_one_record_do_not_see_each_other(store: Store) -> None:
    filled(store, 40)
    with store.transaction():
        store.deliver_fill_later("trend", "260302-r1-1", fill("t1", 40))
    assert store.held("OTHER") == ()
    assert store.fills_to_deliver("OTHER", "trend") == ()
    assert store.ended_orders("OTHER", DAY) == ()
    assert store.open_orders(account="OTHER") == ()
