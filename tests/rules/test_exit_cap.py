"""The cap of an EXIT: the table of `docs/guarantees.md`, and what holds for any interleaving."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.messages import AccountRead
from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus
from core.model.order import ExecutionType, Order, Product, Side
from core.model.positions import Baseline, Correction, ExternalClose, ExternalFill, Holding, OwnFill
from core.rules.closes import Close, closings, determined, grown, room
from core.rules.exit_cap import ExitCap
from core.rules.exit_check import ExitChecks, Refused, Released, Unverified
from core.rules.guard import GuardBook, Passed
from core.rules.lines import Line, Stake
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

ENTRY, EXIT = ExecutionType.ENTRY, ExecutionType.EXIT
BUY, SELL = Side.BUY, Side.SELL
INFY = ("NSE", "INFY-EQ", Product.MIS)


def second(number: int) -> datetime:
    return NOON + timedelta(seconds=number)


class Account:
    """One account as the broker has it, beside the guard that trades in it. Each step is a second."""

    def __init__(self, product: Product = Product.MIS) -> None:
        self.product = product
        self.now = 0
        self.net = 0
        self.orders: list[BrokerOrderReport] = []
        self.recorded: dict[tuple[str, str, Product], Baseline] = {}
        self.used: dict[str, int] = {}
        self.corrected = 0
        self.book, self.cap = GuardBook(), ExitCap()
        self.in_flight: list[Order] = []
        self.unbooked: list[tuple[Order, datetime]] = []
        self.own = 0  # what is the strategies' own, by the words of law 6
        self.numbers = 0

    def _tick(self) -> datetime:
        self.now += 1
        return second(self.now)

    def phone(self, side: Side, quantity: int, product: Product | None = None) -> str:
        at = self._tick()
        self.numbers += 1
        number = f"E{self.numbers:04d}"
        self.orders.append(
            BrokerOrderReport(
                broker_order_id=number,
                client_tag=None,
                exchange="NSE",
                symbol="INFY-EQ",
                side=side,
                quantity=quantity,
                status=BrokerStatus.COMPLETE,
                raw_status="COMPLETE",
                filled_quantity=quantity,
                average_price=Decimal(1500),
                product=product or self.product,
                at=at,
            )
        )
        if product in (None, self.product):
            self.net += side.sign * quantity
            if side is SELL:
                self.own -= min(self.own, quantity)
        return number

    def rests(self, quantity: int) -> None:
        """A person's order to sell comes to rest. Its row keeps this time for as long as it is there."""
        self.phone(SELL, 0)
        self.orders[-1] = replace(self.orders[-1], quantity=quantity, status=BrokerStatus.OPEN, filled_quantity=0)

    def fills(self, quantity: int) -> None:
        """So much of what rests fills."""
        self._tick()
        row = self.orders[-1]
        self.orders[-1] = replace(row, filled_quantity=(row.filled_quantity or 0) + quantity)
        self.net -= quantity
        self.own -= min(self.own, quantity)

    def enter(self, strategy: str, quantity: int) -> bool:
        at = self._tick()
        order = an_order(an_intent(ENTRY, BUY, quantity, strategy=strategy, product=self.product), at=at)
        if not isinstance(self.book.check_and_reserve(order, at), Passed):
            return False
        self.book.note_sent(order)
        self.net += quantity
        self.own += quantity
        self._book_fill(order, at)
        return True

    def _book_fill(self, order: Order, at: datetime) -> None:
        filled = replace(order, filled_quantity=order.quantity)
        fill = a_fill(order.quantity, at=at)
        self.cap.note_fill(filled, fill, self.book.held_before(order), closes=self.book.closes(order))
        self.book.book_fill(order, fill, at)
        self.book.force_clear_symbol(order, at)

    def read(self) -> AccountRead:
        at = self._tick()
        own = [OwnFill(o.command_id, *INFY[:2], self.product, -1, 0, 0) for o in self.in_flight]
        own += [OwnFill(o.command_id, *INFY[:2], self.product, -1, o.quantity, 0) for o, _ in self.unbooked]
        positions: tuple[BrokerPosition, ...] = (a_position(self.net, product=self.product),)
        message = AccountRead(positions, tuple(self.orders), tuple(own), at, at, at)
        for base in self.cap.read(message, self.book):
            self.recorded[base.account] = base
        return message

    def correct(self) -> None:
        for close in self.cap.corrections(self.book):
            assert not close.beyond, "an EXIT went beyond the holding"
            self.used[close.broker_order_id] = self.used.get(close.broker_order_id, 0) + abs(close.quantity)
            self.corrected += close.quantity
            self.cap.note_close(close)
            self.book.book_external_close(close, second(self.now))

    def leave(self, strategy: str, quantity: int) -> int:
        """What of an EXIT is let go, after as many reads as it takes."""
        at = self._tick()
        order = an_order(an_intent(EXIT, SELL, quantity, strategy=strategy, product=self.product), at=at)
        verdict = self.book.check_and_reserve(order, at)
        if not isinstance(verdict, Passed):
            return 0
        checks = ExitChecks(send_unverified=False, within_s=1000.0)
        checks.begin(verdict.order, at)
        for _ in range(20):
            message = self.read()
            verdicts, _ = checks.step(self.cap, self.book, second(self.now), message)
            self.correct()
            if verdicts:
                break
            self.told()
        [settled] = verdicts
        if isinstance(settled, Refused):
            return 0
        assert isinstance(settled, Released)
        self.in_flight.append(settled.order)
        return settled.order.quantity

    def fill(self) -> None:
        """The exchange fills the oldest exit; nobody has told us."""
        if self.in_flight:
            order = self.in_flight.pop(0)
            self.net -= order.quantity
            self.own -= order.quantity
            self.unbooked.append((order, self._tick()))

    def told(self) -> None:
        """We learn of the oldest fill."""
        if self.unbooked:
            self._book_fill(*self.unbooked.pop(0))

    def restart(self, *, next_day: bool) -> None:
        """A new process knows what is recorded, and nothing else; the next day's book is empty."""
        while self.in_flight or self.unbooked:
            self.fill()
            self.told()
        if next_day:
            self.orders.clear()
        lines = [
            Holding(line.strategy, *INFY[:2], line.product, line.held, None, opened_at=self.book.opened_at_of(line))
            for line in self.book.lines()
        ]
        self.book, self.cap = GuardBook(), ExitCap()
        self.book.restore(lines, (), self._tick())
        self.cap.restore(self.recorded.values(), ((*INFY[:2], self.product, self.corrected),), self.used.items())


