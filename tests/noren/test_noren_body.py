"""The body of a request, mended (protocol 2.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.noren.body import BadBody, mend
from core.noren.profiles import PROFILES

TOKEN = "t0ken"


def written(values: dict[str, Any], key: str | None = TOKEN) -> str:
    """A body as the library writes it."""
    return "jData=" + json.dumps(values) + (f"&jKey={key}" if key is not None else "")


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        ({"amo": "NO", "qty": "1"}, {"qty": "1"}),
        ({"amo": None}, {}),
        ({"amo": "Yes"}, {"amo": "Yes"}),
        ({"trgprc": "None"}, {}),
        ({"trgprc": "99.95"}, {"trgprc": "99.95"}),
        ({"remarks": None}, {}),
        ({"remarks": ""}, {"remarks": ""}),
        ({"tsym": "M%26M-EQ"}, {"tsym": "M&M-EQ"}),
        ({"stext": "NIFTY+INDEX"}, {"stext": "NIFTY INDEX"}),
        ({"remarks": "a+b%26"}, {"remarks": "a+b%26"}),
    ],
)
def test_what_the_library_writes_wrongly_is_mended(values: dict[str, Any], sent: dict[str, Any]) -> None:
    body = mend(written(values), PROFILES["paper"], TOKEN, {}).decode()

    assert body.count("&") == 1
    assert json.loads(body.removeprefix("jData=").partition("&")[0]) == sent


def test_additions_are_fields_like_the_others() -> None:
    body = mend(written({"qty": "1"}), PROFILES["shoonya"], TOKEN, {"ret": "D&Y"})

    assert body == rb'jData={"qty":"1","ret":"D\u0026Y"}'


@pytest.mark.parametrize(
    "payload",
    [
        "",
        '{"uid":"U"}',
        "jData=",
        "jData=[]",
        'jData={"a":1',
        'jData={"a":1}&jKey=',
        'jData={"a":1}&jKey=another',
        f'jData={{"a":1}}&jKey={TOKEN}&jData={{}}',
        f'jData={{"a":1}} &jKey={TOKEN}',
        'jData={"a":1}trailing',
    ],
)
def test_a_body_we_do_not_know_is_not_sent(payload: str) -> None:
    with pytest.raises(BadBody):
        mend(payload, PROFILES["paper"], TOKEN, {})
