from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support_service import Running, running


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """A service that takes orders; prices stand still."""
    with running(tmp_path) as run:
        yield run
