"""Every sentence, by key and language. A missing key is our fault and fails loudly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path

import polib

from storage.job import NO_ARGS, Args

FOLDER = Path(__file__).parent
DEFAULT = "en"
_server = [DEFAULT]


class MissingTextError(KeyError):
    """A key without a sentence, or a sentence without one of its arguments."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """``texts`` has one form for a plain sentence, one for each plural form otherwise."""

    language: str
    texts: Mapping[str, tuple[str, ...]]
    plural: Callable[[int], int]

    @classmethod
    def load(cls, language: str) -> "Catalog":
        return _load(language)

    def text(self, key: str, args: Args = NO_ARGS, n: int | None = None) -> str:
        """The sentence, with ``n`` choosing the form and standing in it as ``{n}``."""
        try:
            forms = self.texts[key]
            form = forms[0 if n is None else self.plural(n)]
            return form.format_map(args if n is None else {**args, "n": n})
        except (KeyError, IndexError) as error:
            raise MissingTextError(f"{self.language}: {key} ({error})") from error


@cache
def languages() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.po")))


def nearest(wanted: str, otherwise: str | None = None) -> str:
    """The catalogue for what a client says: ``pt-BR`` takes ``pt_BR``, else ``pt``, else the
    server's own.
    """
    known = {name.lower(): name for name in languages()}
    whole = wanted.replace("-", "_").lower()
    for name in (whole, whole.partition("_")[0]):
        if name in known:
            return known[name]
    return _server[0] if otherwise is None else otherwise


def speak(language: str) -> None:
    """The server's own language, for whoever speaks none of ours; set once, at the start."""
    _server[0] = nearest(language)


@cache
def _load(language: str) -> Catalog:
    file = polib.pofile(str(FOLDER / f"{language}.po"))
    rule = file.metadata["Plural-Forms"].partition("plural=")[2].rstrip(";")
    texts = {
        entry.msgid: tuple(form for _, form in sorted(entry.msgstr_plural.items()))
        or (entry.msgstr,)
        for entry in file
    }
    return Catalog(language, texts, c2py(rule))
