"""`run.py paper --reset`: the exchange forgets, and no database is left that says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.store import Store
from tests.cli.test_cli import one_line
from tests.scenarios.orders import marketable, resting
from tests.support_process import run_py
from tests.support_service import running


def environ(directory: Path) -> dict[str, str]:
    return {"SIXSTEP_SERVICE__DATA_DIR": str(directory / "data")}


def test_g5_a_reset_says_what_it_clears_and_keeps_the_record_of_before_under_another_name(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.set_price("1500")
        held = run.submit(marketable())
        run.wait_for(held.command_id, "EXECUTED")
        waits = run.submit(resting(strategy="beta"))
        run.wait_at_exchange(waits.broker_order_id)
    done = run_py("paper", "--reset", environ=environ(tmp_path))
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "paper.db: 2 orders and 1 trades of the day, 1 open positions (PAPER NSE:INFY-EQ I +50), 0 holdings" in told
    [aside] = (tmp_path / "data").glob("sixstep-until-*.db")
    assert str(aside) in told
    before = Store.open(f"sqlite:///{aside}", read_only=True)
    assert {row["command_id"]: row["status"] for row in before.rows()} == {
        held.command_id: "EXECUTED",
        waits.command_id: "SENT_TO_BROKER",
    }, "nothing was changed in it"
    before.close()
    with running(tmp_path) as run:
        assert run.rows() == run.sent() == run.snapshot()["positions"] == []
        run.set_price("1500")
        again = run.submit(marketable())
        row = run.wait_for(again.command_id, "EXECUTED")
        assert int(row["broker_order_id"]) > int(waits.broker_order_id or 0), "numbers go on"
        run.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        assert run.alerts("position") == []


def test_g5_a_reset_is_refused_while_the_service_runs_and_touches_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.set_price("1500")
        held = run.submit(marketable())
        run.wait_for(held.command_id, "EXECUTED")
        done = run_py("paper", "--reset", environ=environ(tmp_path))
        assert done.returncode == 1
        assert "another service" in one_line(done.stderr)
        alone = run_py("paper", "--reset", "--data-dir", str(tmp_path / "data"), environ=environ(tmp_path))
        assert alone.returncode == 1
        assert run.row(held.command_id)["status"] == "EXECUTED"
        assert len(run.sent()) == 1


def test_g5_a_reset_of_an_exchange_elsewhere_touches_no_database_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    done = run_py("paper", "--reset", "--data-dir", str(tmp_path / "other"), "--json", environ=environ(tmp_path))
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "other" / "paper.db"),
        "orders": 0,
        "trades": 0,
        "positions": [],
        "holdings": 0,
        "database_put_aside": None,
    }
    assert (tmp_path / "data" / "sixstep.db").exists()
    done = run_py("paper", "--reset", "--data-dir", str(tmp_path / "other"), environ=environ(tmp_path))
    assert "no database was touched" in done.stdout


@pytest.mark.parametrize("option", ["--rest-port", "--ws-port", "--control-port"])
@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none_is_refused(option: str, port: str) -> None:
    done = run_py("paper", option, port)
    assert done.returncode == 2
    assert option in one_line(done.stderr)
