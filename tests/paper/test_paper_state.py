"""What an exchange keeps: killed at any moment, it goes on as if nothing had been."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.files.instance import AlreadyRunning
from core.paper import digest as canonical
from core.paper.config import ExchangeConfig, PriceSource
from core.paper.exchange import Exchange
from core.paper.memory import Changes, Row
from core.paper.server import PaperServer
from core.paper.state_file import StateError, StateFile, clear_state
from core.paper.times import IST
from core.runtime import SystemClock
from tests.paper.world import START, World

FUTURE = {"exch": "NFO", "tsym": "NIFTY", "prd": "M"}


class KeptWorld(World):
    """A world whose exchange writes down what changes before anybody hears of it, and can be killed."""

    def __init__(self, *, now: datetime = START, seed: int = 1, **config: Any) -> None:
        super().__init__(now=now, seed=seed, **config)
        self.seed = seed
        self.config = ExchangeConfig(**{"price_source": PriceSource.MANUAL, **config})
        self.rows: dict[Row, str] = {}
        self.exchange = Exchange(self.config, now=now, seed=seed, kept={})
        self._keep()

    def _collect(self, step: Any) -> None:
        self._keep()
        super()._collect(step)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._keep()

    def control(self, command: str, **arguments: Any) -> dict[str, Any]:
        answer = self.exchange.control(command, arguments, self.now)
        self._keep()
        return answer

    def _keep(self) -> None:
        write_down(self.rows, self.exchange.take_changes())

    def reborn(self, after_s: float = 0.0) -> Exchange:
        """The exchange that a start makes of the rows, as a process that was killed left them."""
        return Exchange(self.config, now=self.now + timedelta(seconds=after_s), seed=self.seed, kept=dict(self.rows))

    def kill(self, after_s: float = 0.0) -> None:
        """Go on with what the rows know."""
        self.now += timedelta(seconds=after_s)
        self.exchange = self.reborn()
        self._keep()


def write_down(rows: dict[Row, str], changes: Changes | None) -> None:
    if changes is not None:
        for row in [row for row in rows if row[0] in changes.cleared]:
            del rows[row]
        rows.update(changes.rows)


def facts(exchange: Exchange) -> dict[str, Any]:
    """All that a client can ever find out, but for numbers not given yet."""
    state = exchange._state
    whole = {
        "day": state.day,
        "accounts": state.accounts,
        "orders": state.orders,
        # A stage of an order that left with its day finds nothing to do.
        "stages": sorted((s for s in state.stages if s[3] in state.orders), key=lambda stage: stage[:2]),
        "sessions": state.sessions.memory(),
        "prices": state.prices.memory(),
        "waiting": {
            "|".join(key): {name: value for name, value in book.memory().items() if name in {"resting", "stops"}}
            for key, book in state.busy.items()
        },
        "last": {"|".join(i.key): state.last(i) for i in list(state.master)[:20]},
        "band": {"|".join(i.key): list(state.prices.band(i)) for i in list(state.master)[:20]},
    }
    plain: dict[str, Any] = canonical._plain(whole)  # type: ignore[assignment]
    for account in plain["accounts"].values():
        # Sums that were reckoned in another order differ in the twentieth place.
        for name in ("position_margin", "order_margin", "realised"):
            account[name] = f"{Decimal(account[name]):.6f}"
    return plain


def a_client(world: KeptWorld, chance: random.Random) -> list[Callable[[], object]]:
    """What a client, a person and time may do next."""
    orders = list(world.exchange._state.orders)

    def one() -> str:
        return chance.choice(orders) if orders else "none"

    side, quantity = chance.choice("BS"), str(chance.randint(1, 40))
    price = f"{Decimal(chance.randint(14900, 15500)) / 10:.2f}"
    return [
        lambda: world.order(trantype=side, qty=quantity, prc=price, remarks="r-1"),
        lambda: world.order(trantype=side, qty=quantity, prctyp="MKT", prc="0"),
        lambda: world.order(trantype=side, qty=quantity, prctyp="SL-MKT", prc="0", trgprc=price),
        lambda: world.order(trantype="B", qty=quantity, prd="C", prc=price, ret="IOC"),
        lambda: world.order("U2", trantype=side, qty=quantity, prc=price),
        lambda: world.call("CancelOrder", norenordno=one()),
        lambda: world.call(
            "ModifyOrder", actid="U1", norenordno=one(), exch="NSE", tsym="INFY-EQ", qty="45", prctyp="LMT", prc=price
        ),
        lambda: world.control("set_price", exch="NSE", tsym="INFY-EQ", price=price),
        lambda: world.control("hold_price", exch="NSE", tsym="INFY-EQ", hold=chance.choice(["true", "false"])),
        lambda: world.control("external_order", account="U1", exch="NSE", tsym="SBIN-EQ", trantype=side, qty=quantity),
        lambda: world.control("set_holding", account="U2", exch="NSE", tsym="TCS-EQ", quantity=quantity, cost="3000"),
        lambda: world.control("set_cash", account="U1", cash="9000000"),
        lambda: world.control("kill_token", account="U2"),
        lambda: world.control("end_session"),
        lambda: world.control("end_of_day"),
        lambda: world.log_in("U2"),
        *[lambda: world.wait(chance.choice([0.001, 0.003, 0.05, 1.5, 40]))] * 8,
    ]


@pytest.mark.parametrize("source", [PriceSource.MANUAL, PriceSource.WALK])
@pytest.mark.parametrize("seed", range(6))
def test_g5_killed_after_any_step_it_knows_all_it_has_answered(seed: int, source: PriceSource) -> None:
    chance = random.Random(seed)
    world = KeptWorld(seed=seed, price_source=source, walk_volatility=0.0001)
    for _ in range(120):
        act = chance.choice(a_client(world, chance))
        try:
            act()
        except ValueError:
            continue
        there, here = facts(world.reborn()), facts(world.exchange)
        for part, known in here.items():
            assert there[part] == known, part
        if chance.random() < 0.1:
            world.kill()


def test_g5_an_order_is_carried_on_from_every_stage() -> None:
    """Accepted, at the risk checks, at the exchange: what was under way goes on after the start."""
    for pause in (0.0, 0.0021, 0.0049, 0.006):
        world = KeptWorld()
        number = world.place()
        world.wait(pause)
        world.kill()
        world.wait(0.1)
        assert world.row(number)["status"] == "COMPLETE"
        assert world.history(number) == ["NewAck/PENDING", "PendingNew/PENDING", "New/OPEN", "Fill/COMPLETE"]
        assert world.position()["netqty"] == "10"
        assert len(world.call("TradeBook", actid="U1")) == 1


def test_g5_numbers_are_never_given_twice_not_even_after_the_state_is_lost() -> None:
    world = KeptWorld()
    before = {world.placed() for _ in range(20)}
    trades = {row["flid"] for row in world.call("TradeBook", actid="U1")}
    world.kill()
    after = {world.placed() for _ in range(20)}
    world.rows.clear()
    world.kill()
    world.tokens.clear()
    lost = {world.placed() for _ in range(20)}
    assert len(before | after | lost) == 60
    assert not trades & {row["flid"] for row in world.call("TradeBook", actid="U1")}
    assert all(number.startswith("261103") and len(number) == 14 for number in before | after | lost)


def test_g5_a_token_is_good_after_a_restart_and_none_is_drawn_twice() -> None:
    world = KeptWorld()
    world.log_in()
    token = world.tokens["U1"]
    world.kill()
    assert world.call("Limits", actid="U1")["stat"] == "Ok"
    world.log_in("U2")
    assert world.tokens["U2"] != token
    world.kill()
    world.log_in("U3")
    assert len(set(world.tokens.values())) == 3


def test_g5_the_day_ends_while_it_is_down_as_at_a_broker() -> None:
    world = KeptWorld(now=datetime(2026, 11, 3, 14, 0, tzinfo=IST))
    resting = world.resting()
    world.placed()
    listed = [i for i in world.exchange._state.master if i.kind == "FUTIDX" and i.symbol == "NIFTY"]
    future, lot = listed[-1].tsym, listed[-1].lot
    world.placed(exch="NFO", tsym=future, prd="M", qty=str(lot), prctyp="MKT", prc="0")
    world.kill(after_s=24 * 3600)
    world.tokens.clear()
    assert world.call("OrderBook")["stat"] == "Not_Ok", "the books of yesterday are cleared"
    rows = world.call("PositionBook", actid="U1")
    assert [(row["tsym"], row["netqty"], row["cfbuyqty"]) for row in rows] == [(future, str(lot), str(lot))]
    number = world.placed()
    assert number.startswith("261104")
    assert number != resting


def test_g5_the_session_ends_while_it_is_down() -> None:
    world = KeptWorld(now=datetime(2026, 11, 3, 14, 0, tzinfo=IST), enforce_session_hours=True)
    resting, bought = world.resting(), world.placed()
    world.kill(after_s=2 * 3600)
    assert world.row(resting)["status"] == "CANCELED"
    assert world.row(bought)["status"] == "COMPLETE"
    assert world.position()["netqty"] == "0"
    [squared] = [row for row in world.call("OrderBook") if row["ordersource"] == "ADM"]
    assert (squared["remarks"], squared["trantype"], squared["status"]) == ("AUTO SQUARE OFF", "S", "COMPLETE")


def test_g5_what_rests_may_fill_while_it_is_down_and_prices_go_on() -> None:
    world = KeptWorld(price_source=PriceSource.WALK, walk_volatility=0.0003)
    last = Decimal(world.call("GetQuotes", exch="NSE", token="1594")["lp"])
    numbers = [world.placed(trantype=side, prc=str(last + gap)) for side, gap in (("B", -2), ("S", 2))]
    assert {world.row(number)["status"] for number in numbers} == {"OPEN"}
    world.kill(after_s=3600)
    assert {world.row(number)["status"] for number in numbers} == {"COMPLETE"}
    never_stopped = Exchange(world.config, now=START, seed=1)
    never_stopped.advance(world.now)
    instrument = never_stopped._state.master.by_token("NSE", "1594")
    assert instrument is not None
    assert world.exchange._state.last(instrument) == never_stopped._state.last(instrument)


def test_g5_contracts_stay_listed_while_they_are_held() -> None:
    world = KeptWorld()
    option = next(i for i in world.exchange._state.master if i.exch == "NFO" and i.option == "CE")
    other = next(i for i in world.exchange._state.master if i.kind == "FUTIDX" and i.expiry > option.expiry)  # type: ignore[operator]
    world.placed(exch="NFO", tsym=other.tsym, prd="M", qty=str(other.lot), prctyp="MKT", prc="0")
    world.kill(after_s=7 * 24 * 3600)
    # The start after that finds another day in the rows.
    world.kill()
    world.tokens.clear()
    assert option.tsym in {i.tsym for i in world.exchange._state.master}, "the list is of the day they were traded on"
    assert [row["tsym"] for row in world.call("PositionBook", actid="U1")] == [other.tsym]
    sold = world.placed(exch="NFO", tsym=other.tsym, prd="M", trantype="S", qty=str(other.lot), prctyp="MKT", prc="0")
    assert world.row(sold)["status"] == "COMPLETE"


def test_g5_what_is_held_can_be_sold_though_it_is_listed_no_more() -> None:
    world = KeptWorld()
    world.placed()
    left = tuple(i for i in world.exchange._state.master if i.tsym != "INFY-EQ")
    world.config = world.config.model_copy(update={"instruments": left})
    world.kill()
    assert world.position()["netqty"] == "10"
    assert world.row(world.placed(trantype="S", prctyp="MKT", prc="0"))["status"] == "COMPLETE"
    assert world.position()["netqty"] == "0"


def test_g5_a_clock_behind_the_state_and_a_format_of_tomorrow_are_refused() -> None:
    world = KeptWorld()
    world.placed()
    with pytest.raises(ValueError, match="the clock shows an earlier time"):
        world.reborn(after_s=-3600)
    head = json.loads(world.rows["exchange", ""])
    world.rows["exchange", ""] = json.dumps({**head, "format": 99})
    with pytest.raises(ValueError, match="format is 99"):
        world.reborn()


# The file and the server


def a_server(directory: Path, **config: Any) -> PaperServer:
    server = PaperServer(
        ExchangeConfig(price_source=PriceSource.MANUAL, token_expiry_time=None, **config),
        clock=SystemClock(),
        directory=directory,
    )
    server.start()
    return server


def post(server: PaperServer, endpoint: str, token: str = "", **fields: str) -> requests.Response:
    body = f"jData={json.dumps({'uid': 'U1', 'actid': 'U1', **fields})}&jKey={token}"
    return requests.post(f"{server.rest_url}/NorenWClientTP/{endpoint}", data=body, timeout=10)


def logged_in(server: PaperServer) -> str:
    return str(post(server, "QuickAuth", pwd="x", factor2="1", appkey="x", source="API").json()["susertoken"])


ORDER = {
    "trantype": "B",
    "prd": "I",
    "exch": "NSE",
    "tsym": "INFY-EQ",
    "qty": "1",
    "prctyp": "LMT",
    "prc": "1400",
    "ret": "DAY",
}


def test_g5_the_next_server_on_a_directory_goes_on_and_the_token_is_good(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    token = logged_in(server)
    number = post(server, "PlaceOrder", token, **ORDER).json()["norenordno"]
    server.stop()
    server = a_server(tmp_path)
    rows = post(server, "OrderBook", token).json()
    server.stop()
    assert [(row["norenordno"], row["status"]) for row in rows] == [(number, "OPEN")]
    assert (tmp_path / "paper.db").stat().st_mode & 0o077 == 0, "tokens are in it"


def test_g5_a_second_exchange_on_one_state_is_refused(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    with pytest.raises(AlreadyRunning, match=r"another paper exchange .* keeps its state here"):
        a_server(tmp_path)
    with pytest.raises(AlreadyRunning, match="another paper exchange"):
        clear_state(tmp_path)
    server.stop()
    a_server(tmp_path).stop()


class FullDisk:
    def execute(self, *_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_g5_what_could_not_be_written_is_not_answered_and_is_written_with_the_next(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    token = logged_in(server)
    file = server._file
    assert file is not None
    good, file._connection = file._connection, FullDisk()  # type: ignore[assignment]
    assert post(server, "PlaceOrder", token, **ORDER).status_code == 500, "silence or an error, never an Ok"
    file._connection = good
    assert post(server, "PlaceOrder", token, **ORDER).json()["stat"] == "Ok"
    server.stop()
    server = a_server(tmp_path)
    assert len(post(server, "OrderBook", token).json()) == 2, (
        "the first one was taken, its outcome unknown to the client"
    )
    server.stop()


def test_g5_a_file_that_is_no_state_is_told(tmp_path: Path) -> None:
    (tmp_path / "paper.db").write_text("no database at all, and long enough to be looked at as one")
    with pytest.raises(StateError, match=r"paper\.db cannot be used: file is not a database"):
        a_server(tmp_path)


def test_g5_a_reset_clears_all_but_the_numbers_and_says_what(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    token = logged_in(server)
    number = post(server, "PlaceOrder", token, **{**ORDER, "prctyp": "MKT", "prc": "0"}).json()["norenordno"]
    server.control("fill_order", {"norenordno": number}) if False else server.settle()
    server.stop()
    cleared = clear_state(tmp_path)
    assert (cleared.orders, cleared.holdings) == (1, 0)
    server = a_server(tmp_path)
    assert post(server, "OrderBook", token).status_code == 401, "the tokens are gone"
    token = logged_in(server)
    assert post(server, "OrderBook", token).json()["stat"] == "Not_Ok"
    assert int(post(server, "PlaceOrder", token, **ORDER).json()["norenordno"]) > int(number)
    server.stop()
    server = a_server(tmp_path)
    assert len(post(server, "OrderBook", token).json()) == 1, "nothing of before comes back with a later start"
    server.stop()
    assert clear_state(tmp_path / "elsewhere").orders == 0


def test_g5_a_file_keeps_what_it_was_given(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    assert file.open() == {}
    file.save(Changes((), {("order", "1"): "a", ("account", "U1"): "b"}))
    file.save(Changes(("order",), {("order", "2"): "c"}))
    file.save(None)
    file.close()
    assert StateFile(tmp_path).open() == {("account", "U1"): "b", ("order", "2"): "c"}


def test_g5_a_file_keeps_what_it_could_not_write_at_first(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.open()
    good, file._connection = file._connection, FullDisk()  # type: ignore[assignment]
    with pytest.raises(StateError, match="disk is full"):
        file.save(Changes((), {("event", "1/0"): "a", ("order", "1"): "b"}))
    file._connection = good
    file.save(Changes((), {("order", "1"): "c"}))
    file.close()
    assert StateFile(tmp_path).open() == {("event", "1/0"): "a", ("order", "1"): "c"}
