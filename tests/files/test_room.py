"""A start on a disk without room, or below something that is no directory, is one clear line (scenario E10)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.files.room import require_room


def start(data_dir: Path) -> None:
    require_room(data_dir, "[service] data_dir")


def test_e10_a_start_on_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"^\[service\] data_dir: .* cannot be written: No space left on device; free"):
        start(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_data_dir_that_is_a_file_names_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    with pytest.raises(OSError, match=r"^\[service\] data_dir: .*data is a file; name a directory$"):
        start(file)
    with pytest.raises(OSError, match=r"^\[service\] data_dir: .*below cannot be written: .* part of this path"):
        start(file / "below")
