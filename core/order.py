"""The names of `core.model.order` where version 0.1 had them, for strategies written for it."""

from core.model.order import *  # noqa: F403
