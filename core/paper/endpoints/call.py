"""What an endpoint is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.paper.accounts import Account
from core.paper.instruments import Instrument
from core.paper.oms import Oms
from core.paper.parsing import Fields
from core.paper.replies import NO_DATA, Refusal
from core.paper.state import ExchangeState
from core.paper.wire import Reply

__all__ = ["Call", "Endpoint"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request that is understood and, unless it is a login, comes from a known session.

    Attributes:
        state: The exchange.
        oms: Takes orders.
        path: The endpoint's name.
        fields: What the body says.
        token: The token it came with.
        peer: Where it came from.
        user: Whose session it is; None for logins.
    """

    state: ExchangeState
    oms: Oms
    path: str
    fields: Fields
    token: str
    peer: str
    user: Account | None

    @property
    def now(self) -> datetime:
        """The time of the call."""
        return self.state.now

    @property
    def account(self) -> Account:
        """Whose session it is."""
        assert self.user is not None, "a login has no account yet"
        return self.user

    def text(self, name: str) -> str:
        """A field as text; empty when absent or null."""
        return self.fields.text(name)

    def instrument(self) -> Instrument:
        """The contract that `exch` and `token` name.

        Raises:
            Refusal: There is none.
        """
        found = self.state.master.by_token(self.text("exch"), self.text("token"))
        if found is None:
            raise Refusal(NO_DATA)
        return found


Endpoint = Callable[[Call], Reply]
"""Answers a call, or raises Refusal."""
