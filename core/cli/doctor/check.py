"""One line of the doctor's report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.cli import render

__all__ = ["Check", "Verdict", "fail", "ok", "report", "skip", "warn"]


class Verdict(StrEnum):
    """How a check ended. SKIP: it was not made, and why; that says nothing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    to_do: str = ""


def ok(name: str, found: str, to_do: str = "") -> Check:
    """All is well."""
    return Check(name, Verdict.OK, found, to_do)


def warn(name: str, found: str, to_do: str) -> Check:
    """A person should look at it; the service can work."""
    return Check(name, Verdict.WARN, found, to_do)


def fail(name: str, found: str, to_do: str) -> Check:
    """The service cannot work like this."""
    return Check(name, Verdict.FAIL, found, to_do)


def skip(name: str, found: str, to_do: str = "") -> Check:
    """Not looked at."""
    return Check(name, Verdict.SKIP, found, to_do)


def report(checks: Iterable[Check], *, as_json: bool) -> str:
    """All lines, as a table or as JSON."""
    lines = tuple(checks)
    if as_json:
        good = all(line.verdict is not Verdict.FAIL for line in lines)
        return render.as_json({"ok": good, "checks": [asdict(line) for line in lines]})
    rows = [(line.name, line.verdict, line.found, line.to_do) for line in lines]
    return render.table(("check", "verdict", "found", "what to do"), rows)