PRODUCTS = pytest.mark.parametrize("product", list(Product))


def test_g4_a_pushed_external_fill_counts_for_an_exit_until_a_book_shows_it() -> None:
    account = Account()
    account.enter("trend", 100)
    account.read()
    account.phone(SELL, 30)
    [pushed] = account.orders
    account.cap.note_pushed(pushed, second(account.now))
    order = an_order(an_intent(EXIT, SELL, 100, strategy="trend", product=Product.MIS))
    known = account.cap.judge(order, account.book, frozenset())
    assert (known.quantity, known.proven) == (70, True)
    account.read()
    assert account.cap.judge(order, account.book, frozenset()).quantity == 70, "once, and not twice"
    account.correct()
    account.cap.note_pushed(replace(pushed, broker_order_id="never shown"), second(account.now))
    told_at = second(account.now)
    account.now += 20
    message = account.read()
    assert account.cap.judge(order, account.book, frozenset()).quantity == 70
    account.cap.note_pushed(replace(pushed, broker_order_id="cleared"), message.asked_at)
    account.cap.read(replace(message, asked_at=told_at, orders_asked_at=second(account.now + 20)), account.book)
    assert account.cap.judge(order, account.book, frozenset()).quantity == 40, "these positions are of before"


@pytest.mark.parametrize("comes", [True, False])
def test_g4_an_exit_that_one_slow_read_denies_waits_once_more_for_the_second(comes: bool) -> None:
    """It was moved to another product, so that no order explains it: the account can be read, and slowly."""
    account = Account()
    account.enter("trend", 100)
    account.read()
    account.net = 0
    at = account._tick()
    verdict = account.book.check_and_reserve(an_order(an_intent(EXIT, SELL, 100, strategy="trend"), at=at), at)
    assert isinstance(verdict, Passed)
    checks = ExitChecks(send_unverified=True, within_s=3.0)
    checks.begin(verdict.order, at)
    assert checks.step(account.cap, account.book, second(account.now), account.read()) == ([], False)
    assert checks.step(account.cap, account.book, at + timedelta(seconds=3), None) == ([], False)
    read = account.read() if comes else None
    [settled], _ = checks.step(account.cap, account.book, at + timedelta(seconds=5 if comes else 6), read)
    if comes:
        assert isinstance(settled, Refused)
    else:
        assert isinstance(settled, Unverified)
        assert (settled.sent, settled.order.quantity) == (True, 100)


