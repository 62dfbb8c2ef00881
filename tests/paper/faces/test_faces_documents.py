"""The pages about the paper exchange name what there is, and their examples run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from core.paper.commands import SWITCHES
from core.paper.endpoints.gate import ENDPOINTS
from core.paper.faults import MEANING, FaultKind
from core.paper.server import PaperServer
from core.settings import PaperSettings, exchange_config, load_settings
from tests.paper.faces.clients import BOUND_S, Start

ROOT = Path(__file__).parents[3]
DOCUMENT = "".join(
    (ROOT / "docs" / f"paper-{page}.md").read_text(encoding="utf-8") for page in ("exchange", "faults", "checklist")
)

SERVE = """
import json, sys
from core.paper.config import ExchangeConfig
from core.paper.server import run_paper
def tell(server):
    print(json.dumps({"rest": server.rest_url, "control": server.control_url}), flush=True)
run_paper(ExchangeConfig(), on_ready=tell)
print("stopped", flush=True)
"""


def test_every_fault_stands_in_the_document_as_the_exchange_explains_it() -> None:
    assert [kind for kind, meaning in MEANING.items() if f"| `{kind.value}` | {meaning} |" not in DOCUMENT] == []


def test_every_switch_and_endpoint_stands_in_the_document() -> None:
    assert [name for name in (*SWITCHES, *ENDPOINTS) if f"`{name}`" not in DOCUMENT] == []


def test_every_command_stands_in_the_document(start: Start) -> None:
    commands = [command["name"] for command in start().control("help")["commands"]]
    assert [name for name in commands if f"`{name}`" not in DOCUMENT] == []


def test_the_example_without_sockets_runs() -> None:
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.S) if "InMemoryAdapter" in block]
    scope: dict[str, object] = {}
    exec(example, scope)
    session = scope["session"]
    assert isinstance(session, requests.Session)
    assert session.post("http://paper/NorenWClientTP/OrderBook", data='jData={"uid":"A"}&jKey=x').status_code == 401


def test_the_example_of_recorded_ticks_plays_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.S) if "parse_ticks" in block]
    (tmp_path / "ticks.csv").write_text(
        "time,exch,token,price,bid,ask\n2026-11-03T09:15:00,NSE,2885,1444.40,1444.30,1444.50\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(re.sub(r"_port=90\d\d", "_port=0", example), scope)
    server = scope["server"]
    assert isinstance(server, PaperServer)
    try:
        prices = {row["tsym"]: (row["lp"], row["bid"], row["ask"]) for row in server.snapshot()["prices"]}
    finally:
        server.stop()
    assert prices["RELIANCE-EQ"] == ("1444.40", "1444.30", "1444.50")


def test_every_test_that_the_checklist_names_exists() -> None:
    checklist = DOCUMENT.partition("## Against the checklist")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", checklist))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "paper").rglob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    assert len(named) > 50
    assert sorted(named - there) == []


def test_every_line_of_the_checklist_names_a_test_and_only_switches_there_are() -> None:
    checklist = DOCUMENT.partition("## Against the checklist")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in checklist.splitlines() if line[:2] == "| "]
    rows = [row for row in rows if row[2] != "held by"]
    commands = {"fill_order", "close_sockets", "cancel_order", "external_order", "kill_token", "end_of_day"}
    known = {*PaperSettings.model_fields, *FaultKind, *commands, "registered_ips"}
    assert [row[0] for row in rows if "`test_" not in row[2]] == []
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row[1]) if name not in known] == []


def test_the_settings_in_the_document_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password.txt").write_text("word", encoding="utf-8")
    replay, accounts = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.S)
    for number, text in enumerate((replay, accounts)):
        (tmp_path / f"{number}.toml").write_text(text, encoding="utf-8")
        paper = load_settings(tmp_path / f"{number}.toml", {}).paper
    config = exchange_config(paper)
    assert [account.uid for account in config.accounts] == ["FA00001"]
    assert [fault.kind for fault in config.faults] == [FaultKind.BOOK_LAG]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_paper_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        urls = json.loads(process.stdout.readline())
        assert requests.get(urls["control"] + "/snapshot", timeout=BOUND_S).json()["orders"] == []
        assert requests.post(urls["rest"] + "/OrderBook", data="jData={}", timeout=BOUND_S).status_code == 401
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(BOUND_S) == 0
    finally:
        process.kill()
        process.wait()
