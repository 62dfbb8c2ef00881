"""QuickAuth, GenAcsTok, apitoken, the form of the OAuth page, Logout and UserDetails (protocol section 4)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from core.paper import replies
from core.paper.config import AccountConfig
from core.paper.endpoints.call import Call
from core.paper.replies import Refusal, Row, obj, ok
from core.paper.sessions import Credentials, check_quick_auth, same, sha256
from core.paper.state import ExchangeState
from core.paper.times import clock_then_date, epoch
from core.paper.totp import totp_is_good
from core.paper.wire import Reply

__all__ = ["api_token", "gen_acs_tok", "log_in_form", "logout", "quick_auth", "user_details"]

_EXCHANGES = ["NSE", "NFO", "BSE", "BFO", "CDS", "MCX"]
_PRODUCTS = [
    {"prd": "C", "s_prdt_ali": "CNC", "exch": ["NSE", "BSE"]},
    {"prd": "M", "s_prdt_ali": "NRML", "exch": ["NFO", "BFO", "CDS", "MCX"]},
    {"prd": "I", "s_prdt_ali": "MIS", "exch": ["NSE", "BSE", "NFO", "BFO", "CDS", "MCX"]},
]


def quick_auth(call: Call) -> Reply:
    """Login of generation 1: hashed password and TOTP for a token (section 4.1)."""
    state = call.state
    uid = call.text("uid")
    if uid and not state.knows(uid):
        raise Refusal(replies.WRONG_PASSWORD, 200)
    sent = Credentials(uid, call.text("pwd"), call.text("factor2"), call.text("appkey"), call.text("vc"))
    check_quick_auth(state.named(uid), sent, call.now)
    token = _open(state, uid, call.text("source") or "API")
    return ok(call.now, {**_profile(state, uid), "susertoken": token, "lastaccesstime": epoch(call.now)})


def gen_acs_tok(call: Call) -> Reply:
    """Login of generation 2: the one-time code and a checksum for a token (section 4.2)."""
    state = call.state
    code = state.sessions.take_code(call.text("code"), call.now)
    uid = call.text("uid")
    if code is None or (uid and uid != code.uid) or (not uid and state.config.require_uid_for_token):
        raise Refusal(replies.INVALID_VERIFIER, 200)
    named = state.named(code.uid)
    checksum = call.text("checksum")
    secret = named.api_secret if named else ""
    if not checksum or (secret and not same(checksum, sha256(code.client_id + secret + call.text("code")))):
        raise Refusal(replies.INVALID_VERIFIER, 200)
    token = _open(state, code.uid, "API")
    session = state.sessions.find(token, call.now)
    assert session is not None
    return ok(
        call.now,
        {
            **_profile(state, code.uid),
            "USERID": code.uid,
            "access_token": token,
            "susertoken": token,
            "refresh_token": f"{state.rng.getrandbits(256):064x}",
            "expires_in": epoch(session.expires_at) if session.expires_at else "0",
            "lastaccesstime": epoch(call.now),
        },
    )


def api_token(call: Call) -> Reply:
    """Flattrade's exchange of the code for a token; its checksum has the code before the secret (section 4.2)."""
    state = call.state
    sent = call.text("request_code")
    code = state.sessions.take_code(sent, call.now)
    named = state.named(code.uid) if code is not None else None
    secret = named.api_secret if named else ""
    checksum = call.text("api_secret")
    wrong = not checksum or (secret and not same(checksum, sha256(call.text("api_key") + sent + secret)))
    if code is None or call.text("api_key") != code.client_id or wrong:
        return obj({"status": "Not_Ok", "stat": "Not_Ok", "token": "", "client": "", "emsg": replies.INVALID_VERIFIER})
    token = _open(state, code.uid, "API")
    return obj({"status": "Ok", "stat": "Ok", "token": token, "client": code.uid, "emsg": ""})


def log_in_form(state: ExchangeState, body: bytes) -> Reply:
    """The form of the login page: send the browser on to the redirect address with `?code=`, or refuse.

    A refusal is a `Not_Ok` object with status 401; the face shows its words above the form.
    """
    form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=20).items()}
    uid, client_id = form.get("uid", ""), form.get("client_id", "")
    if not state.knows(uid) or not _form_is_good(state.named(uid), form, client_id, state):
        fields = {"stat": "Not_Ok", "emsg": replies.WRONG_PASSWORD, "request_time": clock_then_date(state.now)}
        return obj(fields, 401)
    code = state.sessions.issue_code(uid, client_id, state.now, state.config.code_lifetime_s)
    target = form.get("redirect_uri", "")
    if urlsplit(target).scheme not in ("http", "https"):
        return obj({"stat": "Ok", "code": code})
    joint = "&" if urlsplit(target).query else "?"
    return Reply(302, b"", "text/html", location=f"{target}{joint}{urlencode({'code': code})}")


def _form_is_good(named: AccountConfig | None, form: dict[str, str], client_id: str, state: ExchangeState) -> bool:
    if named is None:
        return True
    wrong_client = named.vendor_code and client_id != named.vendor_code
    wrong_password = named.password and form.get("password", "") != named.password
    wrong_totp = named.totp_secret and not totp_is_good(named.totp_secret, form.get("totp", ""), state.now)
    return not (wrong_client or wrong_password or wrong_totp)


def logout(call: Call) -> Reply:
    """End the token (section 4.4)."""
    call.state.sessions.close(call.token)
    return ok(call.now)


def user_details(call: Call) -> Reply:
    """What the account may do (section 7.10); MKT is missing from `orarr` when it is refused."""
    return ok(call.now, {**_profile(call.state, call.account.uid), "uprev": "INVESTOR", "m_num": ""})


def _open(state: ExchangeState, uid: str, source: str) -> str:
    state.account(uid)
    config = state.config
    return state.sessions.open(uid, source, state.now, config.token_expiry_time, config.login_replaces_session)


def _profile(state: ExchangeState, uid: str) -> Row:
    markets = [] if state.config.refuse_market_orders else ["MKT", "SL-MKT"]
    return {
        "actid": uid,
        "uid": uid,
        "uname": f"PAPER {uid}",
        "brkname": "PAPER",
        "email": "",
        "access_type": ["WEB", "TT", "MOB", "API"],
        "exarr": _EXCHANGES,
        "prarr": _PRODUCTS,
        "orarr": ["LMT", "SL-LMT", *markets],
    }
