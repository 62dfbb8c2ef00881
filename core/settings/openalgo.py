"""`[openalgo]`: the entry point that programs written for OpenAlgo use."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from core.settings.values import OptionalPath, Port, Positive, Secret, Section, listed

__all__ = ["OpenAlgoSettings", "OtherStrategies"]

_ENTRY = re.compile(r"(?P<theirs>[^=]{1,100}?) *= *(?P<ours>[A-Za-z0-9_.-]{1,32})")


class OtherStrategies(StrEnum):
    """What becomes of a strategy name that `strategies` does not have."""

    TAKE = "take"
    REFUSE = "refuse"


def _pairs(entries: tuple[str, ...]) -> tuple[str, ...]:
    names = []
    for entry in entries:
        found = _ENTRY.fullmatch(entry.strip())
        if found is None:
            text = 'Input should be entries such as "TradingView Strategy = tv", the right one of A-Z a-z 0-9 _ . -'
            raise PydanticCustomError("strategies", text)
        names.append(found["theirs"].strip())
    if len(set(names)) != len(names):
        raise PydanticCustomError("strategies", "Input should name each of the senders' names once")
    return entries


class OpenAlgoSettings(Section):
    """The entry point for programs written for OpenAlgo: /api/v1 (docs/openalgo.md)."""

    enabled: bool = Field(
        default=False,
        description="Whether it is there at all. Its callers show a key of `run.py keys new NAME`, or api_key.",
    )
    port: Port = Field(
        default=0, description="Port of its own to listen on, at [web] host. 0: it is on the web port, and there alone."
    )
    ws_port: Port = Field(
        default=8765,
        description="Port of its WebSocket, at [web] host; it is on the port of /api/v1 too. 0: on that one alone.",
    )
    api_key: Secret = Field(
        default=None,
        description="A key with all rights that its callers send as apikey: at least 16 random characters. Or the "
        'key\'s SHA-256, as sha256:<64 hex digits>: printf %s "$KEY" | sha256sum.',
    )
    api_key_file: OptionalPath = Field(default=None, description="File that holds api_key.")
    strategies: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_pairs)] = Field(
        default=(),
        description="Which strategy here a sender's strategy is, such as "
        '["TradingView Strategy = tv", "Python = py"].',
    )
    other_strategies: OtherStrategies = Field(
        default=OtherStrategies.TAKE,
        description="What becomes of other names. take: each is a strategy of that name, with _ for spaces. refuse.",
    )
    whole_account: bool = Field(
        default=False,
        description="Whether cancelallorder and closeposition are about all strategies, not the one that is named.",
    )
    requests_per_min: Positive = Field(
        default=3000, description="Requests a minute that one address may make here; a minute's worth at once."
    )

    @property
    def strategy_map(self) -> dict[str, str]:
        """The sender's name of a strategy, and ours."""
        found = [_ENTRY.fullmatch(entry.strip()) for entry in self.strategies]
        return {one["theirs"].strip(): one["ours"] for one in found if one is not None}
