"""The names of `core.model.broker` where version 0.1 had them, for strategies written for it."""

from core.model.broker import *  # noqa: F403
