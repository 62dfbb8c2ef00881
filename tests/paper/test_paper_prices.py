"""Prices, the synthetic order book, and recorded ticks."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.paper.config import ExchangeConfig, PriceSource, Tick
from core.paper.instruments import Instrument, Master, shipped_closes, shipped_master
from core.paper.prices import Prices, to_tick
from core.paper.ticks import parse_ticks
from tests.paper.world import START, World

MASTER = Master(shipped_master(START.date()))


def prices(seed: int = 1, **config: object) -> Prices:
    return Prices(ExchangeConfig.model_validate(config), MASTER, shipped_closes(), START, seed)


def contract(exch: str, tsym: str) -> Instrument:
    found = MASTER.by_tsym(exch, tsym)
    assert found is not None
    return found


INFY = contract("NSE", "INFY-EQ")
CALL = contract("NFO", "NIFTY09NOV26C26000")
PUT = contract("NFO", "NIFTY09NOV26P26000")
FUTURE = contract("NFO", "NIFTY29DEC26F")


def test_the_walk_is_the_same_for_one_seed_and_another_for_another() -> None:
    first, again, other = prices(1), prices(1), prices(2)
    path = [first.last(INFY, step) for step in range(50)]
    assert path == [again.last(INFY, step) for step in range(50)]
    assert path != [other.last(INFY, step) for step in range(50)]


def test_the_walk_moves_and_does_not_care_how_it_is_read() -> None:
    forward, leaping = prices(), prices()
    path = [forward.last(INFY, step) for step in range(600)]
    assert len(set(path)) > 20
    assert leaping.last(INFY, 599) == path[599]
    assert leaping.last(INFY, 3) == path[3]


def test_the_walk_stays_on_the_tick_and_within_the_band_for_days() -> None:
    walk = prices(walk_volatility=0.01)
    lower, upper = walk.band(INFY)
    for step in range(0, 400_000, 1_009):
        price = walk.last(INFY, step)
        assert price % INFY.tick == 0
        assert lower <= price <= upper


def test_one_step_is_of_the_size_of_the_volatility() -> None:
    walk = prices(walk_volatility=0.0005)
    moves = [abs(walk.last(INFY, s + 1) / walk.last(INFY, s) - 1) for s in range(2000)]
    assert Decimal("0.0002") < sum(moves) / len(moves) < Decimal("0.001")


def test_calls_and_puts_keep_parity_with_the_index() -> None:
    walk = prices()
    nifty = contract("NSE", "NIFTY INDEX")
    for step in range(0, 3600, 60):
        spot = walk.last(nifty, step)
        assert abs(walk.last(CALL, step) - walk.last(PUT, step) - (spot - 26000)) <= Decimal("0.10")


def test_a_price_that_is_set_is_where_the_walk_goes_on_from() -> None:
    walk = prices()
    walk.set_price(INFY, Decimal("1600.00"), 10)
    assert walk.last(INFY, 10) == Decimal("1600.00")
    later = [walk.last(INFY, step) for step in range(11, 200)]
    assert len(set(later)) > 5
    assert all(abs(price - 1600) < 40 for price in later)


def test_a_price_can_be_set_again_and_again() -> None:
    walk = prices()
    for step, price in enumerate(("1600.00", "1600.00", "1450.00", "1450.00")):
        walk.set_price(INFY, Decimal(price), step)
        assert walk.last(INFY, step) == Decimal(price)
    walk.hold(INFY, True, 10)
    walk.set_price(INFY, Decimal("1500.00"), 11)
    walk.hold(INFY, False, 12)
    assert walk.last(INFY, 12) == Decimal("1500.00")


def test_without_volatility_prices_stand_still_wherever_they_were_put() -> None:
    still = prices(walk_volatility=0)
    hours = [step * 1800 for step in range(1, 12)]
    for contract_ in (INFY, CALL, FUTURE):
        assert {still.last(contract_, step) for step in (0, *hours)} == {still.close(contract_)}
        wanted = still.last(contract_, 0) + 5
        still.set_price(contract_, wanted, 60)
        still.set_price(contract_, wanted, 61)
        assert {still.last(contract_, step) for step in (61, *hours)} == {wanted}


def test_without_volatility_an_option_loses_its_time_value_when_the_day_changes() -> None:
    still = prices(walk_volatility=0)
    day = 86_400
    before = still.last(CALL, day)
    still.roll_day(day)
    assert still.last(CALL, day + 1) < before
    nifty = contract("NSE", "NIFTY INDEX")
    over = 8 * day
    assert abs(still.last(CALL, over) - max(still.last(nifty, over) - 26000, CALL.tick)) < 10


def test_an_option_follows_a_price_set_for_its_index() -> None:
    walk = prices()
    before = walk.last(CALL, 10)
    nifty = contract("NSE", "NIFTY INDEX")
    walk.set_price(nifty, walk.last(nifty, 10) + 200, 10)
    assert walk.last(CALL, 10) > before + 50


def test_a_held_price_stands_still_and_goes_on_from_there() -> None:
    walk = prices()
    walk.hold(INFY, True, 5)
    held = walk.last(INFY, 5)
    assert {walk.last(INFY, step) for step in range(5, 300)} == {held}
    walk.hold(INFY, False, 300)
    assert walk.last(INFY, 300) == held
    assert len({walk.last(INFY, step) for step in range(300, 500)}) > 5


def test_by_hand_means_that_nothing_moves_by_itself() -> None:
    still = prices(price_source=PriceSource.MANUAL)
    assert {still.last(INFY, step) for step in range(0, 10_000, 500)} == {Decimal("1518.60")}


def test_the_synthetic_book_is_sorted_on_the_tick_and_within_the_band() -> None:
    bids, asks = prices().depth(INFY, 7)
    assert len(bids) == len(asks) == 20
    assert [p for p, _ in bids] == sorted((p for p, _ in bids), reverse=True)
    assert [p for p, _ in asks] == sorted(p for p, _ in asks)
    assert bids[0][0] < prices().last(INFY, 7) < asks[0][0]
    assert all(p % INFY.tick == 0 and q > 0 for p, q in bids + asks)


def test_depth_of_derivatives_comes_in_whole_lots() -> None:
    bids, asks = prices().depth(CALL, 7)
    assert all(quantity % 65 == 0 for _, quantity in bids + asks)


def test_no_stranger_bids_below_the_smallest_price() -> None:
    still = prices(price_source=PriceSource.MANUAL)
    still.set_price(CALL, Decimal("0.05"), 0)
    bids, asks = still.depth(CALL, 0)
    assert bids == []
    assert asks[0][0] == Decimal("0.10")


def test_a_contract_without_a_known_price_gets_one_and_keeps_it() -> None:
    stranger = Instrument("NSE", "777", "ODD", "ODD-EQ", "EQ")
    master = Master([stranger])
    first = Prices(ExchangeConfig(), master, {}, START, 1).last(stranger, 0)
    assert first == Prices(ExchangeConfig(), master, {}, START, 1).last(stranger, 0) > 0


def test_contracts_of_a_real_file_start_from_the_closes_that_are_known() -> None:
    stranger = Instrument("NSE", "777", "ODD", "ODD-EQ", "EQ")
    world = World(instruments=(INFY, stranger))
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1518.60"
    assert world.call("GetQuotes", exch="NSE", token="777")["stat"] == "Ok"
    assert "invalid input" in world.order(tsym="RELIANCE-EQ")["emsg"]


def test_candles_hold_their_open_and_close() -> None:
    opened, high, low, closed = prices().candle(INFY, START, START + timedelta(minutes=5))
    assert low <= min(opened, closed) <= max(opened, closed) <= high


@pytest.mark.parametrize(("price", "wanted"), [("1.02", "1.00"), ("1.03", "1.05"), ("7", "7.00")])
def test_prices_are_rounded_to_the_tick(price: str, wanted: str) -> None:
    assert to_tick(Decimal(price), Decimal("0.05")) == Decimal(wanted)


TICKS = """time,exch,token,price,bid,ask
2026-10-01T10:00:00,NSE,1594,1500.00,1499.50,1500.50
2026-10-01T10:00:10,NSE,1594,1510.00,,
"""


def test_recorded_ticks_are_played_from_the_start_at_the_speed_set() -> None:
    world = World(price_source=PriceSource.REPLAY, ticks=parse_ticks(TICKS), replay_speed=2.0)
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    assert (quote["lp"], quote["bp1"], quote["sp1"]) == ("1500.00", "1499.50", "1500.50")
    world.wait(4.9)
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1500.00"
    world.wait(0.1)
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1510.00"


def test_a_price_set_by_hand_lasts_until_the_next_recorded_tick() -> None:
    world = World(price_source=PriceSource.REPLAY, ticks=parse_ticks(TICKS))
    world.set_price("1490.00")
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1490.00"
    world.wait(10)
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1510.00"


def test_tick_times_may_be_epoch_seconds() -> None:
    (tick,) = parse_ticks("time,exch,token,price\n1793681400.5,NSE,22,10\n")
    assert isinstance(tick, Tick)
    assert tick.at.timestamp() == 1793681400.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,exch,token\n", "no column price"),
        ("time,exch,token,price\nyesterday,NSE,22,10\n", "row 2"),
        ("time,exch,token,price\n1,NSE,22,10\n1,NSE,22,-1\n", "row 3"),
    ],
)
def test_a_bad_recording_is_refused_with_its_row(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_ticks(text)
