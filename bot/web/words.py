"""The words that the page's script needs, in one language."""

from bot.texts.catalog import Catalog

PLAIN = (
    *("connecting", "online", "offline", "parked", "uploading", "checking", "stopped", "copied"),
    *("copy", "failed", "again", "stop", "too_big", "says"),
)
COUNTED = ("files",)


def words_of(catalog: Catalog) -> dict[str, list[str]]:
    """Each word by its name; of what is counted all forms, in the order of its catalogue. What
    stands in braces is filled in by the page.
    """
    return {name: list(catalog.texts[f"web.{name}"]) for name in (*PLAIN, *COUNTED)}


def commands_of(catalog: Catalog) -> list[str]:
    """Those that the help names: they can be pressed where a text says them."""
    lines = catalog.text("help.text").splitlines()
    return ["help", *(line.partition(" ")[0][1:] for line in lines if line.startswith("/"))]


def tag_of(catalog: Catalog) -> str:
    """As HTML names the language."""
    return catalog.language.replace("_", "-")
