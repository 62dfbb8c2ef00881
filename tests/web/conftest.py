from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.house import House


@pytest.fixture
def house() -> Iterator[House]:
    """A house that must not lose a letter; a test that expects dead letters takes them itself."""
    house = House()
    yield house
    assert house.stop() == []
