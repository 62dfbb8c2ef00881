"""The running service as the command line sees it: its own HTTP contract, with the secrets of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import requests

from core.process.command_key import COMMAND_KEY_HEADER, read_key
from core.settings import Settings

__all__ = ["Answer", "CliError", "ServiceClient"]

_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 10.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class CliError(Exception):
    """A command cannot do what was asked: one line for stderr, what to print on stdout all the same, the exit code."""

    def __init__(self, message: str, output: str | None = None, code: int = 1) -> None:
        super().__init__(message)
        self.output = output
        self.code = code


class Answer(NamedTuple):
    """What the service said."""

    status: int
    body: Any


class ServiceClient:
    """Calls the service that runs with these settings.

    Args:
        settings: `[web]` says where it listens and which secrets it wants. Its key in data_dir serves instead of them.
    """

    def __init__(self, settings: Settings) -> None:
        web = settings.web
        host = _EVERYWHERE.get(web.host, web.host)
        self.url = f"http://[{host}]:{web.port}" if ":" in host else f"http://{host}:{web.port}"
        self._wait_s = web.wait_s
        self._headers: dict[str, bytes] = {}
        if key := read_key(settings.service.data_dir):
            self._headers[COMMAND_KEY_HEADER] = key.encode()
        if web.api_token:
            self._headers["Authorization"] = b"Bearer " + web.api_token.get_secret_value().encode()
        self._secret = web.webhook_secret.get_secret_value().encode() if web.webhook_secret else None

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The body of a successful GET.

        Raises:
            CliError: The service is not there, or refuses.
        """
        return _good(self._call("GET", path, headers=self._headers, params=query))

    def answer(self, path: str) -> Answer:
        """What a GET says, whatever its status.

        Raises:
            CliError: The service is not there.
        """
        return self._call("GET", path, headers=self._headers)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The body of a successful POST below /api.

        Raises:
            CliError: The service is not there, or refuses.
        """
        return _good(self._call("POST", path, headers=self._headers, json=body))

    def submit(self, body: bytes) -> Answer:
        """Post an order to the webhook; 202 and 422 are answers.

        Raises:
            CliError: The service is not there, or refuses for another reason.
        """
        headers = {**self._headers, "Content-Type": b"application/json"}
        if self._secret:
            headers["X-Webhook-Secret"] = self._secret
        answer = self._call("POST", "/webhook", headers=headers, data=body)
        if answer.status != 422:
            _good(answer)
        return answer

    def _call(self, method: str, path: str, **arguments: Any) -> Answer:
        try:
            with requests.Session() as session:
                # A proxy of the environment has no business between a person and their own service.
                session.trust_env = False
                timeout = (_CONNECT_TIMEOUT_S, self._wait_s + _READ_TIMEOUT_S)
                reply = session.request(method, f"{self.url}{path}", timeout=timeout, **arguments)
                return Answer(reply.status_code, reply.json())
        except requests.exceptions.JSONDecodeError:
            raise CliError(f"what listens at {self.url} is not Sixstep: look at [web] port") from None
        except requests.Timeout:
            raise CliError(f"the service at {self.url} does not answer; look into its log") from None
        except requests.ConnectionError:
            raise CliError(f"no service runs at {self.url}; start it with: python run.py run") from None


def _good(answer: Answer) -> Any:
    if answer.status < 300:
        return answer.body
    found = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == 401:
        raise CliError(
            f"{found.get('error') or 'the service lets nobody in without its secrets'} (HTTP 401); a command of the "
            "service's own user, with its settings and so its data_dir, needs none"
        )
    if answer.status == 422:
        raise CliError(problems_line(found))
    told = found.get("error") or found.get("reason") or "the service refuses"
    raise CliError(f"{told} (HTTP {answer.status})")


def problems_line(body: Mapping[str, Any]) -> str:
    """The mistakes of a 422 answer on one line."""
    return "; ".join(f"{error['field']}: {error['message']}" for error in body.get("errors", ()))
