"""The wire to a Noren broker: a typed client over NorenRestApiPy, and what its answers mean.

Read `client.py` first, then `classify.py`; `feed.py` is the push socket. Nothing here knows actors; answers are values
of `core.model`.
"""

from core.noren.client import NorenClient
from core.noren.credentials import Credentials
from core.noren.feed import FeedDown, FeedValue, Instrument, PushFeed, ResyncNeeded
from core.noren.history_client import HistoryClient
from core.noren.kept_session import KeptSession
from core.noren.login import CodeMemory
from core.noren.parse import Limits
from core.noren.profiles import PROFILES, BrokerProfile, LoginStyle, profile

__all__ = [
    "PROFILES",
    "BrokerProfile",
    "CodeMemory",
    "Credentials",
    "FeedDown",
    "FeedValue",
    "HistoryClient",
    "Instrument",
    "KeptSession",
    "Limits",
    "LoginStyle",
    "NorenClient",
    "PushFeed",
    "ResyncNeeded",
    "profile",
]
