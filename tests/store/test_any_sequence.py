"""Any sequence of operations, sensible or not, keeps laws 3, 4 and 7, and `check` finds nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from core.model.broker import BrokerStatus
from core.model.order import FINAL, ExecutionType, Fill, Order, Product, Side, Status, Tag
from core.store import IllegalChange, KeyTaken, NotMarked, NumberConflict, Store, check
from tests.store.factories import an_order, later, report

NUMBERS = st.sampled_from(["N1", "N2", "N3", "N4"])
FILLS = st.lists(
    st.builds(
        Fill,
        st.sampled_from(["t1", "t2", "t3", "t4", "t5"]),
        st.integers(0, 70),
        st.decimals("0.05", "5000", places=4),
        st.just(later(0)),
    ),
    max_size=3,
).map(tuple)


class Undone(Exception):
    """Raised inside a savepoint, to see that it undoes what was done in it."""


class AnySequence(RuleBasedStateMachine):
    """A few strategies and symbols, so that orders get in each other's way."""

    new_url: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(self.new_url())
        self.orders: list[Order] = []
        self.ends: dict[str, tuple[Status, Tag | None]] = {}
        self.seconds = 0

    def teardown(self) -> None:
        self.store.close()

    def at(self) -> float:
        self.seconds += 1
        return float(self.seconds)

    def change(self, operation: Callable[[], object], undo: bool) -> object:
        """One operation in its savepoint, as OrderRepo does it; sometimes undone after it was done."""
        before = self.told()
        result: object = None
        with self.store.transaction(), contextlib.suppress(Undone, IllegalChange, KeyTaken), self.store.savepoint():
            result = operation()
            if undo:
                raise Undone
        if undo:
            assert self.told() == before
        return result

    def told(self) -> object:
        return self.store.rows(), self.store.lots(), [self.store.row(order.command_id) for order in self.orders]

    @rule(
        strategy=st.sampled_from(["trend", "mean"]),
        symbol=st.sampled_from(["INFY-EQ", "TCS-EQ"]),
        kind=st.sampled_from(ExecutionType),
        side=st.sampled_from(Side),
        quantity=st.integers(1, 100),
        key=st.sampled_from([None, "k1", "k2"]),
        undo=st.booleans(),
    )
    def register(
        self, *, strategy: str, symbol: str, kind: ExecutionType, side: Side, quantity: int, key: str | None, undo: bool
    ) -> None:
        order = an_order(
            f"c{len(self.orders):03}{self.seconds}",
            strategy=strategy,
            symbol=symbol,
            execution_type=kind,
            side=side,
            quantity=quantity,
            product=None if kind is ExecutionType.EXIT else Product.MIS,
            idempotency_key=key,
            deadline=later(self.seconds + 20),
        )
        result = self.change(lambda: self.store.register(order, later(self.at()), "envelope"), undo)
        if undo:
            return
        if result is None:
            # Another order under a key that is used already leaves nothing behind (scenario G8).
            assert any(known.intent.idempotency_key == key for known in self.orders)
            assert self.store.row(order.command_id) is None
            return
        assert isinstance(result, Order)
        if result.command_id == order.command_id:
            self.orders.append(result)
        else:
            assert result.intent.idempotency_key == key

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        cut=st.integers(1, 100),
        most=st.sampled_from([0, 0, 20, 40]),
        parallel=st.booleans(),
        undo=st.booleans(),
    )
    def mark_sent(self, *, data: st.DataObject, cut: int, most: int, parallel: bool, undo: bool) -> None:
        order = data.draw(st.sampled_from(self.orders))
        to_send = replace(order, product=Product.MIS, quantity=min(cut, order.quantity), most_at_once=most)
        at = later(self.at())
        result = self.change(lambda: self.store.mark_sent(to_send, at, "envelope", in_parallel=parallel), undo)
        assert isinstance(result, (Order, NotMarked))
        if isinstance(result, Order):
            assert sum(one.quantity for one in result.at_broker) == result.quantity
            assert result == self.store.order(order.command_id) or undo

    def broker_order(self, data: st.DataObject) -> tuple[str, int]:
        """A command, and which of its broker orders."""
        order = data.draw(st.sampled_from(self.orders))
        stands = self.store.order(order.command_id)
        assert stands is not None
        return order.command_id, data.draw(st.integers(1, stands.parts))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), stop=st.booleans(), undo=st.booleans())
    def rest(self, data: st.DataObject, stop: bool, undo: bool) -> None:
        name, at = data.draw(st.sampled_from(self.orders)).command_id, later(self.at())
        if stop:
            self.change(lambda: self.store.stop_rest(name, Tag.NEVER_SENT, "stopped", at, "envelope"), undo)
        else:
            self.change(lambda: self.store.mark_next(name, at, "envelope", at), undo)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), number=NUMBERS, undo=st.booleans())
    def accept(self, data: st.DataObject, number: str, undo: bool) -> None:
        name, part = self.broker_order(data)
        result = self.change(lambda: self.store.accept(name, number, later(self.at()), "envelope", part), undo)
        if isinstance(result, Order):
            assert result.at_broker[part - 1].broker_order_id == number
        elif isinstance(result, NumberConflict):
            assert result.order.command_id == name

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), what=st.sampled_from(["unknown", "absent", "fail"]), undo=st.booleans())
    def outcome(self, data: st.DataObject, what: str, undo: bool) -> None:
        name, part = self.broker_order(data)
        at = later(self.at())
        if what == "unknown":
            self.change(lambda: self.store.mark_unknown(name, "timeout", at, "envelope", part), undo)
        elif what == "absent":
            self.change(lambda: self.store.absent(name, "not there", at, "envelope", part=part), undo)
        else:
            expected = data.draw(st.sampled_from(Status).filter(lambda status: status not in FINAL))
            tag = data.draw(st.sampled_from(Tag).filter(lambda tag: tag is not Tag.VALIDATION_FAILED))
            self.change(lambda: self.store.fail(name, expected, tag, "because", at, "envelope", part), undo)

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        status=st.sampled_from(BrokerStatus),
        number=NUMBERS,
        filled=st.none() | st.integers(0, 120),
        fills=FILLS,
        undo=st.booleans(),
    )
    def report(
        self,
        *,
        data: st.DataObject,
        status: BrokerStatus,
        number: str,
        filled: int | None,
        fills: tuple[Fill, ...],
        undo: bool,
    ) -> None:
        name, part = self.broker_order(data)
        told = report(status, number, filled_quantity=filled)
        self.change(lambda: self.store.report(name, told, fills, later(self.at()), "envelope", part), undo)

    @rule(halted=st.booleans(), undo=st.booleans())
    def halt(self, halted: bool, undo: bool) -> None:
        at = later(self.at())
        if halted:
            self.change(lambda: self.store.halt("FA1", "stop", "somebody", at), undo)
        else:
            self.change(lambda: self.store.clear_halt("FA1", "somebody", at), undo)

    @invariant()
    def check_finds_nothing(self) -> None:
        assert check(self.store) == []

    @invariant()
    def law_3_an_end_is_an_end(self) -> None:
        for order in self.orders:
            stands = self.store.order(order.command_id)
            assert stands is not None
            if stands.is_final:
                end = self.ends.setdefault(order.command_id, (stands.status, stands.tag))
                assert (stands.status, stands.tag) == end
            else:
                assert order.command_id not in self.ends

    @invariant()
    def law_4_one_open_order_of_a_strategy_and_symbol(self) -> None:
        places = [(order.account, order.strategy, order.exchange, order.symbol) for order in self.store.open_orders()]
        assert len(places) == len(set(places))

    @invariant()
    def law_7_every_end_is_explained(self) -> None:
        for row in self.store.rows():
            if row["status"] == "FAILED":
                assert row["tag"]
                assert row["reason"]
            if row["status"] == "EXECUTED":
                assert row["broker_order_id"]
                assert row["filled_quantity"] > 0
                assert Decimal(row["average_price"]) > 0

    @invariant()
    def holdings_are_the_signed_sum_of_fills(self) -> None:
        held: dict[tuple[str, str], int] = {}
        for row in self.store.rows():
            found = self.store.row(row["command_id"])
            assert found is not None
            signed = sum(fill["quantity"] for fill in found["fills"]) * Side(row["side"]).sign
            place = (row["strategy"], row["symbol"])
            held[place] = held.get(place, 0) + signed
        holdings = {(holding.strategy, holding.symbol): holding.quantity for holding in self.store.holdings()}
        assert holdings == {place: quantity for place, quantity in held.items() if quantity}


def test_any_sequence_of_operations_keeps_the_laws(new_url: Callable[[], str], engine: str) -> None:
    machine = type("AnySequenceHere", (AnySequence,), {"new_url": staticmethod(new_url)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40 if engine == "sqlite" else 10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
