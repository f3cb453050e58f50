"""/settings as values: every page, every answer, and what a new draft takes from them."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.conversation import step
from bot.draft import Conversation, State
from bot.events import Choice, ChooseLanguage, Command, Prefer
from bot.frontend import Limits
from bot.opened import Opened, View
from bot.panels import panel
from bot.preferences import TOPICS
from bot.render import render
from bot.screen import parse_data
from bot.texts.catalog import Catalog, languages
from storage.preferences import Pings, Preferences
from tests.unit.test_conversation import FACTS

OPEN = Conversation(opened=Opened(view=View.SETTINGS))


def pages() -> list[Conversation]:
    return [OPEN, *(replace(OPEN, opened=replace_tool(topic)) for topic in TOPICS)]


def replace_tool(topic: str) -> Opened:
    return Opened(view=View.SETTINGS, tool=topic)


@pytest.mark.parametrize("language", languages())
def test_every_page_has_words_and_every_button_leads_somewhere(language: str) -> None:
    for shown in pages():
        screen = panel(shown, FACTS)
        assert screen is not None
        message = render(screen, Catalog.load(language), Limits())
        buttons = [one for row in message.buttons for one in row]
        assert buttons
        for one in buttons:
            parts = parse_data(one.data)
            assert parts is not None
            after, _ = step(shown, Choice(*parts), FACTS)
            assert after != shown


def test_every_answer_is_taken_and_leads_back_to_the_overview() -> None:
    for topic in TOPICS:
        shown = replace(OPEN, opened=replace_tool(topic))
        screen = panel(shown, FACTS)
        assert screen is not None
        answers = [one for row in screen.buttons for one in row if one.verb == "prefer"]
        assert len(answers) > 1
        assert sum(one.chosen for one in answers) == 1
        for one in answers:
            after, (action,) = step(shown, Choice("prefer", "", one.argument), FACTS)
            assert isinstance(action, Prefer | ChooseLanguage)
            assert after.opened is not None
            assert after.opened.tool == ""


def test_what_was_chosen_holds_for_the_next_draft() -> None:
    wanted = Preferences(base_model=FACTS.bases[0].id, quality="quick")
    started, _ = step(Conversation(), Command("train"), replace(FACTS, preferences=wanted))
    assert (started.base, started.quality) == (FACTS.bases[0].id, "quick")


def test_a_base_that_went_away_is_asked_for_again() -> None:
    lost = replace(FACTS.bases[0], id="lost", path=Path("/nowhere/at/all"))
    wanted = Preferences(base_model="lost", quality="nonsense")
    facts = replace(FACTS, bases=(*FACTS.bases, lost), preferences=wanted)
    started, _ = step(Conversation(), Command("train"), facts)
    assert (started.base, started.quality) == ("", "standard")


def test_settings_lie_over_a_draft_and_go_when_it_goes_on() -> None:
    draft = Conversation(state=State.KIND, draft="D", person=FACTS.person)
    shown, _ = step(draft, Command("settings"), FACTS)
    assert shown.state is State.KIND
    assert shown.opened is not None
    closed, _ = step(shown, Choice("shut"), FACTS)
    assert replace(closed, panel=draft.panel) == draft


def test_pings_have_an_order_of_quiet() -> None:
    assert list(Pings) == [Pings.ALL, Pings.RESULT, Pings.NONE]
