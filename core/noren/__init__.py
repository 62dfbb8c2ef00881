"""The wire to a Noren broker: a typed client over NorenRestApiPy, and what its answers mean.

Read `client.py` first, then `classify.py`; `feed.py` is the push socket. Nothing here knows actors; answers are values
of `core.reports` and the outcomes below.
"""

from core.noren.classify import (
    Accepted,
    NotSent,
    OrderOutcome,
    ReadError,
    Refusal,
    Refused,
    Unknown,
)
from core.noren.client import NorenClient
from core.noren.credentials import Credentials
from core.noren.feed import FeedDown, FeedValue, Instrument, PushFeed, ResyncWanted
from core.noren.login import CodeMemory, LoggedIn, LoginFailed, LoginOutcome, LoginRefused
from core.noren.parse import Limits
from core.noren.profiles import PROFILES, BrokerProfile, LoginStyle, profile

__all__ = [
    "PROFILES",
    "Accepted",
    "BrokerProfile",
    "CodeMemory",
    "Credentials",
    "FeedDown",
    "FeedValue",
    "Instrument",
    "Limits",
    "LoggedIn",
    "LoginFailed",
    "LoginOutcome",
    "LoginRefused",
    "LoginStyle",
    "NorenClient",
    "NotSent",
    "OrderOutcome",
    "PushFeed",
    "ReadError",
    "Refusal",
    "Refused",
    "ResyncWanted",
    "Unknown",
    "profile",
]
