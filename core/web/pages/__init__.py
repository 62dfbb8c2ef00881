"""The dashboard: pages rendered on the server, live by server-sent events, with nothing loaded from elsewhere."""

from core.web.pages.live import Live
from core.web.pages.router import pages_router, problem_page, views
from core.web.pages.site import Site
from core.web.pages.templating import Templates

__all__ = ["Live", "Site", "Templates", "pages_router", "problem_page", "views"]