@pytest.mark.parametrize(("sold", "left"), [(30, 70), (100, 0), (0, 100)])
def test_g4_an_exit_that_goes_unverified_is_capped_by_what_earlier_reads_proved(sold: int, left: int) -> None:
    account = Account()
    account.enter("trend", 100)
    account.read()
    if sold:
        account.phone(SELL, sold)
    account.read()
    at = account._tick()
    verdict = account.book.check_and_reserve(an_order(an_intent(EXIT, SELL, 100, strategy="trend"), at=at), at)
    assert isinstance(verdict, Passed)
    checks = ExitChecks(send_unverified=True, within_s=3.0)
    checks.begin(verdict.order, at)
    [settled], _ = checks.step(account.cap, account.book, at + timedelta(seconds=3), None)
    if left:
        assert isinstance(settled, Unverified)
        assert (settled.sent, settled.order.quantity) == (True, left)
    else:
        assert isinstance(settled, Refused)


def test_g1_nothing_is_corrected_while_a_sale_and_a_purchase_of_ours_wait_to_be_booked() -> None:
    """They make up for each other in the position, and change whose it is."""
    account = Account()
    account.enter("gamma", 10)
    account.enter("steady", 20)
    account.phone(SELL, 30)
    at = second(account.now)
    own = tuple(OwnFill(name, *INFY[:2], Product.MIS, sign, 10, 0) for name, sign in (("exit", -1), ("adjust", 1)))
    message = AccountRead((a_position(0),), tuple(account.orders), own, at, at, at)
    for _ in range(3):
        account.cap.read(message, account.book)
        assert account.cap.corrections(account.book) == ()
    account.cap.read(replace(message, own=()), account.book)
    assert {close.strategy for close in account.cap.corrections(account.book)} == {"gamma", "steady"}


def test_b12_what_was_sold_before_a_late_fill_is_booked_closes_what_that_fill_opened() -> None:
    """An order that was given up filled, and a person sold what it bought; the book shows both at once."""
    account = Account()
    account.read()
    filled_at = account._tick()
    account.phone(SELL, 10)
    at = account._tick()
    own = (OwnFill("entry", *INFY[:2], Product.MIS, 1, 10, 0),)
    account.cap.read(AccountRead((a_position(0),), tuple(account.orders), own, at, at, at), account.book)
    order = an_order(an_intent(ENTRY, BUY, 10, strategy="alpha", product=Product.MIS), at=filled_at)
    account._book_fill(order, filled_at)
    account.net = 0
    account.read()
    [close] = account.cap.corrections(account.book)
    assert (close.strategy, close.quantity) == ("alpha", -10)


def test_g1_what_positions_showed_before_the_orders_of_it_is_still_told_of_an_exit() -> None:
    """A person sold twice 10, the EXIT 10 in the same second; the order book could not be read for a while."""
    account = Account()
    assert account.enter("alpha", 10)
    account.read()
    assert account.leave("alpha", 10) == 10
    [leaving] = account.in_flight
    account.phone(SELL, 10)
    at = second(account.now)
    account.orders.append(replace(account.orders[-1], broker_order_id="E9", at=at))
    unread, account.orders = account.orders, []
    account.net = -20
    account.in_flight = []
    account._book_fill(leaving, at)
    account.read()
    account.read()
    account.orders = unread
    account.read()
    closes = [close for _ in range(2) for close in account.cap.corrections(account.book) if account.read()]
    assert [(close.strategy, close.quantity, close.beyond) for close in closes[:1]] == [("alpha", -10, True)]


def test_g12_one_read_of_positions_told_twice_is_no_second_read() -> None:
    """Positions that were asked for before the fill, told once more beside the order book that an EXIT asked for."""
    account = Account()
    stale = replace(account.read(), asked_at=account._tick())
    account.enter("trend", 100)
    account.cap.read(stale, account.book)
    at = account._tick()
    verdict = account.book.check_and_reserve(an_order(an_intent(EXIT, SELL, 100, strategy="trend"), at=at), at)
    assert isinstance(verdict, Passed)
    checks = ExitChecks(send_unverified=True, within_s=3.0)
    checks.begin(verdict.order, at)
    again = replace(stale, orders_asked_at=account._tick())
    for _ in range(2):
        account.cap.read(again, account.book)
        assert checks.step(account.cap, account.book, second(account.now), again)[0] == []
    [settled], _ = checks.step(account.cap, account.book, at + timedelta(seconds=3), None)
    assert isinstance(settled, Unverified), "one answer refuses no EXIT"
    assert (settled.sent, settled.order.quantity) == (True, 100)


