"""Logins of both generations and the life of a token (protocol section 4)."""

import hashlib
import json
from datetime import time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest

from core.noren.login import one_time_code
from core.paper.config import AccountConfig
from tests.paper.world import START, World

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ACCOUNT = AccountConfig(uid="FA1", password="open sesame", totp_secret=SECRET, api_secret="key", vendor_code="FA1_U")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def credentials(world: World, **changed: str) -> dict[str, str]:
    good = {
        "pwd": digest("open sesame"),
        "factor2": pyotp.TOTP(SECRET).at(world.now),
        "appkey": digest("FA1|key"),
        "vc": "FA1_U",
    }
    return {**good, **changed}


@pytest.fixture
def world() -> World:
    return World(accounts=(ACCOUNT,))


def test_with_no_accounts_named_any_user_password_and_totp_are_taken() -> None:
    answer = World().log_in("ANYBODY")
    assert answer["stat"] == "Ok"
    assert len(answer["susertoken"]) == 64
    assert (answer["uid"], answer["actid"], answer["lastaccesstime"]) == ("ANYBODY", "ANYBODY", "1793680200")


def test_a_named_account_logs_in_with_the_right_digests(world: World) -> None:
    assert world.log_in("FA1", **credentials(world))["stat"] == "Ok"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pwd": digest("wrong")}, "Invalid Input : Wrong Password"),
        ({"pwd": "open sesame"}, "Invalid Input : Wrong Password"),
        ({"pwd": ""}, "Invalid Input : Wrong Password"),
        ({"factor2": "000000"}, "Invalid Input :  Invalid TOTP"),
        ({"appkey": digest("FA1|other")}, "Invalid Input :  Invalid App Key"),
        ({"vc": "FA2_U"}, "Invalid Input :  Invalid App Key"),
    ],
)
def test_what_is_wrong_with_a_login_is_told(world: World, changed: dict[str, str], words: str) -> None:
    assert world.log_in("FA1", **credentials(world, **changed))["emsg"] == words


def test_where_accounts_are_named_no_other_may_log_in(world: World) -> None:
    assert world.log_in("FA2")["emsg"] == "Invalid Input : Wrong Password"


def test_a_one_time_password_of_an_hour_ago_is_worthless(world: World) -> None:
    old = pyotp.TOTP(SECRET).at(world.now - timedelta(hours=1))
    assert world.log_in("FA1", **credentials(world, factor2=old))["stat"] == "Not_Ok"


def test_a_new_login_ends_the_older_token_of_the_same_source() -> None:
    world = World()
    world.log_in()
    old = world.tokens["U1"]
    world.log_in(source="WEB")
    web = world.tokens["U1"]
    world.log_in()
    assert json.loads(world.raw("/Limits", f'jData={{"uid":"U1"}}&jKey={old}').body)["stat"] == "Not_Ok"
    assert json.loads(world.raw("/Limits", f'jData={{"uid":"U1"}}&jKey={web}').body)["stat"] == "Ok"
    assert world.call("Limits")["stat"] == "Ok"


def test_older_tokens_may_be_left_alive() -> None:
    world = World(login_replaces_session=False)
    world.log_in()
    old = world.tokens["U1"]
    world.log_in()
    assert json.loads(world.raw("/Limits", f'jData={{"uid":"U1"}}&jKey={old}').body)["stat"] == "Ok"


def test_logout_ends_the_token() -> None:
    world = World()
    assert world.call("Logout")["stat"] == "Ok"
    assert world.call("Limits")["emsg"] == "Session Expired :  Invalid Session Key"


def test_tokens_end_at_the_set_time_of_day() -> None:
    world = World(token_expiry_time=time(11, 0))
    world.log_in()
    world.wait(3599)
    assert world.call("Limits")["stat"] == "Ok"
    world.wait(1)
    assert world.reply("Limits").status == 401
    world.log_in()
    assert world.call("Limits")["stat"] == "Ok"


def test_the_status_of_a_session_error_can_be_set() -> None:
    world = World(session_expired_status=200)
    assert world.raw("/Limits", 'jData={"uid":"U1"}&jKey=x').status == 200


def code_of(world: World, **changed: str) -> dict[str, Any]:
    form = {
        "client_id": "FA1_U",
        "redirect_uri": "http://127.0.0.1/back?x=1",
        "uid": "FA1",
        "password": "open sesame",
        "totp": pyotp.TOTP(SECRET).at(world.now),
        **changed,
    }
    reply = world.raw("/OAuthlogin/authorize/oauth?client_id=FA1_U", urlencode(form))
    if reply.location is None:
        return dict(json.loads(reply.body))
    return {name: values[0] for name, values in parse_qs(urlsplit(reply.location).query).items()}


def exchange_code(world: World, **changed: Any) -> dict[str, Any]:
    data = {"code": "", "checksum": "", "uid": "FA1", **changed}
    body = json.dumps({name: value for name, value in data.items() if value is not None})
    return dict(json.loads(world.raw("/NorenWClientAPI/GenAcsTok", f"jData={body}").body))


