"""Every line of the page of guarantees names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "guarantees.md"
_TEST = re.compile(r"`(?:([\w/]+\.py)|…)::(test_\w+?)(…)?`")
_FILE = re.compile(r"`([\w/]+\.py)`")


def _file(name: str) -> Path:
    return next(path for path in (TESTS / "scenarios" / name, TESTS / name) if path.exists())


def test_every_test_the_page_names_is_there() -> None:
    missing = []
    for line in PAGE.read_text().splitlines():
        file = None
        for name, test, begins in _TEST.findall(line):
            file = _file(name) if name else file
            assert file is not None, line
            pattern = rf"^def {test}\w*\(" if begins else rf"^def {test}\("
            if not re.search(pattern, file.read_text(), re.MULTILINE):
                missing.append(f"{file.name}::{test}")
    assert missing == []


def test_every_file_the_page_names_is_there_and_every_guarantee_names_one() -> None:
    rows = [
        line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "guarantee | held by" not in line
    ]
    assert len(rows) > 30
    for row in rows:
        held_by = row.split("|")[2]
        assert _TEST.search(held_by) or _FILE.search(held_by), row
        for name in _FILE.findall(held_by):
            assert _file(name).exists()
