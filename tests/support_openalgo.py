"""A client that sends what OpenAlgo's own Python client sends, and makes of an answer what that makes of it.

Numbers go out as texts, `price_type` and `order_id` have other names on the wire, further arguments go as texts too,
and any status but 200 becomes an error. That client itself is in `tests/scenarios/test_openalgo_client.py`.
"""

from __future__ import annotations

from typing import Any

import requests

from core.messages import GetInstrumentFiles
from tests.support import wait_until
from tests.support_service import Running

__all__ = ["FILES", "INFY", "KEY", "OPENALGO", "TCS", "Client", "begun", "client_of", "expiry_of"]

KEY = "a key of some length 0123456789"
OPENALGO: dict[str, Any] = {
    "SIXSTEP_OPENALGO__ENABLED": "true",
    "SIXSTEP_OPENALGO__API_KEY": KEY,
    # Beside other tests: the web port alone.
    "SIXSTEP_OPENALGO__WS_PORT": "0",
}

# With waits that no busy machine makes too short.
FILES: dict[str, Any] = {
    "SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE,NFO",
    "SIXSTEP_BROKER__READ_TIMEOUT_S": "30",
    "SIXSTEP_WEB__WAIT_S": "30",
}
INFY: dict[str, Any] = {"symbol": "INFY", "exchange": "NSE"}
TCS: dict[str, Any] = {"symbol": "TCS", "exchange": "NSE"}

_NAMES = {"price_type": "pricetype", "order_id": "orderid"}
_ORDER: dict[str, Any] = {"strategy": "Python", "price_type": "MARKET", "product": "MIS", "quantity": 1}


class Client:
    """Calls `/api/v1` of a host."""

    def __init__(self, host: str, key: str = KEY, strategy: str = "Python") -> None:
        self._url = f"{host}/api/v1/"
        self._key = key
        self._strategy = strategy

    def post(self, endpoint: str, body: dict[str, Any], **headers: str) -> requests.Response:
        """The answer as it is."""
        return requests.post(f"{self._url}{endpoint}", json={"apikey": self._key, **body}, headers=headers, timeout=60)

    def get(self, endpoint: str, **query: str) -> requests.Response:
        """The answer to a GET, as it is."""
        return requests.get(f"{self._url}{endpoint}", params={"apikey": self._key, **query}, timeout=60)

    def ask(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """A call that sends its fields as they are."""
        return _made_of(self.post(endpoint, fields))

    def order(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """A call that sends texts, with the usual fields of an order."""
        return self.texts(endpoint, **{**_ORDER, "strategy": self._strategy, **fields})

    def texts(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """A call that sends texts."""
        named = {"strategy": self._strategy, **fields}
        return self.ask(endpoint, **{_NAMES.get(name, name): str(value) for name, value in named.items()})

    def placeorder(self, **fields: Any) -> dict[str, Any]:
        return self.order("placeorder", **fields)

    def placesmartorder(self, **fields: Any) -> dict[str, Any]:
        return self.order("placesmartorder", **fields)

    def basketorder(self, orders: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        texts = [{name: str(value) for name, value in one.items()} for one in orders]
        return self.ask("basketorder", strategy=self._strategy, orders=texts, **fields)

    def open(self, symbol: str, product: str = "MIS", exchange: str = "NSE") -> str:
        """What `openposition` says."""
        answer = self.texts("openposition", symbol=symbol, exchange=exchange, product=product)
        assert answer["status"] == "success", answer
        return str(answer["quantity"])


def _made_of(response: requests.Response) -> dict[str, Any]:
    if response.status_code != 200:
        told = f"HTTP {response.status_code}: {response.text}"
        return {"status": "error", "message": told, "code": response.status_code, "error_type": "http_error"}
    answer: dict[str, Any] = response.json()
    if answer.get("status") == "error":
        return {"status": "error", "message": answer["message"], "code": 200, "error_type": "api_error"}
    return answer


def client_of(service: Running, strategy: str = "Python") -> Client:
    assert service.service.web is not None
    return Client(service.service.web.url, strategy=strategy)


def begun(service: Running) -> Running:
    """The service once it knows its instruments, with prices that stand still."""
    wait_until(lambda: len(service.ask("instruments", GetInstrumentFiles()).files) == 2)
    service.set_price("1500")
    service.set_price("3000", "TCS-EQ")
    return service


def expiry_of(client: Client) -> str:
    """The nearest expiry of NIFTY's options, as orders name it."""
    days = client.ask("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="options")["data"]
    return str(days[0]).replace("-", "")
