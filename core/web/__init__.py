"""The web entry points: webhook and API over the messages of the actors."""

from core.web.app import create_app, create_openalgo_app
from core.web.connections import Bounds
from core.web.gateway import Gateway, Record
from core.web.server import WebServer

__all__ = ["Bounds", "Gateway", "Record", "WebServer", "create_app", "create_openalgo_app"]
