"""The bodies of the HTTP contract, as the OpenAPI page shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.model.order import Product
from core.rules.validation import MAX_KEY

__all__ = [
    "EXAMPLES",
    "WEBHOOK_BODY",
    "CancelRequest",
    "CancelTaken",
    "FieldProblem",
    "AdoptRequest",
    "KeyTaken",
    "ModifyRequest",
    "ModifyTaken",
    "OrderStanding",
    "ProtectRequest",
    "Refusal",
    "ResumeRequest",
    "SeenRequest",
    "SquareOffRequest",
]


class OrderStanding(BaseModel):
    """What became of a submission: after step 5, or when the wait ran out."""

    command_id: str | None
    status: str | None
    tag: str | None
    reason: str | None
    broker_order_id: str | None
    unknown: bool
    """Whether the broker may have it although no answer says so: neither success nor failure, not to be sent again."""


class FieldProblem(BaseModel):
    """One thing wrong: the field as it was sent, and what would be right."""

    field: str
    message: str


class Refusal(BaseModel):
    """Nothing was sent. `command_id` is the FAILED row that records it, where the order could be read at all."""

    errors: list[FieldProblem]
    command_id: str | None = None


class KeyTaken(BaseModel):
    """Nothing was recorded or sent. The order is the one that the idempotency key belongs to."""

    error: str
    command_id: str | None = None
    status: str | None = None


# A reason is shown on pages and in logs: text on one line.
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResumeRequest(_Wanted):
    """Who lets trading go on."""

    by: Line = "api"


class CancelRequest(_Wanted):
    """Who wants the order gone."""

    by: Line = "api"


class CancelTaken(BaseModel):
    """What became of a wish to cancel (`core.messages.CancelStanding`). The order's row has the last word."""

    command_id: str | None
    standing: str
    reason: str


class SeenRequest(_Wanted):
    """What the caller saw of the order: it is refused where the order is not so any more."""

    quantity: int | None = None
    filled_quantity: int | None = None
    price: Decimal | None = None


class ModifyRequest(_Wanted):
    """What is to change: `quantity` is the total, filled and still wanted together; what is left out stays."""

    quantity: int | str | None = None
    price: float | str | None = None
    trigger_price: float | str | None = None
    order_type: str | None = None
    seen: SeenRequest = SeenRequest()
    by: Line = "api"


class ModifyTaken(BaseModel):
    """What became of a wish to modify (`core.messages.ModifyStatus`), and what the order is now. Its row has the last
    word."""

    command_id: str | None
    standing: str
    reason: str
    order: dict[str, Any] | None
    errors: list[FieldProblem]


class AdoptRequest(_Wanted):
    """Which position, how much of it (unsigned), and the strategy it is given to, or of which it is written off."""

    strategy: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    exchange: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,8}$")]
    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9&_. -]{0,63}$")]
    product: Product
    quantity: Annotated[int, Field(gt=0, le=100_000_000)]
    write_off: bool = False
    by: Line = "api"


class ProtectRequest(_Wanted):
    """Whose position, and by what it is to be protected; `product` may be left out where one is held."""

    strategy: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    exchange: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,8}$")] = "NSE"
    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9&_. -]{0,63}$")]
    product: Product | None = None
    stop: dict[str, float | int | str] | None = None
    target: dict[str, float | int | str] | None = None
    trail: dict[str, float | int | str] | None = None


class FlattenRequest(_Wanted):
    """Which position, and what EXITs opened of it, signed, as the alert and /api/positions show it."""

    exchange: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,8}$")] = "NSE"
    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9&_. -]{0,63}$")]
    product: Product
    quantity: Annotated[int, Field(ge=-100_000_000, le=100_000_000)]


class SquareOffRequest(_Wanted):
    """What to exit, and why."""

    reason: Line = "asked for over the API"
    strategy: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] | None = None
    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9&_. -]{0,63}$")] | None = None


