"""Secrets in texts and in fields of orders (law 11, S11)."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pytest

from core.model.order import RawIntent
from core.rules.secrets import NO_SECRETS, Secrets
from core.rules.validation import Refused, read_intent
from core.runtime import render
from tests.factories import an_intent

SECRET = "pa ss/w\"örd&1'"
SECRETS = Secrets(["pass", SECRET])
PARTS = ("pa ss", "pa+ss", "pa%20ss", "rd&1", "%261", "pass")

FORMS = {
    "as it is": SECRET,
    "percent-encoded": quote(SECRET, safe=""),
    "percent-encoded in small letters": re.sub("%..", lambda found: found.group().lower(), quote(SECRET, safe="")),
    "of a form": quote_plus(SECRET),
    "JSON": json.dumps(SECRET),
    "JSON with its letters": json.dumps(SECRET, ensure_ascii=False),
    "repr": repr({"body": SECRET}),
    **{
        f"Basic, user of {length}": base64.b64encode(f"{'u' * length}:{SECRET}:more".encode()).decode()
        for length in range(1, 4)
    },
    "base64 for URLs": base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
}


def refused(secrets: Secrets, *fields: tuple[str, object]) -> Refused:
    found = secrets.read_intent(RawIntent(fields))
    assert isinstance(found, Refused)
    return found


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_s11_every_form_of_a_secret_is_found_in_a_text_and_in_a_field(form: str) -> None:
    hidden = SECRETS.text(f"before {form} after")
    assert "***" in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert not any(part in hidden for part in PARTS)
    found = refused(SECRETS, ("basket", f"before {form} after"), ("symbol", "INFY-EQ"))
    assert found.readable == (("symbol", "INFY-EQ"),)
    assert [problem.field for problem in found.problems] == ["basket"]
    assert form not in found.problems[0].message


@pytest.mark.parametrize(
    "value",
    [
        [{"deep": [SECRET]}],
        {SECRET: 1},
        quote(quote(SECRET, safe=""), safe=""),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    ],
)
def test_s11_a_secret_deep_in_a_field_or_encoded_over_is_found(value: object) -> None:
    found = refused(SECRETS, ("note", value))
    assert [problem.field for problem in found.problems] == ["note"]
    assert "holds a secret" in found.problems[0].message


def test_s11_a_name_that_holds_a_secret_is_not_told() -> None:
    found = refused(SECRETS, (SECRET, 1), ("x" * 100 + SECRET, 1))
    assert [problem.field for problem in found.problems] == ["***", "***"]


@pytest.mark.parametrize("value", [123456, Decimal(123456), "123456", [10**9000, 123456]])
def test_s11_a_secret_of_digits_is_found_as_a_number(value: object) -> None:
    found = refused(Secrets(["123456"]), ("price", value))
    assert "holds a secret" in found.problems[0].message


def test_s11_what_holds_no_secret_is_left_alone() -> None:
    assert SECRETS.text("RELIANCE-EQ at 2840.50") == "RELIANCE-EQ at 2840.50"
    for secrets in (SECRETS, NO_SECRETS):
        assert secrets.text("***") == "***"
        assert secrets.read_intent(an_intent()) == an_intent()
        assert refused(secrets, ("strategy", "x"), ("price", None)) == read_intent(RawIntent((("strategy", "x"),)))


def test_s11_a_short_secret_is_hidden_but_refuses_no_order() -> None:
    # "pass" could be part of anything that somebody calls a strategy.
    assert SECRETS.text("bypass-2") == "by***-2"
    assert SECRETS.read_intent(an_intent(strategy="bypass-2")) == an_intent(strategy="bypass-2")


def test_s11_the_words_of_an_envelope_hold_no_half_of_a_secret() -> None:
    text = render(("x" * 30, "y" * 20 + SECRET), limit=66, secrets=SECRETS)
    assert len(text) <= 66
    assert "***" in text
    assert "pa s" not in text
