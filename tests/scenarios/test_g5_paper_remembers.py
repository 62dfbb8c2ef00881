"""G5: the service starts a second, third, tenth time on one day and one data_dir, on paper."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from core.settings import Settings, StrategySettings
from core.store import Store, check
from tests.scenarios.orders import marketable, resting
from tests.support import paper_day, wait_until
from tests.support_process import ROOT, lasting_ports
from tests.support_service import ANSWER_S, Running, running

START_S = 180.0
TEN_STARTS = 10


class ShippedRun:
    """`python run.py` with the settings that are shipped; another one on the same directory is the next start."""

    def __init__(self, directory: Path, **environ: str) -> None:
        self.directory = directory
        web_port, self.control_port = lasting_ports(2)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIXSTEP_")},
            **paper_day(),
            "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"),
            "SIXSTEP_WEB__PORT": str(web_port),
            "SIXSTEP_PAPER__CONTROL_PORT": str(self.control_port),
            # The next start follows at once here, and not after the pause that a loss of the last trip asks for.
            "SIXSTEP_RISK__COOLDOWN_S": "0",
            **environ,
        }
        self.log = directory / f"log-{self.control_port}.txt"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "run.py"], cwd=ROOT, env=self.environ, stdout=stream, stderr=stream
            )

    @property
    def database(self) -> Path:
        return self.directory / "data" / "sixstep.db"

    def rows(self) -> list[dict[str, Any]]:
        store = Store.open(f"sqlite:///{self.database}", read_only=True)
        try:
            return [dict(row) for row in store.rows()]
        finally:
            store.close()

    def wait_for_rows(self, count: int, status: str = "EXECUTED") -> None:
        """Wait until so many rows have this status."""

        def there() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.database.exists() and " ready" in self.log.read_text() and self._count(status) >= count

        wait_until(there, START_S)

    def _count(self, status: str) -> int:
        return sum(row["status"] == status for row in self.rows())

    def at_the_exchange(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.control_port}/snapshot", timeout=10).json()
        return found

    def cli(self, *arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "run.py", *arguments, "--json"],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=True,
        )
        return json.loads(done.stdout)

    def end(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.wait(30) in {0, -signal.SIGKILL}, self.log.read_text()


def test_g5_three_runs_are_three_round_trips_and_all_of_them_are_shown(tmp_path: Path) -> None:
    """The second follows an orderly end, the third a kill."""
    for start, number in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM), 1):
        run = ShippedRun(tmp_path)
        try:
            run.wait_for_rows(2 * start)
            log = run.log.read_text()
            # Nor is it news that starts in quick succession share the calls of a minute.
            assert [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line] == []
            assert {row["status"] for row in run.rows()} == {"EXECUTED"}
            if start == 3:
                _all_are_shown(run)
        finally:
            run.end(number)
    store = Store.open(f"sqlite:///{run.database}", read_only=True)
    assert check(store) == []
    store.close()


def _all_are_shown(run: ShippedRun) -> None:
    rows = run.cli("orders")
    assert [(row["execution_type"], row["status"]) for row in rows] == [("EXIT", "EXECUTED"), ("ENTRY", "EXECUTED")] * 3
    assert [row["filled_quantity"] for row in rows] == [10] * 6
    there = run.at_the_exchange()
    assert [order["norenordno"] for order in there["orders"]] == [row["broker_order_id"] for row in rows]
    assert len({row["broker_order_id"] for row in rows}) == 6
    assert there["counters"]["trades"] == 6
    [position] = there["positions"]
    assert (position["tsym"], position["netqty"]) == ("INFY-EQ", 0)
    # Positions are read from the broker every some seconds.
    wait_until(lambda: _shown_positions(run) == [("INFY-EQ", 0)], START_S)
    assert run.cli("guard")["lines"] == []


def _shown_positions(run: ShippedRun) -> list[tuple[str, int]]:
    return [(row["symbol"], row["net_quantity"]) for row in run.cli("positions")["positions"]]


def test_g5_a_kill_in_the_middle_of_a_round_trip_leaves_a_position_that_the_next_start_knows_and_exits(
    tmp_path: Path,
) -> None:
    first = ShippedRun(tmp_path)
    try:
        # Killed as soon as the ENTRY is filled: the EXIT comes seconds later.
        first.wait_for_rows(1)
    finally:
        first.end(signal.SIGKILL)
    assert [row["execution_type"] for row in first.rows()] == ["ENTRY"]
    second = ShippedRun(tmp_path)
    try:
        second.wait_for_rows(2)
        [position] = second.at_the_exchange()["positions"]
        assert position["netqty"] == 0, "what was held is sold, and nothing was bought twice"
        orders = second.at_the_exchange()["orders"]
        assert [(order["side"], order["filled"]) for order in orders] == [("S", 10), ("B", 10)]
        executed = [row for row in second.rows() if row["status"] == "EXECUTED"]
        assert [row["execution_type"] for row in executed] == ["EXIT", "ENTRY"]
    finally:
        second.end(signal.SIGTERM)


def test_g5_ten_starts_trade_as_the_first(tmp_path: Path) -> None:
    def quick(settings: Settings) -> Settings:
        entry = StrategySettings(
            class_path="actors.strategies.round_trip.RoundTrip", name="example", parameters={"hold_s": 0.01}
        )
        return settings.model_copy(update={"strategies": (entry,)})

    numbers: set[str] = set()
    for start in range(1, TEN_STARTS + 1):
        with running(tmp_path, settings=quick) as run:
            wait_until(lambda start=start, run=run: _executed(run) == 2 * start)  # type: ignore[misc]
            assert {row["status"] for row in run.rows()} == {"EXECUTED"}
            assert len(run.sent()) == 2 * start
            run.wait_for_guard([])
            assert run.alerts("database") == run.alerts("number") == []
            numbers = {row["broker_order_id"] for row in run.rows()}
    assert len(numbers) == 2 * TEN_STARTS


def _executed(run: Running) -> int:
    return sum(row["status"] == "EXECUTED" for row in run.rows())


def test_g5_what_rests_and_what_is_held_is_there_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.set_price("1500")
        held = run.submit(marketable())
        run.wait_for(held.command_id, "EXECUTED")
        waits = run.submit(resting(strategy="beta"))
        run.wait_at_exchange(waits.broker_order_id)
    with running(tmp_path) as run:
        assert {o["norenordno"]: o["status"] for o in run.sent()} == {
            held.broker_order_id or run.row(held.command_id)["broker_order_id"]: "COMPLETE",
            waits.broker_order_id: "OPEN",
        }
        run.wait_for_guard([("alpha", "INFY-EQ", 50, 0), ("beta", "INFY-EQ", 0, 50)])
        [infy] = [price for price in run.snapshot()["prices"] if price["tsym"] == "INFY-EQ"]
        assert (infy["lp"], infy["held"]) == ("1500.00", True), "a price that was held stays held"
        run.control("fill_order", norenordno=waits.broker_order_id)
        run.wait_for(waits.command_id, "EXECUTED", ANSWER_S)
        run.wait_for_guard([("alpha", "INFY-EQ", 50, 0), ("beta", "INFY-EQ", 50, 0)])