@PRODUCTS
def test_table_a_position_that_stood_before_the_entry_blocks_no_exit(product: Product) -> None:
    for side in (BUY, SELL):
        account = Account(product)
        account.phone(side, 70)
        account.read()
        account.enter("alpha", 100)
        assert account.leave("alpha", 100) == 100


@PRODUCTS
def test_table_what_is_bought_beside_the_holding_stays(product: Product) -> None:
    account = Account(product)
    account.enter("alpha", 100)
    account.phone(BUY, 100)
    assert account.leave("alpha", 100) == 100


@PRODUCTS
@pytest.mark.parametrize(("sold", "left"), [(30, 70), (100, 0), (130, 0)])
def test_table_what_is_sold_of_the_holding_is_closed(product: Product, sold: int, left: int) -> None:
    account = Account(product)
    account.enter("alpha", 100)
    account.phone(SELL, sold)
    assert account.leave("alpha", 100) == left


def test_table_sold_after_something_was_bought_beside_it_closes_the_holding_first() -> None:
    account = Account()
    account.enter("alpha", 100)
    account.phone(BUY, 100)
    account.phone(SELL, 100)
    assert account.leave("alpha", 100) == 0


def test_table_another_product_closes_nothing() -> None:
    account = Account()
    account.enter("alpha", 100)
    account.phone(SELL, 100, Product.NRML)
    assert account.leave("alpha", 100) == 100


def test_g14_an_external_round_trip_before_the_entry_explains_nothing_later() -> None:
    account = Account()
    account.phone(BUY, 100)
    account.phone(SELL, 100)
    account.read()
    account.enter("alpha", 100)
    account.net -= 100  # by no order: a conversion
    account.read()
    account.read()
    account.correct()
    assert [line.held for line in account.book.lines()] == [100], "nothing is booked for an order of before the entry"
    assert account.leave("alpha", 100) == 0, "and still no EXIT opens a position"


@pytest.mark.parametrize(("before", "after", "left"), [(0, 100, 0), (50, 50, 50), (50, 0, 100), (0, 30, 70)])
@pytest.mark.parametrize("restart", [False, True])
def test_g1_what_an_order_of_before_the_entry_fills_after_it_closes_the_holding(
    before: int, after: int, left: int, restart: bool
) -> None:
    """Its row may keep the time at which it was placed: the fill is judged, not the order."""
    account = Account()
    account.rests(100)
    account.read()
    if before:
        account.fills(before)
        account.read()
    account.now += 5
    assert account.enter("alpha", 100)
    account.read()
    account.now += 5
    if restart:
        account.restart(next_day=False)
    if after:
        account.fills(after)
    assert account.leave("alpha", 100) == left
    account.fill()
    assert account.net == -before


@pytest.mark.parametrize(("told", "left"), [(30, 100), (20, 70), (None, 70)])
def test_g1_the_time_of_a_pushed_trade_counts_where_the_book_keeps_that_of_its_order(
    told: int | None, left: int
) -> None:
    account = Account()
    account.rests(30)
    account.now += 5
    account.read()
    account.fills(30)
    at = second(account.now)
    account.cap.note_pushed(replace(account.orders[-1], filled_quantity=told or 30), at, at if told else None)
    account.now += 5
    assert account.enter("alpha", 100)
    account.read()
    assert account.leave("alpha", 100) == left


@pytest.mark.parametrize(("used", "free"), [(0, 20), (30, 20)])
def test_g1_what_an_order_filled_before_the_entry_closes_nothing_when_more_of_it_fills(used: int, free: int) -> None:
    """It was seen while another strategy held, who left before alpha entered: nobody who holds had lost that."""
    before = ExternalFill("E1", -30, second(5), Decimal(1500))
    alpha = Stake("alpha", 100, 0, second(10))
    now = grown(before, replace(before, quantity=-50), (alpha,), used, second(12))
    assert [close.quantity for close in closings((alpha,), (now,), {"E1": used}, -1)] == [free]


def test_a_holding_began_with_what_was_added_after_others_had_closed_all_of_it() -> None:
    line = Line()
    for quantity, at in ((-20, 12), (-10, 16)):
        line.change(quantity, second(at))
    line.opened_at = second(12)
    line.change_by_other(20, second(14))
    assert (line.held, line.opened_at) == (-10, second(16))
    line.change_by_other(4, second(17))
    assert (line.held, line.opened_at) == (-6, second(16))


