"""Beginning and ending a session over real HTTP (protocol 4)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.model.outcomes import LoggedIn, LoginFailed, LoginRefused, ReadError
from core.noren import CodeMemory, Credentials, KeptSession, NorenClient
from core.noren.login import code_request, one_time_code
from core.noren.profiles import PROFILES, profile
from core.runtime.clock import VirtualClock
from tests.noren.conftest import CREDENTIALS, PASSWORD, TOKEN, MakeClient, logged_in
from tests.noren.scripted import ScriptedServer, reply

LIMITS = {"stat": "Ok", "cash": "1000.00"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def not_ok(emsg: str, status: int = 200) -> Any:
    return reply({"stat": "Not_Ok", "emsg": emsg}, status=status)


def test_quickauth_sends_hashes_and_the_code_of_this_half_minute(
    make_client: MakeClient, server: ScriptedServer, clock: VirtualClock
) -> None:
    server.will(reply({"stat": "Ok", "susertoken": TOKEN}))
    client = make_client()

    assert client.login() == LoggedIn("FA00001", TOKEN)

    (request,) = server.received
    assert len(request.parts) == 1
    assert request.values == {
        "source": "API",
        "apkversion": "1.0.0",
        "uid": "FA00001",
        "pwd": sha256(PASSWORD),
        "factor2": one_time_code(CREDENTIALS.totp_secret, clock.now()),
        "vc": "FA00001_U",
        "appkey": sha256("FA00001|k3y-of-the-api"),
        "imei": "abc1234",
    }
    assert client.session_token == TOKEN


def test_the_one_time_code_is_that_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    assert one_time_code(secret, datetime.fromtimestamp(1111111109, UTC)) == "081804"
    assert one_time_code("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", datetime.fromtimestamp(59, UTC)) == "287082"


def test_a_short_one_time_secret_is_the_brokers_choice() -> None:
    assert one_time_code("JBSWY3DPEHPK3PXP", datetime.fromtimestamp(0, UTC)) == "282760"


@pytest.mark.parametrize("emsg", ["Invalid Input :  Wrong Password", "Invalid Input : Change Password", "Blocked"])
def test_e2_a_refused_password_needs_a_person(make_client: MakeClient, server: ScriptedServer, emsg: str) -> None:
    server.will(not_ok(emsg))
    client = make_client()

    assert client.login() == LoginRefused(" ".join(emsg.split()))
    assert not client.logged_in
    assert server.paths() == ["QuickAuth"]


@pytest.mark.parametrize("status", [401, 403])
def test_e2_a_login_answered_by_a_wall_needs_a_person(
    make_client: MakeClient, server: ScriptedServer, status: int
) -> None:
    server.will(reply("<html>Forbidden</html>", status=status))

    assert isinstance(make_client().login(), LoginRefused)


@pytest.mark.parametrize(
    "step",
    [
        reply("<html>502</html>", status=502),
        reply(""),
        not_ok("Server Timeout :  "),
        not_ok("Invalid Input : Order Recieved 11 in a current second exceeds Limit 10 for user"),
        reply({"stat": "Ok"}),
        reply({"stat": "Ok", "susertoken": "a&b"}),
        reply([]),
    ],
)
def test_a_login_without_verdict_may_be_tried_again(make_client: MakeClient, server: ScriptedServer, step: Any) -> None:
    server.will(step)
    client = make_client()

    assert isinstance(client.login(), LoginFailed)
    assert not client.logged_in


def test_a_bad_one_time_secret_is_told_without_asking_the_broker(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    client = make_client(credentials=replace(CREDENTIALS, totp_secret="not base 32!"))

    assert isinstance(client.login(), LoginRefused)
    assert server.received == []


def test_e1_a_second_login_replaces_the_token(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply({"stat": "Ok", "susertoken": "the-next-token"}), reply([]))

    client.login()
    client.order_book()

    assert server.received[1].parts[1] == "jKey=the-next-token"


def test_an_access_token_is_used_and_probed(make_client: MakeClient, server: ScriptedServer) -> None:
    server.will(reply(LIMITS))
    client = make_client("flattrade", credentials=Credentials(user_id="FA00001", access_token=f" {TOKEN}\n"))

    assert client.login() == LoggedIn("FA00001", TOKEN)
    assert server.paths() == ["Limits"]
    assert server.received[0].parts[1] == f"jKey={TOKEN}"


def test_e1_a_dead_access_token_needs_a_person(make_client: MakeClient, server: ScriptedServer) -> None:
    server.will(not_ok("Session Expired :  Invalid Session Key"))
    client = make_client("shoonya", credentials=Credentials(user_id="FA00001", access_token=TOKEN))

    assert isinstance(client.login(), LoginRefused)
    assert not client.logged_in


def test_e5_an_access_token_that_cannot_be_probed_may_be_tried_again(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    server.will(reply("<html>502</html>", status=502))
    client = make_client("shoonya", credentials=Credentials(user_id="FA00001", access_token=TOKEN))

    assert isinstance(client.login(), LoginFailed)


@pytest.mark.parametrize("token", ["a&jKey=b", "line\r\nX-Header: y", "with space", "☃"])
def test_f4_an_access_token_cannot_change_the_request(
    make_client: MakeClient, server: ScriptedServer, token: str
) -> None:
    client = make_client("shoonya", credentials=Credentials(user_id="FA00001", access_token=token))

    assert isinstance(client.login(), LoginRefused)
    assert server.received == []


def test_a_broker_with_browser_login_says_where(make_client: MakeClient, server: ScriptedServer) -> None:
    outcome = make_client("shoonya").login()

    assert isinstance(outcome, LoginRefused)
    assert "client_id=FA00001_U" in outcome.reason
    assert server.received == []


def test_a_code_becomes_a_session(make_client: MakeClient, server: ScriptedServer) -> None:
    server.will(reply({"access_token": TOKEN, "susertoken": "other", "USERID": "FA00001"}), reply(LIMITS))
    client = make_client("shoonya")

    assert client.exchange_code("c0de-1234") == LoggedIn("FA00001", TOKEN)

    client.limits()
    assert server.paths() == ["GenAcsTok", "Limits"]
    assert server.received[0].values == {
        "code": "c0de-1234",
        "checksum": sha256("FA00001_Uk3y-of-the-apic0de-1234"),
        "uid": "FA00001",
    }
    assert server.received[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_spent_code_is_refused(make_client: MakeClient, server: ScriptedServer) -> None:
    server.will(not_ok("Invalid Input :  INVALID_VERIFIER"))

    assert make_client("zebu").exchange_code("c0de") == LoginRefused("Invalid Input : INVALID_VERIFIER")


def test_flattrade_hashes_the_code_before_the_secret_and_takes_json() -> None:
    broker = PROFILES["flattrade"]
    assert broker.code_exchange is not None

    url, body, headers = code_request(broker.code_exchange, broker, CREDENTIALS, "c0de")

    assert url == "https://authapi.flattrade.in/trade/apitoken"
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(body) == {
        "api_key": "FA00001_U",
        "request_code": "c0de",
        "api_secret": sha256("FA00001_Uc0dek3y-of-the-api"),
    }


def test_logout_forgets_the_token(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply({"stat": "Ok"}))

    assert client.logout()
    assert not client.logged_in
    with pytest.raises(ReadError):
        client.order_book()
    assert server.paths() == ["Logout"]


def test_a_logout_the_broker_did_not_confirm_is_told(client: NorenClient, server: ScriptedServer) -> None:
    server.will(not_ok("Server Timeout :  "))

    assert not client.logout()
    assert not client.logged_in


def test_a_session_can_begin_again_after_logout(client: NorenClient, server: ScriptedServer) -> None:
    server.will(reply({"stat": "Ok"}))
    client.logout()
    logged_in(client, server)
    server.will(reply([]))

    assert client.order_book() == ()


def test_law11_credentials_and_outcomes_do_not_show_secrets() -> None:
    shown = f"{CREDENTIALS!r} {replace(CREDENTIALS, access_token=TOKEN)!s} {LoggedIn('FA00001', TOKEN)!r}"

    for secret in (PASSWORD, CREDENTIALS.totp_secret, CREDENTIALS.api_secret, TOKEN):
        assert secret not in shown


def test_a_profile_is_overridden_by_host_and_socket() -> None:
    found = profile("shoonya", host="http://127.0.0.1:1/x/", websocket="ws://127.0.0.1:2")

    assert (found.host, found.websocket) == ("http://127.0.0.1:1/x", "ws://127.0.0.1:2")


@pytest.mark.parametrize(("name", "told"), [("nowhere", "shoonya"), ("paper", "needs a host")])
def test_a_profile_that_cannot_be_used_is_told(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        profile(name)


def test_t25_a_one_time_password_is_used_once_also_across_a_restart(
    make_client: MakeClient, server: ScriptedServer, clock: VirtualClock, tmp_path: Path
) -> None:
    server.will(*[reply({"stat": "Ok", "susertoken": TOKEN})] * 2)
    file = tmp_path / "data" / "last-login-code"
    assert isinstance(make_client(codes=CodeMemory(file)).login(), LoggedIn)
    again = make_client(codes=CodeMemory(file))
    refused = again.login()
    assert isinstance(refused, LoginFailed)
    assert len(server.received) == 1, "nothing was sent"
    assert refused.retry_in_s is not None
    assert 0 < refused.retry_in_s <= 30
    clock.advance(refused.retry_in_s)
    assert isinstance(again.login(), LoggedIn)


def test_a_file_of_used_codes_that_makes_no_sense_is_an_empty_one(tmp_path: Path, clock: VirtualClock) -> None:
    file = tmp_path / "last-login-code"
    file.write_text("nonsense")
    assert CodeMemory(file).wait_s(clock.now()) == 0.0


def test_t30_a_token_brought_by_a_person_replaces_the_one_in_use(client: NorenClient, server: ScriptedServer) -> None:
    logged_in(client, server)
    server.will(reply(LIMITS))
    assert client.take_token("brought-by-a-person") == LoggedIn("FA00001", "brought-by-a-person")
    assert client.session_token == "brought-by-a-person"


def test_t30_a_token_that_is_no_good_leaves_the_one_in_use(client: NorenClient, server: ScriptedServer) -> None:
    logged_in(client, server)
    server.will(not_ok("Session Expired :  Invalid Session Key", 401))
    assert isinstance(client.take_token("brought-by-a-person"), LoginRefused)
    assert client.session_token == TOKEN


def kept_in(directory: Path, **other: str) -> KeptSession:
    bound = {"profile": "paper", "host": "http://broker", "user_id": "FA00001", **other}
    return KeptSession(directory / "data" / "broker-session", **bound)


def test_t25_a_restart_goes_on_with_the_kept_session(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path
) -> None:
    server.will(reply({"stat": "Ok", "susertoken": TOKEN}), reply(LIMITS))
    codes = CodeMemory(tmp_path / "last-login-code")
    assert isinstance(make_client(codes=codes, kept=kept_in(tmp_path)).login(), LoggedIn)
    file = tmp_path / "data" / "broker-session"
    assert file.stat().st_mode & 0o777 == 0o600
    again = make_client(codes=codes, kept=kept_in(tmp_path))
    assert again.login() == LoggedIn("FA00001", TOKEN)
    assert server.paths() == ["QuickAuth", "Limits"]
    assert server.received[1].parts[1] == f"jKey={TOKEN}"


def test_t25_a_kept_session_that_is_refused_is_removed_and_the_next_code_waited_for(
    make_client: MakeClient, server: ScriptedServer, clock: VirtualClock, tmp_path: Path
) -> None:
    kept, codes = kept_in(tmp_path), CodeMemory(tmp_path / "last-login-code")
    kept.keep(TOKEN)
    codes.use(clock.now())
    server.will(not_ok("Session Expired :  Invalid Session Key", 401), reply({"stat": "Ok", "susertoken": "new-token"}))
    client = make_client(codes=codes, kept=kept)
    at_once = client.login()
    assert isinstance(at_once, LoginFailed)
    assert at_once.retry_in_s is not None
    assert at_once.retry_in_s < 0.1
    waits = client.login()
    assert isinstance(waits, LoginFailed)
    assert "earlier session is over (the access token is not accepted: Session Expired" in waits.reason
    assert "the login waits for the next" in waits.reason
    assert kept.token() is None
    assert waits.retry_in_s is not None
    clock.advance(waits.retry_in_s)
    assert client.login() == LoggedIn("FA00001", "new-token")
    assert kept.token() == "new-token"


@pytest.mark.parametrize("step", [reply("<html>502</html>", status=502), not_ok("Server Timeout :  ")])
def test_t25_a_kept_session_that_cannot_be_probed_is_tried_again_and_not_replaced(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path, step: Any
) -> None:
    kept = kept_in(tmp_path)
    kept.keep(TOKEN)
    server.will(*[step] * 5, reply(LIMITS))
    client = make_client(kept=kept)
    assert all(isinstance(client.login(), LoginFailed) for _ in range(5))
    assert client.login() == LoggedIn("FA00001", TOKEN)
    assert set(server.paths()) == {"Limits"}


def test_t25_a_kept_session_answered_neither_yes_nor_no_is_given_up_after_three_times(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path
) -> None:
    kept = kept_in(tmp_path)
    kept.keep(TOKEN)
    server.will(*[not_ok("Some words nobody knows")] * 3, reply({"stat": "Ok", "susertoken": "new-token"}))
    client = make_client(kept=kept)
    assert all(isinstance(client.login(), LoginFailed) for _ in range(3))
    assert client.login() == LoggedIn("FA00001", "new-token")


def test_t25_a_session_that_ended_in_the_run_is_not_tried_again(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path
) -> None:
    kept = kept_in(tmp_path)
    kept.keep(TOKEN)
    server.will(reply(LIMITS), reply({"stat": "Ok", "susertoken": "new-token"}))
    client = make_client(kept=kept)
    client.login()
    assert client.login() == LoggedIn("FA00001", "new-token")
    assert server.paths() == ["Limits", "QuickAuth"]


def test_t25_an_access_token_of_the_settings_goes_before_a_kept_session(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path
) -> None:
    kept = kept_in(tmp_path)
    kept.keep(TOKEN)
    server.will(not_ok("Session Expired :  Invalid Session Key"), reply(LIMITS))
    client = make_client(credentials=replace(CREDENTIALS, access_token="brought-by-a-person"), kept=kept)
    assert isinstance(client.login(), LoginFailed)
    assert client.login() == LoggedIn("FA00001", TOKEN)
    assert [request.parts[1] for request in server.received] == ["jKey=brought-by-a-person", f"jKey={TOKEN}"]


@pytest.mark.parametrize("other", [{"profile": "noren-gen1"}, {"host": "http://elsewhere"}, {"user_id": "FA00002"}])
def test_t25_a_kept_session_is_for_its_broker_host_and_user_only(tmp_path: Path, other: dict[str, str]) -> None:
    kept_in(tmp_path).keep(TOKEN)
    assert kept_in(tmp_path).token() == TOKEN
    assert kept_in(tmp_path, **other).token() is None


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"token": 1}'])
def test_t25_a_kept_session_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    kept_in(tmp_path).keep(TOKEN)
    (tmp_path / "data" / "broker-session").write_text(content)
    assert kept_in(tmp_path).token() is None


def test_law_11_a_kept_token_that_the_broker_echoes_is_not_told(
    make_client: MakeClient, server: ScriptedServer, tmp_path: Path
) -> None:
    kept = kept_in(tmp_path)
    kept.keep(TOKEN)
    server.will(not_ok(f"Session Expired : {TOKEN}"))
    outcome = make_client(kept=kept).login()
    assert isinstance(outcome, LoginFailed)
    assert TOKEN not in outcome.reason


def test_a_logout_ends_the_kept_session_too(make_client: MakeClient, server: ScriptedServer, tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    server.will(reply({"stat": "Ok", "susertoken": TOKEN}), reply({"stat": "Ok"}))
    client = make_client(kept=kept)
    client.login()
    client.logout()
    assert kept.token() is None
