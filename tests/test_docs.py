"""The documents say what the code does."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from actors.strategy import Strategy
from core.cli import commands
from core.model.alerts import AlertKind
from core.model.order import Tag

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_tags_is_the_one_the_code_has() -> None:
    text = (ROOT / "docs" / "tags.md").read_text(encoding="utf-8")
    assert text.partition("\n\n| ")[2].strip() == commands.tags(as_json=False, as_markdown=True).strip()[2:]


def test_what_a_message_means_has_every_alert_and_tag() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert [kind.value for kind in AlertKind if f"\n| `{kind.value}` |" not in text] == []
    assert [tag.value for tag in Tag if f"`{tag.value}`" not in text] == []


def test_the_strategy_api_has_every_hook() -> None:
    text = (ROOT / "docs" / "strategy-api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", text.partition("members: [")[2].partition("]")[0]))
    assert Strategy.hooks - named == set()


def test_the_first_strategy_of_the_page_can_be_made() -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "breakout"}
    exec(re.findall(r"```python\n(.*?)```", page, re.S)[0], scope)
    assert issubclass(scope["Breakout"], Strategy)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    made = {(ROOT / "docs" / name).resolve() for name in _reference().PAGES}
    missing = [
        link for link in links if not (page.parent / link).exists() and (page.parent / link).resolve() not in made
    ]
    assert missing == []


def test_the_pages_that_are_made_name_every_setting_command_and_call() -> None:
    made = {name: make() for name, make in _reference().PAGES.items()}
    assert '| `day_starts_at` | `"06:00"` | ' in made["reference/settings.md"]
    assert "### [[paper.accounts]]" in made["reference/settings.md"]
    assert "## instruments chain" in made["reference/commands.md"]
    assert "- `--strategy`: Only what this strategy holds." in made["reference/commands.md"]
    assert "## POST /api/halt" in made["reference/api.md"]
    assert "## POST /webhook" in made["reference/api.md"]


@functools.cache
def _reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_scenario_that_code_and_tests_name_stands_in_the_catalogue() -> None:
    catalogue = set(
        re.findall(r"^\| ([A-G]\d+) \|", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8"), re.M)
    )
    cited: set[str] = set()
    for path in _python_files():
        text = path.read_text(encoding="utf-8")
        cited |= {id_.upper() for id_ in re.findall(r"def test_([a-g]\d+)_", text)}
        for group in re.findall(r"[Ss]cenarios? ((?:[A-G]\d+(?:, | and )?)+)", text):
            cited |= set(re.findall(r"[A-G]\d+", group))
    assert len(cited) > 60
    assert cited - catalogue == set()


def test_every_section_of_the_protocol_that_code_and_tests_cite_is_there() -> None:
    page = (ROOT / "docs" / "noren-protocol.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)", page, re.M))
    cited = {
        section
        for path in _python_files()
        for section in re.findall(r"protocol (\d+(?:\.\d+)?)", path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 30
    assert cited - sections == set()


def _python_files() -> list[Path]:
    return [path for folder in ("actors", "core", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
