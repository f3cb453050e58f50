"""A screen in one language, fit for one network. Pure."""

from bot.frontend import Limits, Message, OutFile, RenderedButton
from bot.screen import Button, Line, Screen
from bot.texts.catalog import Catalog
from storage.job import Args

MARKUP = str.maketrans("", "", "*`")
MAX_ARGUMENT = 200  # characters of a person's own words in one of our sentences
MAX_LABEL = 64
ELLIPSIS = "…"


def render(
    screen: Screen,
    catalog: Catalog,
    limits: Limits,
    file: OutFile | None = None,
    picture: OutFile | None = None,
) -> Message:
    paragraphs = [_line(line, catalog) for line in screen.lines]
    return Message(
        text=_cut("\n".join(paragraphs), limits.caption if file or picture else limits.text),
        buttons=tuple(tuple(_button(one, catalog) for one in row) for row in screen.buttons),
        file=file,
        picture=picture,
        notify=screen.notify,
    )


def _line(line: Line, catalog: Catalog) -> str:
    return catalog.text(line.key, _plain(line.args), line.n)


def _plain(args: Args) -> Args:
    return {name: plain(value) for name, value in args.items()}


def plain(value: str | float) -> str | int | float:
    """Words of people must not become markup of ours, nor push our sentence away."""
    if not isinstance(value, str):
        return value
    return _cut(" ".join(value.translate(MARKUP).split()), MAX_ARGUMENT)


def _button(button: Button, catalog: Catalog) -> RenderedButton:
    label = catalog.text(button.label, _plain(button.args))
    return RenderedButton(
        label=_cut(label, MAX_LABEL), data=button.data, url=button.url, danger=button.danger
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS
