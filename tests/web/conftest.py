from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.harness import WebHarness


@pytest.fixture
def harness() -> Iterator[WebHarness]:
    """A house that must not lose an envelope; a test that expects dead letters takes them itself."""
    harness = WebHarness()
    yield harness
    assert harness.stop() == []
