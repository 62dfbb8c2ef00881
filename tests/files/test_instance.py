"""One service to one record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.service import Service
from core.files.instance import AlreadyRunning, InstanceLock
from tests.support_service import settings_for


def test_a_second_holder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_second_service_on_one_record_does_not_start(tmp_path: Path) -> None:
    first = Service(settings_for(tmp_path, {}))
    first.start()
    try:
        with pytest.raises(AlreadyRunning, match="data_dir"):
            Service(settings_for(tmp_path, {})).start()
        assert first.wait_ready(20)
    finally:
        first.stop()
    third = Service(settings_for(tmp_path, {}))
    third.start()
    third.stop()
