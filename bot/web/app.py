"""Every route of the web app, and how an error is told."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bot.web.downloads import Downloads
from bot.web.guard import Guard
from bot.web.health import Health
from bot.web.refusals import sentence_of, title_of
from bot.web.room import Room, in_words, templates


def create_app(
    room: Room, downloads: Downloads, health: Health | None = None, *, public_url: str = ""
) -> Guard:
    asked = health or Health(downloads.db)

    async def examined(request: Request) -> Response:
        return await asked.examined(request, room.visitors)

    async def tell(request: Request, error: Exception) -> Response:
        """A sentence: as JSON to the page's script, as a page to a person."""
        if not isinstance(error, HTTPException):
            raise error
        catalog = await room.catalog(request)
        said, status, headers = sentence_of(error, catalog), error.status_code, error.headers
        if request.method == "POST":
            return JSONResponse({"error": said}, status, headers)
        words = {"title": title_of(status, catalog), "text": said, **in_words(catalog)}
        return templates.TemplateResponse(request, "notice.html", words, status, headers)

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
        exception_handlers={HTTPException: tell},
    )
    return Guard(app, public_url=public_url)
