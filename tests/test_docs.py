"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.cli import commands

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_tags_is_the_one_the_code_has() -> None:
    text = (ROOT / "docs" / "tags.md").read_text(encoding="utf-8")
    assert text.partition("\n\n| ")[2].strip() == commands.tags(as_json=False, as_markdown=True).strip()[2:]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
