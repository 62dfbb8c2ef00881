"""A scripted broker and clients logged in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.model.outcomes import LoggedIn
from core.noren import Credentials, NorenClient, profile
from core.runtime.clock import VirtualClock
from tests.factories import NOON
from tests.noren.scripted import ScriptedServer, reply

TOKEN = "5f2b8c1de0a94477b3d6c1a2f09e8d7c"
PASSWORD = "Sup3r-Secret!"
CREDENTIALS = Credentials(
    user_id="FA00001",
    password=PASSWORD,
    totp_secret="JBSWY3DPEHPK3PXP",
    vendor_code="FA00001_U",
    api_secret="k3y-of-the-api",
    imei="abc1234",
)

MakeClient = Callable[..., NorenClient]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def make_client(server: ScriptedServer, clock: VirtualClock) -> Iterator[MakeClient]:
    """Makes clients to the scripted server; `profile_name` and everything a client takes may be given."""
    made: list[NorenClient] = []

    def make(profile_name: str = "paper", **given: Any) -> NorenClient:
        settings: dict[str, Any] = {"clock": clock, "connect_timeout_s": 5.0, "read_timeout_s": 8.0, **given}
        host = settings.pop("host", server.url)
        credentials = settings.pop("credentials", CREDENTIALS)
        client = NorenClient(profile(profile_name, host=host), credentials, **settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient, server: ScriptedServer) -> NorenClient:
    """Logged in by QuickAuth; nothing received since."""
    return logged_in(make_client(), server)


def logged_in(client: NorenClient, server: ScriptedServer) -> NorenClient:
    server.will(reply({"stat": "Ok", "susertoken": TOKEN}))
    assert isinstance(client.login(), LoggedIn)
    server.received.clear()
    return client