@pytest.mark.parametrize("at", [12, 13, 16, 17])
def test_a_holding_of_which_others_left_something_began_with_its_first_fill(at: int) -> None:
    line = Line()
    for quantity, moment in ((-20, 12), (-10, 16)):
        line.change(quantity, second(moment))
    line.change_by_other(15, second(at))
    assert line.opened_at == second(12)


def test_g1_an_order_that_rests_through_an_exit_closes_what_is_entered_next() -> None:
    account = Account()
    assert account.enter("alpha", 100)
    account.rests(100)
    account.read()
    assert account.leave("alpha", 100) == 100
    account.fill()
    account.told()
    account.read()
    account.now += 5
    assert account.enter("alpha", 100)
    account.read()
    account.now += 5
    account.fills(100)
    assert account.leave("alpha", 100) == 0
    assert account.net == 0


def test_g1_an_order_that_rested_before_a_second_entered_closes_of_both() -> None:
    account = Account()
    assert account.enter("beta", 50)
    account.rests(100)
    account.read()
    account.now += 5
    assert account.enter("alpha", 50)
    account.read()
    account.now += 5
    account.fills(100)
    assert account.leave("alpha", 50) == 0
    assert account.net == 0


@pytest.mark.parametrize("later", [0, 1])
def test_what_exits_opened_after_an_external_order_is_their_strategies(later: int) -> None:
    """Two hold 50 each and exit 50 and 8; the phone's 92 fill before both, and are seen when they are booked."""
    account = Account()
    assert account.enter("alpha", 50)
    assert account.enter("beta", 50)
    account.read()
    assert account.leave("alpha", 50) == 50
    assert account.leave("beta", 8) == 8
    account.phone(SELL, 92)
    account.now -= 1 - later  # the same second, or the next
    for _ in range(2):
        account.fill()
        account.now -= 1
        account.told()
    found = []
    for _ in range(5):
        account.read()
        for close in account.cap.corrections(account.book):
            account.cap.note_close(close)
            account.book.book_external_close(close, second(account.now))
            account.cap.note_drained(close, account.book)
            found.append((close.strategy, close.quantity, close.beyond))
    assert sum(quantity for _, quantity, _ in found) == -92
    assert account.book.held_in(INFY) == account.net == -50
    assert ("beta", -42, False) in found


def test_b12_an_exit_that_fills_after_its_end_is_not_repeated_before_it_is_booked() -> None:
    account = Account()
    assert account.enter("alpha", 50)
    account.read()
    assert account.leave("alpha", 50) == 50
    [ended] = account.in_flight
    account.book.force_clear_symbol(ended, second(account.now))
    account.fill()
    order = an_order(an_intent(EXIT, SELL, 50, strategy="alpha", product=Product.MIS))
    account.read()
    account.read()
    left = account.cap.judge(order, account.book, frozenset())
    assert (left.quantity, left.proven) == (0, False), "its trades are still to be read"


def test_g2_what_was_nobodys_of_a_position_is_gone_with_it_at_the_end_of_the_brokers_day() -> None:
    """5 are a person's, who sold them last of all: the broker cleared that order and the positions at once."""
    account = Account()
    account.phone(BUY, 5)
    account.read()
    assert account.enter("alpha", 20)
    account.read()
    account.orders, account.net = [], 0
    order = an_order(an_intent(EXIT, SELL, 20, strategy="alpha", product=Product.MIS), at=account._tick())
    for _ in range(3):
        account.read()
        assert account.cap.judge(order, account.book, frozenset()).quantity == 0
    assert account.enter("beta", 10)
    assert account.leave("beta", 10) == 10, "what is bought from then on can be left"


def test_g2_what_closed_a_holding_is_not_nobodys_when_the_position_is_gone() -> None:
    """A person sold 7 where alpha held 5: 2 of it are his. Of beta's 10 and his -2 nothing is left then."""
    account = Account()
    assert account.enter("alpha", 5)
    account.read()
    account.phone(SELL, 7)
    account.read()
    account.correct()
    assert account.book.held_in(INFY) == 0
    account.read()
    assert account.enter("beta", 10)
    account.read()
    account.net = 0
    for _ in range(3):
        account.read()
    assert account.enter("gamma", 10)
    assert account.leave("gamma", 10) == 10


