"""Who sits at the page: a random id in a signed cookie is a person and a chat at once."""

import hashlib
import secrets
from dataclasses import dataclass

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request
from starlette.responses import Response

from bot.web.language import spoken
from storage.people_store import Person

YEAR_S = 365 * 24 * 3600
PLATFORM = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitors:
    """``cookie`` is the cookie's name; each port has its own, as cookies do not know ports."""

    secret: str
    cookie: str = "lorabot"

    def recognise(self, request: Request) -> str | None:
        """The chat of this request, or None for a stranger or a forged cookie."""
        try:
            known = self._signer().unsign(request.cookies.get(self.cookie, ""), max_age=YEAR_S)
        except BadSignature:
            return None
        return f"{PLATFORM}:{known.decode()}"

    def remember(self, response: Response, chat: str) -> None:
        response.set_cookie(
            self.cookie,
            self._signer().sign(chat.removeprefix(f"{PLATFORM}:")).decode(),
            max_age=YEAR_S,
            httponly=True,
            samesite="strict",
        )

    def _signer(self) -> TimestampSigner:
        return TimestampSigner(self.secret, salt="web-visitor", digest_method=hashlib.sha256)


def new_chat() -> str:
    return f"{PLATFORM}:{secrets.token_hex(8)}"


def person_of(chat: str, request: Request) -> Person:
    language = spoken(request.headers.get("accept-language", ""))
    return Person(id=chat, name="local user", language=language)
