"""A door beside the page's own, for a network that brings its updates by itself."""

from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send


class Hook(Protocol):
    """An application at one ``path``. It knows by itself who may come in."""

    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""


def beside(app: ASGIApp, hook: Hook | None) -> ASGIApp:
    """The page's guard asks for its own host and origin; a network has neither."""
    if hook is None:
        return app

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        chosen: ASGIApp = hook if scope["type"] == "http" and scope["path"] == hook.path else app
        await chosen(scope, receive, send)

    return either
