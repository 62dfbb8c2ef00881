"""What each package may stand on, beyond what import-linter holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ABSENT = ("pykka", "peewee", "requests", "fastapi", "loguru", "pydantic", "websocket", "NorenRestApiPy")


def test_values_messages_and_decisions_import_without_any_library() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("model", "messages", "rules")
        for path in sorted((ROOT / "core" / package).glob("*.py"))
    ]
    assert len(modules) > 20
    block = f"import sys; sys.modules.update(dict.fromkeys({_ABSENT!r})); import " + ", ".join(modules)
    done = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
