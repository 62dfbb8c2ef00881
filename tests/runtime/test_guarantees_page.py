"""docs/runtime.md names the tests that hold its lines; they must exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "runtime.md"


def test_every_test_named_on_the_page_exists() -> None:
    named: list[tuple[str, str]] = []
    file = ""
    for path, name in re.findall(r"`(test_\w+\.py|…)(?:::(test_\w+))?`", PAGE.read_text(encoding="utf-8")):
        file = path if path != "…" else file
        named.append((file, name))
    missing = [
        f"{file}::{name}" for file, name in named if f"def {name}" not in (HERE / file).read_text(encoding="utf-8")
    ]
    assert len(named) > 30
    assert missing == []
