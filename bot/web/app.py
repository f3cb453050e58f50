"""Every route of the web app, and how an error is told."""

import logging
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bot.texts.catalog import Catalog, nearest
from bot.web.downloads import Downloads
from bot.web.guard import Guard
from bot.web.health import Health
from bot.web.language import spoken
from bot.web.refusals import sentence_of, title_of
from bot.web.room import Room, in_words, templates

log = logging.getLogger(__name__)


def create_app(
    room: Room, downloads: Downloads, health: Health | None = None, *, public_url: str = ""
) -> Guard:
    asked = health or Health(downloads.db)

    async def examined(request: Request) -> Response:
        return await asked.examined(request, room.visitors)

    async def tell(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        catalog = await room.catalog(request)
        said, status, headers = sentence_of(error, catalog), error.status_code, error.headers
        return _answer(request, catalog, said, status, headers)

    async def away(request: Request, error: Exception) -> Response:
        """Before the database is asked for whoever it is: so it is the browser's language."""
        log.warning("a request found no database (%s)", type(error).__name__)
        catalog = Catalog.load(nearest(spoken(request.headers.get("accept-language", ""))))
        return _answer(request, catalog, catalog.text("web.sorry"), 503, {"retry-after": "5"})

    app = Starlette(
        routes=[
            Route("/", room.page),
            Route("/events", room.events),
            Route("/say", room.say, methods=["POST"]),
            Route("/press", room.press, methods=["POST"]),
            Route("/upload", room.upload, methods=["POST"]),
            Route("/thumb/{name}", room.thumb),
            Route("/shown/{name:path}", room.shown),
            Route("/dl/{token}", downloads.file),
            Route("/healthz", asked.alive),
            Route("/config/test", examined, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        exception_handlers={HTTPException: tell, DBAPIError: away},
    )
    return Guard(app, public_url=public_url)


def _answer(
    request: Request, catalog: Catalog, said: str, status: int, headers: Mapping[str, str] | None
) -> Response:
    """A sentence: as JSON to the page's script, as a page to a person."""
    if request.method == "POST":
        return JSONResponse({"error": said}, status, headers)
    words = {"title": title_of(status, catalog), "text": said, **in_words(catalog)}
    return templates.TemplateResponse(request, "notice.html", words, status, headers)