def test_the_oauth_login_redirects_with_a_code_that_buys_a_token_once(world: World) -> None:
    answer = code_of(world)
    assert answer["x"] == "1"
    code = answer["code"]
    checksum = digest("FA1_U" + "key" + code)
    token = exchange_code(world, code=code, checksum=checksum)
    assert token["stat"] == "Ok"
    assert {"access_token", "susertoken", "refresh_token", "USERID", "actid", "expires_in"} <= set(token)
    reply = world.raw("/Limits", 'jData={"uid":"FA1"}', authorization=f"Bearer {token['access_token']}")
    assert json.loads(reply.body)["stat"] == "Ok"
    again = exchange_code(world, code=code, checksum=checksum)
    assert again["emsg"] == "Invalid Input : INVALID_VERIFIER"


@pytest.mark.parametrize("changed", [{"password": "x"}, {"totp": "000000"}, {"client_id": "FA2_U"}, {"uid": "FA2"}])
def test_a_wrong_form_gives_no_code(world: World, changed: dict[str, str]) -> None:
    assert code_of(world, **changed)["stat"] == "Not_Ok"


def test_the_order_of_the_checksum_matters(world: World) -> None:
    code = code_of(world)["code"]
    wrong = exchange_code(world, code=code, checksum=digest("FA1_U" + code + "key"))
    assert wrong["emsg"] == "Invalid Input : INVALID_VERIFIER"


def test_a_token_request_without_a_uid_is_refused_unless_the_broker_is_lenient() -> None:
    for lenient in (False, True):
        world = World(accounts=(ACCOUNT,), require_uid_for_token=not lenient)
        code = code_of(world)["code"]
        answer = exchange_code(world, code=code, checksum=digest("FA1_Ukey" + code), uid=None)
        assert ("access_token" in answer) is lenient


def test_a_code_lives_for_minutes(world: World) -> None:
    code = code_of(world)["code"]
    world.wait(301)
    answer = exchange_code(world, code=code, checksum=digest("FA1_Ukey" + code))
    assert answer["emsg"] == "Invalid Input : INVALID_VERIFIER"


def test_a_redirect_to_anything_but_http_is_not_followed(world: World) -> None:
    answer = code_of(world, redirect_uri="javascript:alert(1)")
    assert answer["stat"] == "Ok"
    assert answer["code"]


def test_user_details_hide_market_orders_where_they_are_refused() -> None:
    assert "MKT" in World().call("UserDetails")["orarr"]
    details = World(refuse_market_orders=True).call("UserDetails")
    assert details["orarr"] == ["LMT", "SL-LMT"]
    assert {product["prd"] for product in details["prarr"]} == {"C", "M", "I"}


def test_the_start_must_name_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        World(now=START.replace(tzinfo=None))


@pytest.mark.parametrize("secret", ["JBSWY3DPEHPK3PXP", "jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPAA"])
def test_totp_secrets_are_taken_as_brokers_give_them(secret: str) -> None:
    world = World(accounts=(AccountConfig(uid="U1", totp_secret=secret),))
    code = one_time_code(secret, world.now)
    assert world.log_in(factor2=code)["stat"] == "Ok"
    assert world.log_in(factor2=f"{(int(code or 0) + 1) % 10**6:06}")["stat"] == "Not_Ok"


@pytest.mark.parametrize("secret", ["not base 32!", "8"])
def test_a_totp_secret_that_makes_no_passwords_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(ValueError, match="totp_secret"):
        AccountConfig(uid="FA1", totp_secret=secret)


def test_an_account_is_named_once() -> None:
    with pytest.raises(ValueError, match="named twice"):
        World(accounts=({"uid": "A"}, {"uid": "A"}))


def test_a_holding_of_what_is_not_listed_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="NSE:NOSUCH-EQ"):
        World(accounts=({"uid": "A", "holdings": [{"exch": "NSE", "tsym": "NOSUCH-EQ", "quantity": 1}]},))


def test_the_login_of_flattrade_has_its_own_checksum(world: World) -> None:
    def token(**changed: str) -> dict[str, Any]:
        code = code_of(world)["code"]
        sent = {"api_key": "FA1_U", "request_code": code, "api_secret": digest("FA1_U" + code + "key"), **changed}
        return dict(json.loads(world.raw("/trade/apitoken", json.dumps(sent)).body))

    good = token()
    assert (good["stat"], good["status"], good["client"]) == ("Ok", "Ok", "FA1")
    assert world.raw("/Limits", f'jData={{"uid":"FA1"}}&jKey={good["token"]}').status == 200
    for changed in ({"api_secret": digest("x")}, {"api_key": "FA2_U"}, {"request_code": "x"}):
        refused = token(**changed)
        assert (refused["stat"], refused["token"]) == ("Not_Ok", "")
    assert world.raw("/NorenWClientTP/apitoken", "{}").status == 404, "it is beside none of the other calls"
    assert world.raw("/trade/apitoken", "no json").status == 400


def test_the_login_page_of_flattrade_is_at_the_root(world: World) -> None:
    form = {"client_id": "FA1_U", "uid": "FA1", "password": "open sesame", "totp": pyotp.TOTP(SECRET).at(world.now)}
    assert json.loads(world.raw("/?app_key=FA1_U", urlencode(form)).body)["stat"] == "Ok"