def test_g2_what_is_nobodys_stays_where_an_old_read_showed_nothing_of_the_position() -> None:
    """A person bought 5 beside alpha's 50, and 25 left without an order: 25 of the 30 that are there are alpha's."""
    account = Account()
    account.read()
    assert account.enter("alpha", 50)
    account.phone(BUY, 5)
    account.net = 0
    message = account.read()
    account.cap.read(message, account.book)
    account.net = 30
    assert account.leave("alpha", 50) == 25


def test_g2_who_entered_later_lost_nothing_to_what_nobody_explains() -> None:
    """30 of alpha's are gone without an order; then alpha buys 10 more and beta 1: alpha may leave 10, not 11."""
    stakes = [Stake("alpha", 40, 0, second(1)), Stake("beta", 1, 0, second(9))]
    assert room(stakes, [], 30, "alpha", {"alpha": 30}) == 10
    assert room(stakes, [], 30, "beta", {"alpha": 30}) == 1
    assert room(stakes, [], 30, "alpha") == 11
    assert room(stakes, [], 30, "alpha", {"alpha": 30, "beta": 1}) == 11, "both held then"


def test_g2_what_nobody_explains_was_lost_by_those_who_held_when_it_was_seen() -> None:
    account = Account()
    assert account.enter("alpha", 30)
    account.read()
    account.net = 0
    account.read()
    assert account.enter("beta", 11)
    left = an_order(an_intent(EXIT, SELL, 30, strategy="alpha", product=Product.MIS), at=account._tick())
    for _ in range(3):
        account.read()
        assert account.cap.judge(left, account.book, frozenset()).quantity == 0
    assert account.leave("beta", 11) == 11


def test_g2_an_empty_book_that_is_not_true_takes_nothing_along() -> None:
    account = Account()
    account.phone(SELL, 5)
    account.read()
    assert account.enter("alpha", 20)
    account.read()
    account.net = 0
    account.read()
    account.net = 15
    assert account.leave("alpha", 20) == 20, "5 were sold before the entry"


def test_what_an_exit_opened_and_the_phone_took_elsewhere_is_not_closed_again() -> None:
    """The phone closed the holding, the EXIT opened 50 more, and these went away before anything was read."""
    account = Account()
    assert account.enter("alpha", 50)
    account.read()
    assert account.leave("alpha", 50) == 50
    account.phone(SELL, 50)
    account.fill()
    account.told()
    account.net = 0
    for _ in range(3):
        account.read()
        for close in account.cap.corrections(account.book):
            account.cap.note_close(close)
            account.book.book_external_close(close, second(account.now))
    assert account.book.held_in(INFY) == -50, "what the EXIT opened is its strategy's"
    at = account._tick()
    order = an_order(an_intent(EXIT, BUY, 50, strategy="alpha", product=Product.MIS), at=at)
    assert account.cap.judge(order, account.book, frozenset()).quantity == 0


def test_what_an_exit_opened_is_told_though_another_strategy_has_entered_since() -> None:
    """The phone sells 10 of alpha's 20 before alpha exits 20; beta, who enters after both, cannot have lost them."""
    account = Account()
    assert account.enter("alpha", 20)
    assert account.leave("alpha", 20) == 20
    account.phone(SELL, 10)
    account.fill()
    account.told()
    assert account.enter("beta", 50)
    account.read()
    assert account.cap.corrections(account.book) == (), "the account would net alpha's 10 against beta's 50"
    [close] = account.cap.beside.values()
    assert (close.strategy, close.quantity) == ("alpha", -10)
    assert account.leave("beta", 50) == 50
    account.fill()
    account.told()
    account.read()
    [close] = account.cap.corrections(account.book)
    assert (close.strategy, close.quantity, close.beyond) == ("alpha", -10, True)
    assert account.cap.beside == {}


@pytest.mark.parametrize(("exited", "opened"), [(20, 0), (30, 10), (60, 40)])
def test_what_was_entered_after_an_external_order_was_not_closed_by_it(exited: int, opened: int) -> None:
    """The phone sells more than the 40 that alpha has; of the 20 that it adds then, nothing is gone."""
    account = Account()
    assert account.enter("alpha", 40)
    account.read()
    for _ in range(4):
        account.phone(SELL, 41)
    at = account._tick()
    account._book_fill(an_order(an_intent(ExecutionType.ADJUST, BUY, 20, strategy="alpha"), at=at), at)
    at = account._tick()
    account._book_fill(an_order(an_intent(EXIT, SELL, exited, strategy="alpha"), at=at), at)
    account.net += 20 - exited
    found = []
    for _ in range(6):
        account.read()
        for close in account.cap.corrections(account.book):
            account.cap.note_close(close)
            account.book.book_external_close(close, second(account.now), second(3))
            found.append((close.quantity, close.beyond))
    assert -sum(quantity for quantity, beyond in found if beyond) == opened
    assert account.book.held_in(INFY) == -opened


