"""What UserDetails says of an account (protocol 7.10)."""

from __future__ import annotations

from core.noren.rights import Rights, rights


def test_codes_are_taken_and_what_is_not_as_documented_is_left_out() -> None:
    products = [{"prd": "C", "s_prdt_ali": "CNC", "exch": ["NSE"]}, {"s_prdt_ali": "MIS"}, "M", 7]
    answer = {"exarr": ["NSE", None], "prarr": products, "orarr": "LMT"}
    assert rights(answer) == Rights(exchanges=("NSE",), products=("C", "M"), order_types=())
    assert rights({}) == Rights((), (), ())
