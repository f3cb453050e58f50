"""In which language the page speaks: the person's own choice, the browser's, the server's."""

import re

from starlette.requests import Request

from bot.texts.catalog import Catalog, languages, nearest
from storage import people_store
from storage.database import Database

TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
MOST_TAGS = 20


async def catalog_of(request: Request, db: Database, person: str = "") -> Catalog:
    """For ``person``, if the request comes from one; else for whoever sits at this browser."""
    chosen = ""
    if person:
        async with db.read() as tx:
            chosen = await people_store.chosen_language(tx, person)
    return Catalog.load(nearest(chosen or spoken(request.headers.get("accept-language", ""))))


def spoken(header: str) -> str:
    """The best liked language of an Accept-Language header that we have a catalogue for; without
    one, the best liked of all; empty where the header names none.
    """
    liked = _by_weight(header)
    ours = {name.partition("_")[0].lower() for name in languages()}
    return next((tag for tag in liked if tag.partition("-")[0].lower() in ours), (*liked, "")[0])


def _by_weight(header: str) -> list[str]:
    """Tags, the best liked first; those of weight 0 are not wanted at all (RFC 9110, 12.5.4)."""
    weighed = []
    for part in header.split(",")[:MOST_TAGS]:
        tag, _, rest = part.strip().partition(";")
        weight = _weight(rest)
        if TAG.fullmatch(tag.strip()) and weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda one: -one[0])]


def _weight(parameter: str) -> float:
    value = parameter.strip().removeprefix("q=")
    try:
        return float(value) if value else 1.0
    except ValueError:
        return 0.0
