"""The page a person sees when a broker of the OAuth generation asks for the login (protocol section 4.2).

The form is shown here; what is typed into it goes by POST to the same path, where the exchange checks it and sends the
browser on to the redirect address with `?code=`. A program that posts the form itself gets the exchange's own words.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs

from core.paper.http_connection import HttpReply, HttpRequest
from core.paper.wire import Reply

_STYLE = files("core.paper").joinpath("login.css").read_text(encoding="utf-8")

# The redirect after the form goes to the client's own address, and browsers hold redirects to form-action too.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Paper exchange login</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Paper exchange</h1>
<p>Login for client <strong>{client_id}</strong>. No broker is behind this page.</p>
{message}<form method="post">
<input type="hidden" name="client_id" value="{client_id}">
<input type="hidden" name="redirect_uri" value="{redirect_uri}">
<label>User id <input name="uid" autocomplete="username" required value="{uid}"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<label>TOTP <input name="totp" inputmode="numeric" autocomplete="one-time-code" required></label>
<button>Log in</button>
</form>
</main>
</body>
</html>
"""


_CODE_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Paper exchange login</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Paper exchange</h1>
<p>Logged in. No redirect address was named; the code, good once, is</p>
<p><code>{code}</code></p>
</main>
</body>
</html>
"""


def login_form(request: HttpRequest) -> HttpReply:
    """The form, for the client and the redirect address that the query of `request` names."""
    return _form(_fields(request.query))


def answer_to_form(request: HttpRequest, reply: Reply) -> HttpReply | None:
    """What a browser is shown after the form was posted; None where the exchange's reply goes out as it is.

    Args:
        request: The posted form.
        reply: What the exchange said: 302 to the redirect address, 401 with a reason, or the code as JSON.
    """
    if "text/html" not in request.headers.get("accept", "") or reply.location is not None:
        return None
    said = json.loads(reply.body or b"{}")
    if reply.status == 401:
        return _form(_fields(request.body.decode("utf-8", "replace")), status=401, message=said["emsg"])
    return _page(_CODE_PAGE.format(style=_STYLE, code=escape(said["code"])), 200)


def _form(fields: dict[str, str], *, status: int = 200, message: str = "") -> HttpReply:
    """The form with `fields` filled in, all of them escaped; the password and the TOTP never are."""
    client_id = fields.get("client_id", fields.get("app_key", ""))
    page = _PAGE.format(
        style=_STYLE,
        client_id=escape(client_id),
        redirect_uri=escape(fields.get("redirect_uri", "")),
        uid=escape(fields.get("uid", client_id.removesuffix("_U"))),
        message=f'<p class="error" role="alert">{escape(message)}</p>\n' if message else "",
    )
    return _page(page, status)


def _page(page: str, status: int) -> HttpReply:
    headers = (
        ("Content-Security-Policy", _POLICY),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return HttpReply(status, page.encode(), "text/html; charset=utf-8", headers)


def _fields(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
