"""The broker's candles, read on a connection beside that of the orders: TPSeries is slow, and often silent."""

from __future__ import annotations

from datetime import datetime

from core.model.candle import Candle
from core.model.outcomes import LoggedIn
from core.noren.classify import rows_outcome
from core.noren.client import NorenClient
from core.noren.history import history
from core.noren.parse import BadRow

__all__ = ["HistoryClient"]


class HistoryClient(NorenClient):
    """Goes on with the session of the account's other client, and never logs in itself."""

    def use_session(self, token: str) -> None:
        """The token of the session that is up; no call is made."""
        if token != self.session_token:
            self._begun(LoggedIn(self._credentials.user_id, token))

    def history(
        self, exchange: str, symbol: str, minutes: int | None, begin: datetime, end: datetime
    ) -> tuple[Candle, ...]:
        """Candles of so many minutes, or of days, from `begin` to `end`, by `history_calls` calls. Raises ReadError."""
        span = str(int(begin.timestamp())), str(int(end.timestamp()))
        if minutes is None:
            reply = self._read(lambda: self._api.get_daily_price_series(exchange, symbol, *span))
        else:
            token = self.instrument_token(exchange, symbol)
            reply = self._read(lambda: self._api.get_time_price_series(exchange, token, *span, minutes))
        try:
            return history(rows_outcome(reply, self._redactor), minutes)
        except BadRow as error:
            raise self._bad(error) from error

    def history_calls(self, exchange: str, symbol: str, minutes: int | None) -> int:
        """How many calls `history` will make: days go by the symbol, minutes by the instrument's token."""
        return 1 if minutes is None else self.quote_calls(exchange, symbol)
