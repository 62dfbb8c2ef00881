"""`run.py version`: what runs here."""

from __future__ import annotations

import json
import platform
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from core.cli.render import as_json as json_of
from core.cli.render import pairs_text
from core.store.migrations import MIGRATIONS

__all__ = ["version"]

_NAME = "sixstep"


def version(folder: Path, *, as_json: bool) -> str:
    """Version of the program in `folder`, Python's, that of the database's schema, and the commit if known.

    The commit is what the installer wrote down when it took the package from a repository; nothing else is asked.
    """
    installed = _installed()
    facts: dict[str, object] = {
        "version": _version(folder, installed),
        "python": platform.python_version(),
        "schema": MIGRATIONS[-1].number,
    }
    if commit := _commit(installed):
        facts["commit"] = commit
    return json_of(facts) if as_json else pairs_text(facts)


def _installed() -> Distribution | None:
    try:
        return distribution(_NAME)
    except PackageNotFoundError:
        return None


def _version(folder: Path, installed: Distribution | None) -> str:
    """The project's file beside the program is nearer than an installation, which may be another one's."""
    try:
        return str(tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):
        return installed.version if installed is not None else "not known: neither installed nor beside pyproject.toml"


def _commit(installed: Distribution | None) -> str | None:
    try:
        found = json.loads((installed and installed.read_text("direct_url.json")) or "{}")
    except ValueError:
        return None
    commit = found.get("vcs_info", {}).get("commit_id")
    return str(commit) if commit else None