EXAMPLES: dict[str, Any] = {
    "one order": {
        "value": {
            "strategy": "momentum",
            "execution_type": "ENTRY",
            "exchange": "NSE",
            "symbol": "RELIANCE-EQ",
            "side": "BUY",
            "quantity": 50,
            "product": "MIS",
            "order_type": "LIMIT",
            "price": 2840.50,
            "idempotency_key": "signal-1042",
        }
    },
    "an order with a stop and a trail": {
        "value": {
            "strategy": "momentum",
            "execution_type": "ENTRY",
            "exchange": "NSE",
            "symbol": "RELIANCE-EQ",
            "side": "BUY",
            "quantity": 50,
            "product": "MIS",
            "order_type": "MARKET",
            "protect": {"stop": {"points": 25}, "target": {"percent": 2}, "trail": {"points": 15}},
        }
    },
    "an alert of TradingView": {
        "value": {
            "secret": "<webhook_secret>",
            "strategy": "momentum",
            "execution_type": "EXIT",
            "exchange": "NSE",
            "tradingsymbol": "RELIANCE-EQ",
            "action": "sell",
            "qty": "50",
            "pricetype": "MARKET",
        }
    },
    # Its other fields stand in the address: docs/webhooks.md.
    "an alert of Chartink": {
        "value": {
            "stocks": "SBIN,INFY",
            "trigger_prices": "801.5,1502.3",
            "triggered_at": "2:34 pm",
            "scan_name": "Breakouts",
            "scan_url": "breakouts",
            "alert_name": "Breakouts",
            "webhook_url": "https://orders.example.com/webhook",
        }
    },
    "a basket": {
        "value": {
            "strategy": "straddle",
            "execution_type": "ENTRY",
            "exchange": "NFO",
            "side": "SELL",
            "quantity": 65,
            "product": "NRML",
            "order_type": "LIMIT",
            "legs": [
                {"symbol": "NIFTY24NOV26C24000", "price": 110.5},
                {"symbol": "NIFTY24NOV26P24000", "price": 98.25},
            ],
        }
    },
}

WEBHOOK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "strategy": {"type": "string"},
                        "execution_type": {"enum": ["ENTRY", "EXIT", "ADJUST"]},
                        "exchange": {"enum": ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCX"]},
                        "symbol": {"type": "string", "description": "also tradingsymbol"},
                        "side": {"enum": ["BUY", "SELL"], "description": "also action, direction"},
                        "quantity": {"type": "integer", "minimum": 1, "description": "units, not lots; also qty"},
                        "product": {"enum": ["MIS", "NRML", "CNC", "I", "M", "C"]},
                        "order_type": {
                            "enum": ["LIMIT", "MARKET", "SL", "SL-M", "LMT", "MKT", "SL-LMT", "SL-MKT"],
                            "description": "also pricetype",
                        },
                        "price": {"type": "number", "description": "rupees; with LIMIT and SL only"},
                        "trigger_price": {"type": "number", "description": "rupees; with SL and SL-M only"},
                        "validity": {"enum": ["DAY", "IOC"], "default": "DAY"},
                        "idempotency_key": {"type": "string", "maxLength": MAX_KEY},
                        "protect": {
                            "type": "object",
                            "description": "with an ENTRY: stop, target, trail, each points, percent or price",
                        },
                        "secret": {"type": "string", "description": "instead of the header X-Webhook-Secret"},
                        "legs": {"type": "array", "maxItems": 20, "items": {"type": "object"}},
                    },
                },
                "examples": EXAMPLES,
            }
        },
    },
    "parameters": [
        {"name": "X-Webhook-Secret", "in": "header", "required": False, "schema": {"type": "string"}},
        {
            "name": "X-Timestamp",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
            "description": "epoch seconds, at most 300 s from now; with X-Signature",
        },
        {
            "name": "X-Signature",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
            "description": "hex HMAC-SHA256 of <X-Timestamp>.<body> with the webhook secret, good once",
        },
        {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}},
    ],
}