def test_an_equal_second_counts_as_later() -> None:
    stake = Stake("alpha", 100, 0, second(5) + timedelta(milliseconds=300))
    close = ExternalFill("E1", -100, second(5), Decimal(1))
    assert determined([stake], [Close(close, 100)]) == [("alpha", Close(close, 100))]


def test_what_was_added_to_a_holding_after_a_sale_was_not_closed_by_it() -> None:
    """Alpha adds 10 after the phone sold 45 of the 30 that were there; the same second counts as there."""
    stakes = [
        Stake("alpha", 30, 0, second(1), ((second(1), 20), (second(9), 10))),
        Stake("beta", 10, 0, second(2), ((second(2), 10),)),
    ]
    closes = [Close(ExternalFill("E1", -45, second(5), Decimal(1)), 45)]
    assert [(who, close.quantity) for who, close in determined(stakes, closes)] == [("alpha", 20), ("beta", 10)]
    assert room(stakes, closes, 0, "alpha") == 10
    same_second = [Close(ExternalFill("E1", -45, second(9), Decimal(1)), 45)]
    assert room(stakes, same_second, 0, "alpha") == 0


def test_what_an_exit_and_an_entry_left_after_a_sale_does_not_hide_that_it_closed_all() -> None:
    stake = Stake("alpha", 20, 0, second(1), ((second(1), 20), (second(6), -10), (second(7), 10)))
    assert room([stake], [Close(ExternalFill("E1", -20, second(5), Decimal(1)), 20)], 0, "alpha") == 0


def test_what_was_sold_before_the_second_entered_is_the_first_ones_loss() -> None:
    stakes = [Stake("alpha", 50, 0, second(1)), Stake("beta", 50, 0, second(9))]
    closes = [Close(ExternalFill("E1", -30, second(5), Decimal(1)), 30)]
    assert room(stakes, closes, 0, "alpha") == 20
    assert room(stakes, closes, 0, "beta") == 50
    assert determined(stakes, closes) == [("alpha", closes[0])]


def test_what_the_others_cannot_have_lost_is_the_rests_loss() -> None:
    """The phone buys 320 when 286 and 20 are short; beta, the older, goes 20 more short then."""
    was, now = (second(1), 20), (second(9), 20)
    stakes = [Stake("beta", 40, 0, second(1), (was, now)), Stake("alpha", 286, 0, second(2))]
    closes = [Close(ExternalFill("E1", 320, second(5), Decimal(1)), 320)]
    assert room(stakes, closes, 0, "alpha") == 0
    assert room(stakes, closes, 0, "beta") == 20


def test_a_part_of_what_two_hold_is_nobodys_and_counts_for_both() -> None:
    stakes = [Stake("alpha", 50, 0, second(1)), Stake("beta", 50, 0, second(2))]
    closes = [Close(ExternalFill("E1", -50, second(5), Decimal(1)), 50)]
    assert determined(stakes, closes) == []
    assert room(stakes, closes, 0, "beta") == 50
    assert room([replace(stakes[0], leaving=50), stakes[1]], closes, 0, "beta") == 0


@pytest.mark.parametrize("next_day", [False, True])
@pytest.mark.parametrize("sold", [40, 100])
def test_g2_what_was_sold_while_the_service_was_down_is_not_closed_again(next_day: bool, sold: int) -> None:
    account = Account()
    account.enter("alpha", 100)
    account.read()
    account.phone(SELL, sold)
    account.restart(next_day=next_day)
    assert account.leave("alpha", 100) == 100 - sold


def test_one_read_that_shows_less_decides_nothing() -> None:
    account = Account()
    account.enter("alpha", 100)
    account.read()
    account.net = 0
    account.read()
    account.net = 100
    assert account.leave("alpha", 100) == 100


