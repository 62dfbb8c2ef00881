"""The web doors: webhook and API over the messages of the cast."""

from core.web.app import create_app
from core.web.connections import Bounds
from core.web.doors import Doors, Record
from core.web.server import WebServer

__all__ = ["Bounds", "Doors", "Record", "WebServer", "create_app"]
