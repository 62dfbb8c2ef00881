"""The simulator sees: every planted bug is found within its number of seeds."""

from __future__ import annotations

import os

import pytest

from tests.simulation import bugs_outside, bugs_records
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.composition import SYSTEM
from tests.simulation.seed import SeedRequest, run_seed

# Their bugs are among BUGS once they are imported.
assert bugs_outside.__name__
assert bugs_records.__name__

# The others cost minutes: set TEST_ALL_BUGS=1 to look for them too.
_QUICK = 40


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS.values(), ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    if len(bug.seeds) > _QUICK and not os.environ.get("TEST_ALL_BUGS"):
        pytest.skip("takes more than a few seeds; TEST_ALL_BUGS=1 runs it")
    assert found(bug) is not None, f"{bug.meaning} Not found within {bug.within} seeds."


def found(bug: Bug) -> int | None:
    """The first seed that shows the bug."""
    for seed in bug.seeds:
        with bug.planted():
            if run_seed(SYSTEM, SeedRequest(seed, bug.profile)).violations:
                return seed
    return None
