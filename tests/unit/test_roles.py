"""Another admin, one less, and what admins did: as tables."""

from dataclasses import replace
from typing import Any

import pytest

from bot.conversation import step
from bot.draft import Conversation
from bot.events import Action, Choice, Command, Event, Show
from bot.facts import Facts
from bot.office import Door, Ledger, Office
from bot.orders import Appoint, Dismiss, Note, Tell
from bot.texts.catalog import Catalog, languages
from storage.access import Act, Member
from storage.roster import Profile

ENGLISH = Catalog.load("en")
NOW = 1_790_000_000.0
BOB = Profile(member=Member(person="tg:1"), name="Bob", seen_at=NOW)
TWO = Door(is_admin=True, admins=("tg:1", "tg:9"))
FACTS = Facts(now=NOW, new_id="D" * 26, person="tg:9", is_admin=True, door=TWO)


def done(event: Event, whom: Profile = BOB, **more: Any) -> tuple[Action, ...]:
    office = Office(whom=whom, fixed=more.pop("fixed", False))
    facts = replace(FACTS, office=office, **more)
    return step(Conversation(), event, facts)[1]


def keys(actions: tuple[Action, ...]) -> list[str]:
    return [line.key for one in actions if isinstance(one, Show) for line in one.screen.lines]


def admin(one: Profile = BOB) -> Profile:
    return replace(one, member=replace(one.member, is_admin=True))


def test_who_becomes_an_admin_is_asked_about_once() -> None:
    (asked,) = done(Command("admin", "tg:1"))
    assert isinstance(asked, Show)
    assert asked.screen.lines[0].key == "roles.ask"
    yes = asked.screen.buttons[0][0]
    made = done(Choice(yes.verb, yes.draft, yes.argument))
    assert made[:2] == (Appoint("tg:1"), Note("admin", "tg:1"))
    (told,) = [one for one in made if isinstance(one, Tell)]
    assert (told.person, told.screen.lines[0].key) == ("tg:1", "access.admin_now")


def test_a_mistyped_id_is_noticed() -> None:
    nobody = Profile(member=Member(person="tg:4"))
    assert keys(done(Command("admin", "tg:4"), nobody)) == ["roles.ask", "roles.stranger"]
    assert not any(isinstance(one, Tell) for one in done(Choice("appoint", "", "tg:4"), nobody))


def test_an_admin_is_dismissed_noted_and_told() -> None:
    made = done(Command("unadmin", "tg:1"), admin())
    assert made[:2] == (Dismiss("tg:1"), Note("unadmin", "tg:1"))
    assert [one.person for one in made if isinstance(one, Tell)] == ["tg:1"]


@pytest.mark.parametrize(
    ("event", "whom", "more", "key"),
    [
        (Command("admin", ""), Profile(member=Member(person="")), {}, "users.how"),
        (Command("unadmin", ""), Profile(member=Member(person="")), {}, "users.how"),
        (Command("admin", "tg:1"), admin(), {}, "roles.is_already"),
        (Choice("appoint", "", "tg:1"), admin(), {}, "roles.is_already"),
        (Command("unadmin", "tg:1"), BOB, {}, "roles.is_not"),
        (Command("unadmin", "tg:1"), admin(), {"fixed": True}, "roles.fixed"),
        (
            Command("unadmin", "tg:1"),
            admin(),
            {"door": Door(is_admin=True, admins=("tg:1",))},
            "roles.last",
        ),
    ],
)
def test_what_cannot_be_is_explained(
    event: Event, whom: Profile, more: dict[str, Any], key: str
) -> None:
    actions = done(event, whom, **more)
    assert keys(actions) == [key]
    assert len(actions) == 1


@pytest.mark.parametrize("event", [Command("admin", "tg:1"), Choice("appoint", "", "tg:1")])
def test_nobody_else_can(event: Event) -> None:
    actions = done(event, is_admin=False, door=Door())
    assert not any(isinstance(one, Appoint | Note) for one in actions)


def test_what_admins_did_stands_in_pages() -> None:
    acts = tuple(
        Act(at=NOW - 60 * n, who="tg:9", what="ban", whom=f"tg:{n}", detail="x") for n in range(10)
    )
    ledger = Ledger(acts=acts, names={"tg:9": "Ada"}, number=1, count=35)
    facts = replace(FACTS, office=Office(ledger=ledger))
    (shown,) = step(Conversation(), Choice("audit", "", "1"), facts)[1]
    assert isinstance(shown, Show)
    assert [one.argument for one in shown.screen.buttons[0]] == ["0", "2"]
    line = shown.screen.lines[3]
    for language in languages():
        text = Catalog.load(language).text(line.key, line.args, line.n)
        assert "Ada (tg:9)" in text
        assert "tg:2 x" in text
    assert "2 min" in ENGLISH.text(line.key, line.args, line.n)


def test_nothing_done_is_said() -> None:
    (shown,) = step(Conversation(), Command("audit"), FACTS)[1]
    assert keys((shown,)) == ["audit.none"]
