"""`python run.py`, as a person or a script calls it, against a real server with small entry points."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from argon2 import PasswordHasher
from pydantic import SecretStr

from core.messages import CancelStatus
from core.model.order import Tag
from core.settings import Settings, WebSettings
from core.web import WebServer, create_app
from tests.support_process import ROOT, inherited, lasting_ports, run_py
from tests.web.harness import ADOPTED, BLOCKED, ORDER, WebHarness

SECRETS = {"SIXSTEP_WEB__WEBHOOK_SECRET": "hook-secret", "SIXSTEP_WEB__API_TOKEN": "api-secret"}


class Service:
    """A house with its web server, and a command line that finds it."""

    def __init__(self) -> None:
        self.harness = WebHarness()
        web = WebSettings(webhook_secret=SecretStr("hook-secret"), api_token=SecretStr("api-secret"))
        self.server = WebServer(create_app(self.harness.gateway, Settings(web=web)), "127.0.0.1", 0)
        self.server.start()
        self.environ = {**SECRETS, "SIXSTEP_WEB__PORT": str(self.server.port)}

    def cli(self, *arguments: str, stdin: str = "", process: bool = False) -> subprocess.CompletedProcess[str]:
        return run_py(*arguments, environ=self.environ, stdin=stdin, process=process)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        done = self.cli(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    def submit(self, **changes: object) -> str:
        done = self.cli("submit", "-", "--json", stdin=json.dumps({**ORDER, **changes}))
        assert done.returncode in (0, 3), done.stderr
        return str(json.loads(done.stdout)["command_id"])


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.server.stop()
    assert service.harness.stop() == []


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "run.py"), *arguments]


def one_line(text: str) -> str:
    assert text.startswith("error: ")
    assert text.count("\n") == 1, text
    return text


# Orders.


def test_submit_a_file_and_look_at_the_order(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER), encoding="utf-8")
    done = service.cli("submit", str(file), process=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "261123-test-1" in done.stdout
    assert "SENT_TO_BROKER" in done.stdout
    listed = service.cli("orders")
    assert "BUY 50 RELIANCE-EQ at 2840.5" in listed.stdout
    assert "2026-11-23 12:00:00" in listed.stdout
    shown = service.cli("show", "261123-test-1")
    assert "broker_order_id" in shown.stdout
    assert "CREATED" in shown.stdout


def test_submit_from_standard_input_answers_the_contract_as_json(service: Service) -> None:
    answer = service.json("submit", "-", stdin=json.dumps(ORDER))
    assert set(answer) == {"command_id", "status", "tag", "reason", "broker_order_id", "unknown"}


def test_u4_an_order_that_failed_is_printed_and_ends_with_an_exit_code_of_its_own(service: Service) -> None:
    done = service.cli("submit", "-", stdin=json.dumps({**ORDER, "symbol": BLOCKED}))
    assert done.returncode == 3
    assert "EXECUTION_GUARD_BLOCKED" in done.stdout
    assert "FAILED EXECUTION_GUARD_BLOCKED" in one_line(done.stderr)
    as_json = service.cli("submit", "-", "--json", stdin=json.dumps({**ORDER, "symbol": BLOCKED}))
    assert as_json.returncode == 3
    assert json.loads(as_json.stdout)["status"] == "FAILED"


def test_a_basket_is_answered_leg_by_leg(service: Service) -> None:
    answer = service.json("submit", "-", stdin=json.dumps({**ORDER, "legs": [{"symbol": "A-EQ"}, {"symbol": "B-EQ"}]}))
    assert [leg["command_id"] for leg in answer] == ["261123-test-1", "261123-test-2"]


def test_f1_a_refused_order_is_one_line_that_names_every_field(service: Service) -> None:
    done = service.cli("submit", "-", stdin=json.dumps({**ORDER, "quantity": 1.5, "side": "HOLD"}))
    assert done.returncode == 1
    assert done.stdout == ""
    line = one_line(done.stderr)
    assert "quantity: " in line
    assert "side: " in line
    as_json = service.cli("submit", "-", "--json", stdin="{}")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["errors"]
    one_line(as_json.stderr)


def test_filters_reach_the_service(service: Service) -> None:
    first = service.submit()
    second = service.submit(symbol=BLOCKED)
    assert [row["command_id"] for row in service.json("orders")] == [second, first]
    assert [row["command_id"] for row in service.json("orders", "--status", "FAILED")] == [second]
    assert service.json("orders", "--day", "2026-01-01") == []
    assert service.cli("orders", "--strategy", "none").stdout == "no orders\n"
    bad = service.cli("orders", "--day", "today")
    assert bad.returncode == 1
    assert "day: " in one_line(bad.stderr)


def test_law10_a_trace_as_tree_as_diagram_and_as_json(service: Service) -> None:
    command_id = service.submit()
    assert service.harness.runtime.wait_idle(10)
    tree = service.cli("trace", command_id).stdout
    assert "command_service" in tree
    at = datetime.fromisoformat(service.json("trace", command_id)[0]["at"]).astimezone(ZoneInfo("Asia/Kolkata"))
    assert f" from {at:%Y-%m-%d %H:%M:%S}." in tree.splitlines()[0], "Indian time, as everywhere"
    assert service.cli("trace", command_id, "--mermaid").stdout.startswith("sequenceDiagram\n")
    assert [envelope["type"] for envelope in service.json("trace", command_id)] == ["SubmitOrder", "OrderAnswer"]


@pytest.mark.parametrize("name", ["show", "trace"])
def test_an_order_nobody_made_is_one_clear_line(service: Service, name: str) -> None:
    done = service.cli(name, "no/such")
    assert done.returncode == 1
    assert "HTTP 404" in one_line(done.stderr)


# State and the kill switch.


def test_guard_risk_and_positions(service: Service) -> None:
    assert "momentum" in service.cli("guard").stdout
    assert service.json("guard")["differences"][0]["unattributed"] == 20
    risk = service.cli("risk").stdout
    assert "-2140.00" in risk
    assert "max_daily_loss" in risk
    assert service.json("risk")["limits"]["max_loss"] == "20000"
    assert "M&M-EQ" in service.cli("positions").stdout
    assert service.json("positions")["positions"][0]["net_quantity"] == -5


def test_d10_halt_and_resume(service: Service) -> None:
    assert service.cli("halt", "bad news").stdout == "halted: bad news (by cli at 2026-11-23 12:00:00)\n"
    assert service.json("risk")["halt"]["reason"] == "bad news"
    assert service.cli("halt", "more").stdout.startswith("halted already; halted: bad news")
    assert service.json("resume") == {"halted": False, "halt": None}


def test_g9_a_position_is_adopted_and_a_refusal_is_an_error(service: Service) -> None:
    asked = ("adopt", "INFY-EQ", "--strategy", "alpha", "--quantity", "50")
    refused = service.cli(*asked)
    assert refused.returncode == 1
    assert "nothing of it is unattributed" in one_line(refused.stderr)
    state = service.harness.actor("state")
    state.adoption = ADOPTED
    assert service.cli(*asked, "--write-off").stdout == "ADOPTED: +50 INFY-EQ MIS, strategy alpha\n"
    assert [(one.quantity, one.write_off, one.by) for one in state.adopted] == [(50, False, "cli"), (50, True, "cli")]


def test_g25_a_halt_needs_no_reason_and_takes_any(service: Service) -> None:
    assert service.json("halt")["halt"]["reason"] == "halted at the command line"
    service.json("resume")
    assert service.json("halt", "a\nb " + "x" * 900)["halt"]["reason"] == "a b " + "x" * 196


def test_cancel_tells_what_became_of_it(service: Service) -> None:
    assert service.cli("cancel", "261123-a-1").stdout == "TAKEN: in its own words\n"
    assert service.json("cancel", "261123-a-1")["standing"] == "TAKEN"
    told = service.cli("modify", "261123-a-1", "--price", "1501.5", "--seen-filled", "20")
    assert told.stdout == "TAKEN: in its own words\n"
    service.harness.actor("state").cancel_standing = CancelStatus.OVER
    done = service.cli("cancel", "261123-a-1")
    assert done.returncode == 1
    assert one_line(done.stderr).strip() == "error: in its own words (HTTP 409)"


def test_flatten_says_what_it_sends_or_why_nothing(service: Service) -> None:
    refused = service.cli("flatten", "RELIANCE-EQ", "--quantity=-50")
    assert refused.returncode == 1
    assert one_line(refused.stderr).strip() == "error: -100 can be flattened (HTTP 409)"
    sent = service.cli("flatten", "RELIANCE-EQ", "--quantity=-100", "--exchange", "NSE", "--product", "MIS")
    assert sent.stdout.splitlines()[0] == "exit sent: momentum SELL 50 RELIANCE-EQ MIS"
    assert "square_off_failed" in sent.stdout
    again = service.cli("flatten", "RELIANCE-EQ", "--quantity=-100")
    assert again.stdout == "it is being closed already: 261123-test-7\n"
    assert service.json("flatten", "RELIANCE-EQ", "--quantity=-100")["under_way"] == ["261123-test-7"]


def test_squareoff_lists_its_exits(service: Service) -> None:
    assert "SELL" in service.cli("squareoff", "--strategy", "momentum").stdout
    (wanted,) = service.harness.actor("state").squared_off
    assert (wanted.strategy, wanted.symbol) == ("momentum", None)


def test_a_hash_may_stand_for_the_password() -> None:
    done = run_py("hash-password", environ={}, stdin="correct horse\n")
    assert PasswordHasher().verify(done.stdout.strip(), "correct horse")
    assert "correct" not in done.stdout + done.stderr
    assert "shorter than 16" in done.stderr


@pytest.mark.parametrize("password", ["", "short"])
def test_a_password_anybody_would_guess_is_not_hashed(password: str) -> None:
    done = run_py("hash-password", environ={}, stdin=f"{password}\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "shorter than 8 characters" in done.stderr


# What can go wrong.


@pytest.mark.parametrize("arguments", [["orders"], ["submit", "-"], ["halt", "x"], ["guard", "--json"]])
def test_no_service_is_said_with_how_to_start_it(arguments: list[str]) -> None:
    done = run_py(*arguments, environ={"SIXSTEP_WEB__PORT": str(*lasting_ports(1))}, stdin="{}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "start it with: python run.py run" in one_line(done.stderr)


def test_f3_a_wrong_secret_is_said_and_not_shown(service: Service) -> None:
    wrong = {**service.environ, "SIXSTEP_WEB__WEBHOOK_SECRET": "hunter2", "SIXSTEP_WEB__API_TOKEN": "hunter3"}
    for arguments in (["submit", "-"], ["orders"]):
        done = run_py(*arguments, environ=wrong, stdin=json.dumps(ORDER))
        assert done.returncode == 1
        assert "HTTP 401" in one_line(done.stderr)
        assert "hunter" not in done.stderr


def test_another_program_on_the_port_is_said() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        asked = subprocess.Popen(
            command("orders"), stderr=subprocess.PIPE, text=True, env=inherited({"SIXSTEP_WEB__PORT": str(port)})
        )
        other.settimeout(30)
        connection, _ = other.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            _, complaint = asked.communicate(timeout=30)
    assert asked.returncode == 1
    assert "is not Sixstep" in one_line(complaint)


def test_all_mistakes_in_the_settings_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[web]\nprot = 1\n[risk]\nmax_loss = 'x'\n", encoding="utf-8")
    done = run_py("--settings", str(path), "orders", environ={"SIXSTEP_WEB__PORT": "y"})
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    assert "did you mean port?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        (["show"], "COMMAND_ID"),
        (["orders", "--limit", "x"], "--limit"),
        (["orders", "--colour"], "--colour"),
    ],
)
def test_a_mistyped_command_is_one_clear_line(arguments: list[str], says: str) -> None:
    done = run_py(*arguments, process=says == "nonsense")
    assert done.returncode == 2
    assert says in one_line(done.stderr)


@pytest.mark.parametrize("file", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_one_clear_line(file: str) -> None:
    done = run_py("submit", file)
    assert done.returncode == 1
    assert f"{file} cannot be read" in one_line(done.stderr)


# What needs no service.


def test_check_settings_shows_what_is_in_force_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        "[web]\nport = 9000\n[broker]\nprofile = 'flattrade'\nuser_id = 'FA1'\naccess_token = 'k-secret'",
        encoding="utf-8",
    )
    done = run_py("--settings", str(path), "check-settings", environ=SECRETS)
    assert done.returncode == 0
    assert "web.port" in done.stdout
    assert "9000" in done.stdout
    assert "the settings are valid" in done.stdout
    as_json = run_py("--settings", str(path), "check-settings", "--json", environ=SECRETS)
    assert json.loads(as_json.stdout)["web"]["port"] == 9000
    assert "secret'" not in done.stdout + as_json.stdout
    for secret in ("hook-secret", "api-secret", "k-secret"):
        assert secret not in done.stdout + as_json.stdout


def test_the_settings_file_is_the_template() -> None:
    assert run_py("check-settings", "--template").stdout == (ROOT / "settings.toml").read_text(encoding="utf-8")


def test_tags_as_text_as_json_and_as_the_table_of_the_docs() -> None:
    assert [entry["tag"] for entry in json.loads(run_py("tags", "--json").stdout)] == [str(tag) for tag in Tag]
    markdown = run_py("tags", "--markdown").stdout.splitlines()
    assert len(markdown) == 2 + len(Tag)
    assert all(line.count("|") == 4 for line in markdown)
    assert "BROKER_REJECTED" in run_py("tags").stdout


def test_help_names_every_command() -> None:
    text = run_py("--help", process=True).stdout
    for name in (
        "run",
        "submit",
        "orders",
        "show",
        "trace",
        "guard",
        "risk",
        "halt",
        "resume",
        "paper",
        "tags",
        "watch",
    ):
        assert f"  {name} " in text


def test_the_paper_exchange_alone_says_where_it_is_and_stops_when_asked(tmp_path: Path) -> None:
    alone = command("paper", "--json", "--data-dir", str(tmp_path))
    with subprocess.Popen(alone, stdout=subprocess.PIPE, text=True, env=inherited({})) as exchange:
        assert exchange.stdout is not None
        urls = json.loads(exchange.stdout.readline())
        assert requests.get(urls["control"], timeout=10).status_code == 200
        exchange.send_signal(signal.SIGTERM)
        assert exchange.wait(20) == 0
