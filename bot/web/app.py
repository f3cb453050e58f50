"""Every route of the web app, and how an error is told."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bot.web.downloads import Downloads
from bot.web.guard import Guard
from bot.web.room import Room, templates

TITLES = {404: "Nothing here", 405: "Not this way", 410: "This link has ended"}


def create_app(room: Room, downloads: Downloads, *, public_url: str = "") -> Guard:
    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        async with downloads.db.read():
            return PlainTextResponse("ok\n")

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
            Route("/healthz", alive),
            Route("/readyz", ready),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        exception_handlers={HTTPException: _tell},
    )
    return Guard(app, public_url=public_url)


async def _tell(request: Request, error: Exception) -> Response:
    """A sentence: as JSON to the page's script, as a page to a person."""
    if not isinstance(error, HTTPException):
        raise error
    if request.method == "POST":
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    words = {"title": TITLES.get(error.status_code, "Sorry"), "text": error.detail}
    return templates.TemplateResponse(
        request, "notice.html", words, error.status_code, error.headers
    )
