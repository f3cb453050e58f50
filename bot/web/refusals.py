"""A request that cannot be met, as a sentence of the catalogue's."""

from starlette.exceptions import HTTPException

from bot.texts.catalog import Catalog

# Of a status without a sentence of its own: the notice's title and its text.
TITLES = {404: "web.title_nothing", 405: "web.title_wrong_way", 410: "web.title_ended"}
TEXTS = {404: "web.nothing", 405: "web.wrong_way"}


class Refusal(HTTPException):
    """``key`` names the sentence; whoever asked hears it in their language."""

    def __init__(self, status: int, *, key: str, **args: str | int) -> None:
        super().__init__(status, key)
        self.key = key
        self.args_of_text = args


def title_of(status: int, catalog: Catalog) -> str:
    return catalog.text(TITLES.get(status, "web.title_sorry"))


def sentence_of(error: HTTPException, catalog: Catalog) -> str:
    """Ours by its key; what came in words already, as it is; the framework's own is replaced."""
    if isinstance(error, Refusal):
        return catalog.text(error.key, error.args_of_text)
    plain = HTTPException(error.status_code).detail
    if error.detail and error.detail != plain:
        return error.detail
    return catalog.text(TEXTS.get(error.status_code, "web.sorry"))
