"""The log: the exchange's time, and no secret in any form (law 11, S11)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from loguru import logger

from core.process.log import set_up_logging
from core.runtime import SystemClock
from core.settings import Settings, load_settings

SECRET = 'pa ss/w"örd&1'
DATABASE = "p%40ss-word-9"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(
        None,
        {
            "SIXSTEP_SERVICE__DATA_DIR": str(tmp_path),
            "SIXSTEP_WEB__WEBHOOK_SECRET": SECRET,
            "SIXSTEP_DATABASE__URL": f"postgresql://six:{DATABASE}@localhost/six",
        },
    )
    set_up_logging(settings)
    yield settings
    logger.remove()
    logger.configure(patcher=lambda _: None)
    logger.add(sys.__stderr__ or sys.stderr)


def logged(settings: Settings) -> str:
    logger.complete()
    return (settings.log_dir / "sixstep.log").read_text(encoding="utf-8")


class Words:
    def __str__(self) -> str:
        return f"value {SECRET}"


def test_s11_no_form_of_a_secret_reaches_the_log(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logger.info("plain {}", SECRET)
    logger.info("GET /?secret=pa%20ss%2Fw%22%C3%B6rd%261 and pa+ss%2Fw%22%C3%B6rd%261 and pa%20ss/w%22%c3%b6rd%261")
    logger.info('{{"secret": "pa ss/w\\"\\u00f6rd&1"}}')
    logger.info("connection failed: password p@ss-word-9, or p%40ss-word-9")
    logger.bind(body=f"secret={SECRET}", other=Words(), number=5).warning("with extra")
    try:
        raise ValueError(f"bad body {SECRET}")
    except ValueError:
        logger.exception("failed")
    both = logged(settings) + capsys.readouterr().err
    for part in ("pa ss", "pa%20ss", "pa+ss", "rd&1", "%261", "ss-word"):
        assert part not in both, part
    assert "ValueError: bad body ***" in both
    assert "test_log.py" in both, "the traceback is there"
    assert "'number': 5" in both


def test_u4_log_times_are_the_exchanges_like_those_of_rows(settings: Settings) -> None:
    before = SystemClock().now().astimezone(ZoneInfo("Asia/Kolkata"))
    logger.info("now")
    line = logged(settings).splitlines()[-1]
    after = SystemClock().now().astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"{before:%Y-%m-%d %H:%M:%S}" <= line[:19] <= f"{after:%Y-%m-%d %H:%M:%S}"


def test_e10_a_log_file_on_a_full_disk_is_one_line_and_the_terminal_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    full = directory / "sixstep.log"
    full.symlink_to("/dev/full")
    settings = load_settings(None, {"SIXSTEP_SERVICE__DATA_DIR": str(tmp_path)})
    set_up_logging(settings)
    try:
        for number in range(300):
            logger.info("line {} {}", number, "x" * 100)
        logger.complete()
    finally:
        logger.remove()
        logger.configure(patcher=lambda _: None)
        logger.add(sys.__stderr__ or sys.stderr)
    said = capsys.readouterr().err
    assert said.count("cannot be written (No space left on device); logging to the terminal only") == 1
    assert "Traceback" not in said
    assert "Loguru" not in said
    assert said.count("x" * 100) == 300
