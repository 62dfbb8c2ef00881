"""What an installation stands on: exact versions, and a unit that may do no more than it needs (S14)."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def locked() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    pairs = [re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][0-9A-Za-z.+!]*)", line) for line in lines]
    assert all(pairs), "exact versions, and nothing that names a place"
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair is not None}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"]["postgres"])]


def test_s14_the_lock_file_covers_every_dependency_in_a_version_the_project_allows() -> None:
    versions = locked()
    for requirement in wanted():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_s14_the_lock_file_covers_what_the_dependencies_need_themselves() -> None:
    versions = locked()
    missing = {}
    todo, seen = wanted(), set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *sorted(requirement.extras)):
            if (requirement.name, extra) in seen:
                continue
            seen.add((requirement.name, extra))
            for line in distribution(requirement.name).requires or ():
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
        if canonicalize_name(requirement.name) not in versions:
            missing[requirement.name] = str(requirement)
    assert missing == {}


@pytest.mark.parametrize(
    "line",
    [
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "LimitCORE=0",
        "LimitNOFILE=65536",
        "UMask=0077",
        "StateDirectoryMode=0700",
    ],
)
def test_s14_the_unit_may_do_no_more_than_it_needs(line: str) -> None:
    unit = re.findall(r"```ini\n(.*?)```", (ROOT / "docs" / "install.md").read_text(), re.DOTALL)[0]
    assert line in unit.splitlines()


def test_s14_the_container_may_do_no_more_than_it_needs() -> None:
    (run,) = re.findall(
        r"^docker run .*?sixstep\n", (ROOT / "docs" / "install.md").read_text(), re.DOTALL | re.MULTILINE
    )
    for option in ("--cap-drop ALL", "--security-opt no-new-privileges", "--read-only", "--ulimit core=0"):
        assert option in run
