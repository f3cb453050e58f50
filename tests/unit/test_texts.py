"""Every language says everything, with the same arguments, within the same limits."""

import ast
import re
from pathlib import Path

import polib
import pytest

from bot.texts.catalog import FOLDER, Catalog, languages, nearest

OTHERS = [one for one in languages() if one != "en"]
ROOT = Path(__file__).parents[2]
NAME = re.compile(r"{(\w+)}")
COUNTS = (0, 1, 2, 3, 4, 5, 10, 11, 12, 14, 20, 21, 22, 25, 100, 101, 111, 121)


def entries(language: str) -> dict[str, polib.POEntry]:
    return {entry.msgid: entry for entry in polib.pofile(str(FOLDER / f"{language}.po"))}


def forms(entry: polib.POEntry) -> tuple[str, ...]:
    return tuple(entry.msgstr_plural.values()) or (entry.msgstr,)


def names(text: str) -> set[str]:
    return set(NAME.findall(text))


def test_english_russian_and_chinese_are_there() -> None:
    assert {"en", "ru", "zh"} <= set(languages())


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_is_missing_and_none_is_left_over(language: str) -> None:
    assert entries(language).keys() == entries("en").keys()


@pytest.mark.parametrize("language", languages())
def test_no_sentence_is_empty_or_there_twice(language: str) -> None:
    file = polib.pofile(str(FOLDER / f"{language}.po"))
    ids = [entry.msgid for entry in file]
    assert len(ids) == len(set(ids))
    assert not [entry.msgid for entry in file if not all(forms(entry))]


@pytest.mark.parametrize("language", OTHERS)
def test_every_form_has_the_same_arguments(language: str) -> None:
    english = entries("en")
    wrong = []
    for key, entry in entries(language).items():
        whole = set().union(*map(names, forms(english[key])))
        # One form may say "one" in words, where it stands for one number alone.
        wrong += [key for form in forms(entry) if names(form) | {"n"} != whole | {"n"}]
    assert not wrong


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_counted_in_one_language_is_counted_in_all(language: str) -> None:
    english = entries("en")
    other = entries(language)
    assert {k for k, e in english.items() if e.msgstr_plural} == {
        k for k, e in other.items() if e.msgstr_plural
    }


@pytest.mark.parametrize("language", languages())
def test_every_number_has_its_form(language: str) -> None:
    catalog = Catalog.load(language)
    for key, entry in entries(language).items():
        if not entry.msgstr_plural:
            continue
        args = dict.fromkeys(set().union(*map(names, forms(entry))) - {"n"}, "x")
        for count in COUNTS:
            assert catalog.text(key, args, count)


@pytest.mark.parametrize(
    ("count", "form"),
    [(1, "фото"), (2, "компьютера"), (5, "компьютеров"), (11, "компьютеров"), (21, "компьютер.")],
)
def test_russian_counts_in_three_ways(count: int, form: str) -> None:
    key = "queue.online" if count > 1 else "photos.so_far"
    assert form in Catalog.load("ru").text(key, {}, count)


@pytest.mark.parametrize("language", languages())
def test_markup_is_closed(language: str) -> None:
    for key, entry in entries(language).items():
        for form in forms(entry):
            assert form.count("**") % 2 == 0, key
            assert form.count("`") % 2 == 0, key


@pytest.mark.parametrize("language", languages())
def test_buttons_are_short_enough_for_every_network(language: str) -> None:
    for key, entry in entries(language).items():
        if key.startswith("button."):
            assert all(len(NAME.sub("12345678", form)) <= 64 for form in forms(entry)), key


@pytest.mark.parametrize("language", languages())
def test_the_help_names_every_command_with_what_it_does(language: str) -> None:
    lines = Catalog.load(language).text("help.text").splitlines()
    said = [re.fullmatch(r"/(\w+) – (.{3,90})", line) for line in lines]
    assert all(said), lines
    english = Catalog.load("en").text("help.text").splitlines()
    assert [one[1] for one in said if one] == [line.split()[0][1:] for line in english]


def literal_keys() -> set[str]:
    """Text keys that stand in the program as they are."""
    found = set()
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in {"key", "label"}:
                values = [one for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                found |= {one.value for one in values if isinstance(one.value, str)}
    return {one for one in found if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", one)}


def test_every_key_of_the_program_is_a_sentence() -> None:
    keys = literal_keys()
    assert len(keys) > 100
    assert not keys - entries("en").keys()


@pytest.mark.parametrize(
    ("client", "language"),
    [("ru", "ru"), ("ru-RU", "ru"), ("zh-CN", "zh"), ("zh_TW", "zh"), ("pt-BR", "en"), ("", "en")],
)
def test_the_clients_language_is_met(client: str, language: str) -> None:
    assert nearest(client) == language
