"""Style sheet, script and icon, shipped with the package. Their address changes with them, so browsers keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import RedirectResponse, Response

__all__ = ["VERSION", "assets_router"]

_PLACE = Path(__file__).parents[1] / "assets"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {file.name: file.read_bytes() for file in sorted(_PLACE.iterdir()) if file.suffix in _KINDS}

VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]
"""Of all of them together."""


def assets_router() -> APIRouter:
    """The files, and the icon that browsers ask for unasked."""
    router = APIRouter(include_in_schema=False)

    @router.get("/assets/{version}/{name}")
    async def asset(version: str, name: str) -> Response:
        content = _FILES.get(name)
        if content is None or version != VERSION:
            raise HTTPException(404, "there is no such file")
        kind = _KINDS[Path(name).suffix]
        return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return RedirectResponse(f"/assets/{VERSION}/icon.svg", 301)

    return router
