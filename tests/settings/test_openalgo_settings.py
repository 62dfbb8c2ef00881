"""`[openalgo]`: what it needs, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import SettingsError, load_settings

KEY = "SIXSTEP_OPENALGO__API_KEY"
ON = {"SIXSTEP_OPENALGO__ENABLED": "true", KEY: "0123456789abcdef"}


def problems(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {**ON, **environ})
    return str(caught.value)


def test_it_is_off_and_needs_nothing_then() -> None:
    settings = load_settings(None, {}).openalgo
    assert not settings.enabled
    assert settings.port == 0


@pytest.mark.parametrize(
    ("key", "told"), [("short", "16 to 256"), ("x" * 257, "16 to 256"), ("sha256:abc", "64 hex digits")]
)
def test_a_key_that_could_be_guessed_or_is_no_hash_is_refused(key: str, told: str) -> None:
    found = problems(**{KEY: key})
    assert told in found
    assert key not in found


def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("0123456789abcdef-file\n")
    file.chmod(0o600)
    settings = load_settings(None, {"SIXSTEP_OPENALGO__ENABLED": "true", "SIXSTEP_OPENALGO__API_KEY_FILE": str(file)})
    assert settings.openalgo.api_key is not None
    assert settings.openalgo.api_key.get_secret_value() == "0123456789abcdef-file"


def test_strategies_are_pairs_of_their_name_and_ours() -> None:
    settings = load_settings(None, {**ON, "SIXSTEP_OPENALGO__STRATEGIES": "TradingView Strategy = tv, Python=py"})
    assert settings.openalgo.strategy_map == {"TradingView Strategy": "tv", "Python": "py"}
    for wrong in ("Python", "Python = a b", "= py", "a = b, a = c"):
        assert "STRATEGIES" in problems(SIXSTEP_OPENALGO__STRATEGIES=wrong), wrong


def test_a_port_that_is_taken_is_told() -> None:
    assert "as is web.port" in problems(SIXSTEP_OPENALGO__PORT="8787")
    assert "as is openalgo.port" in problems(SIXSTEP_OPENALGO__PORT="5000", SIXSTEP_PAPER__REST_PORT="5000")
