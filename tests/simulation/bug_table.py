"""`python -m tests.simulation.bug_table`: the table of planted bugs in docs/simulation.md, by looking for each one."""

from __future__ import annotations

import sys

from tests.simulation.bugs import BUGS
from tests.simulation.test_bugs import found


def main() -> int:
    """Print the table; 1 if a bug was not found within its number of seeds."""
    missed = 0
    print("| bug | what it does | profile | looked for in so many seeds | found by seed |\n|---|---|---|---|---|")
    for bug in BUGS.values():
        seed = found(bug)
        missed += seed is None
        told = seed if seed is not None else "\N{EN DASH}"
        print(f"| {bug.name} | {bug.meaning} | {bug.profile} | {bug.within} | {told} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