_NAMES = st.sampled_from(["alpha", "beta"])
_UNITS = st.sampled_from([10, 30, 50, 70])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), _NAMES, _UNITS),
        st.tuples(st.just("leave"), _NAMES, _UNITS),
        st.tuples(st.just("phone"), st.sampled_from([BUY, SELL]), _UNITS),
        st.tuples(st.sampled_from(["fill", "told", "read", "restart", "next day"]), st.none(), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(_STEPS)
def test_no_exit_takes_the_account_past_what_is_not_the_strategies_own(steps: list[tuple[str, object, object]]) -> None:
    account = Account()
    account.read()
    for what, who, units in steps:
        match what, who, units:
            case "enter", str(name), int(quantity):
                account.enter(name, quantity)
            case "leave", str(name), int(quantity):
                # What works at the exchange may still be overtaken by the phone: nobody can call it back.
                while account.in_flight:
                    account.fill()
                unbooked = sum(order.quantity for order, _ in account.unbooked)
                lost = account.book.held_in(INFY) - unbooked - account.own
                held = sum(line.held + line.reserved for line in account.book.lines() if line.strategy == name)
                went = account.leave(name, quantity)
                while account.in_flight:
                    account.fill()
                assert account.own >= 0, "the account went past what is the strategies' own"
                assert went >= min(quantity, held - lost), "an EXIT was cut for what nobody closed"
            case "phone", Side() as side, int(quantity):
                account.phone(side, quantity)
            case "read", _, _:
                account.read()
                account.correct()
            case "restart" | "next day", _, _:
                # The service reads each second while it lives.
                account.read()
                account.restart(next_day=what == "next day")
            case "fill" | "told", _, _:
                account.fill()
                account.told()


@pytest.mark.parametrize("seconds", [0, 2])
def test_what_filled_in_the_second_of_an_exit_is_not_said_to_have_filled_before_it(seconds: int) -> None:
    account = Account()
    assert account.enter("alpha", 50)
    assert account.leave("alpha", 50) == 50
    account.phone(SELL, 50)
    account.now += seconds - 1  # the EXIT's fill is a second later than this
    account.fill()
    account.told()
    account.read()
    [close] = account.cap.corrections(account.book)
    assert close.beyond
    assert ("cannot be told" in close.note) is (seconds == 0)


@pytest.mark.parametrize(
    ("kind", "number", "product", "told"),
    [
        (Correction.EXTERNAL_ORDER, "E1", Product.MIS, "external order E1 closed 50 INFY-EQ MIS"),
        (Correction.WRITTEN_OFF, "", Product.MIS, "a person wrote off 50 INFY-EQ MIS"),
        (Correction.EXPIRED, "", Product.MIS, "the end of its trading day closed 50 INFY-EQ MIS"),
        (Correction.EXPIRED, "", Product.NRML, "the contract's end closed 50 INFY-EQ NRML"),
    ],
)
def test_an_exit_of_what_is_gone_is_told_who_closed_it(
    kind: Correction, number: str, product: Product, told: str
) -> None:
    cap = ExitCap()
    cap.note_close(ExternalClose("alpha", *INFY[:2], product, -50, Decimal(1500), number, kind=kind))
    assert cap.closed_of(an_order(an_intent(EXIT, SELL, 50, product=product))) == told


def test_positions_that_trail_the_orders_do_not_say_which_filled_first() -> None:
    account = Account()
    assert account.enter("alpha", 50)
    assert account.leave("alpha", 50) == 50
    account.phone(SELL, 50)
    account.now -= 1
    account.fill()
    account.told()
    account.net += 100
    for _ in range(4):
        account.read()
        assert account.cap.corrections(account.book) == ()
    account.net -= 100
    account.read()
    [close] = account.cap.corrections(account.book)
    assert (close.strategy, close.quantity, close.beyond) == ("alpha", -50, True)


def left_to_close(account: Account) -> int:
    order = an_order(an_intent(EXIT, SELL, 50, strategy="alpha", product=Product.MIS), at=account._tick())
    return account.cap.judge(order, account.book, frozenset()).quantity


def test_what_positions_show_before_the_order_book_does_not_hide_a_loss() -> None:
    account = Account()
    assert account.enter("alpha", 50)
    account.read()
    account.net -= 10  # by no order
    account.read()
    account.read()
    assert left_to_close(account) == 40
    account.net += 30  # by an order that the book does not show yet
    account.read()
    assert left_to_close(account) == 40
    account.phone(BUY, 30)
    account.net -= 30
    account.read()
    assert left_to_close(account) == 40


def test_what_the_order_book_shows_after_the_positions_does_not_hide_a_loss() -> None:
    account = Account()
    account.phone(SELL, 5)
    late = account.orders.pop()
    account.read()
    assert account.enter("alpha", 50)
    account.orders.append(late)
    account.read()
    account.net -= 9  # by no order, before it is clear what the late row means
    account.read()
    account.read()
    assert left_to_close(account) == 41
