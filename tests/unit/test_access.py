"""The door and the admins' commands as tables: who is let in, who may say what."""

from dataclasses import replace
from typing import Any

import pytest

from bot import admin, admin_people
from bot.conversation import step
from bot.draft import Conversation, State
from bot.events import (
    Action,
    CancelJob,
    Choice,
    Command,
    Event,
    FileRefused,
    PhotoReceived,
    Show,
    Submit,
    Text,
)
from bot.facts import Board, Facts
from bot.frontend import Limits
from bot.moves import unexpected
from bot.office import Door, Office
from bot.orders import (
    BeginPause,
    Decide,
    DraftLetter,
    EndPause,
    MakeAdmin,
    MakeInvites,
    Note,
    PostLetter,
    Reorder,
    SetLimits,
    Tell,
    UseInvite,
)
from bot.render import render
from bot.screen import MAX_BUTTON_DATA, Screen
from bot.texts.catalog import Catalog
from storage.access import Member, Pause, Quota, Standing
from storage.job import JobState, Photo
from storage.line import entry_of, moved, priorities
from storage.roster import Card, Computer, Profile, Roster, Tally
from tests.jobs import make_job

ENGLISH = Catalog.load("en")
IDLE = Conversation()
HOUR_S = 3600.0
NOW = 1_790_000_000.0
FACTS = Facts(now=NOW, new_id="D" * 26, person="tg:1", first_name="Ada")
ADMIN = replace(FACTS, person="tg:9", is_admin=True, door=Door(is_admin=True))
KNOCKS: tuple[Event, ...] = (
    Command("train"),
    Command("queue"),
    Command("start"),
    Text("hello"),
    Choice("train"),
    FileRefused("photo.fetch"),
    PhotoReceived(Photo(sha256="a" * 64, number=1, file_bytes=3)),
)
CODE = "inv-AAAA-BBBB-CCCC"
CLAIM = "claim-AAAA-BBBB-CCCC"


def outside(mode: str = "invite", standing: Standing = Standing.UNKNOWN, **more: Any) -> Facts:
    door = Door(mode=mode, standing=standing, admins=("tg:8", "tg:9"))
    return replace(FACTS, door=replace(door, **more))


def actions_of(event: Event, facts: Facts, start: Conversation = IDLE) -> tuple[Action, ...]:
    return step(start, event, facts)[1]


def said(actions: tuple[Action, ...]) -> str:
    shown = [action.screen for action in actions if isinstance(action, Show)]
    return "\n".join(map(words, shown))


def words(screen: Screen) -> str:
    message = render(screen, ENGLISH, Limits(text=9000))
    assert all(len(b.data.encode()) <= MAX_BUTTON_DATA for row in message.buttons for b in row)
    return message.text


def person(standing: Standing = Standing.UNKNOWN, *, is_admin: bool = False) -> Profile:
    member = Member(person="tg:1", standing=standing, is_admin=is_admin)
    return Profile(member=member, name="Ada", seen_at=NOW - 60, jobs=2, live=1)


def office(**changes: Any) -> Facts:
    return replace(ADMIN, office=replace(Office(), **changes))


# --- the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", KNOCKS)
@pytest.mark.parametrize(
    ("mode", "standing", "answer"),
    [
        ("invite", Standing.ASKED, "already"),
        ("invite", Standing.DENIED, "said no"),
        ("invite", Standing.BANNED, "closed to you"),
        ("list", Standing.UNKNOWN, "`tg:1`"),
        ("list", Standing.DENIED, "`tg:1`"),
        ("list", Standing.BANNED, "closed to you"),
        ("open", Standing.BANNED, "closed to you"),
    ],
)
def test_whoever_stays_outside_hears_one_sentence(
    mode: str, standing: Standing, answer: str, event: Event
) -> None:
    drafted = Conversation(state=State.SUMMARY, draft="D" * 26)
    after, actions = step(drafted, event, outside(mode, standing))
    assert after == drafted
    assert len(actions) == 1
    assert answer in said(actions)


@pytest.mark.parametrize(
    ("mode", "standing"),
    [
        ("open", Standing.UNKNOWN),
        ("open", Standing.ASKED),
        ("open", Standing.DENIED),
        ("open", Standing.ALLOWED),
        ("invite", Standing.ALLOWED),
        ("list", Standing.ALLOWED),
    ],
)
def test_whoever_is_admitted_comes_in(mode: str, standing: Standing) -> None:
    assert step(IDLE, Command("train"), outside(mode, standing))[0].state is State.KIND


@pytest.mark.parametrize("event", KNOCKS)
def test_a_newcomer_is_announced_to_every_admin_once(event: Event) -> None:
    actions = actions_of(event, outside())
    assert Decide("tg:1", Standing.ASKED) in actions
    told = [action for action in actions if isinstance(action, Tell)]
    assert [one.person for one in told] == ["tg:8", "tg:9"]
    assert "Ada (tg:1) would like to use the bot" in words(told[0].screen)
    assert [button.verb for button in told[0].screen.buttons[0]] == ["allow", "deny", "block"]
    assert "I've asked the owner" in said(actions)


def test_in_a_crowd_no_admin_is_called() -> None:
    actions = actions_of(Text("hello"), outside(crowded=True))
    assert Decide("tg:1", Standing.ASKED) in actions
    assert not any(isinstance(one, Tell) for one in actions)


@pytest.mark.parametrize("event", [Command("start", CODE), Text(f" {CODE} ")])
def test_an_invite_lets_in(event: Event) -> None:
    actions = actions_of(event, outside(invited=True))
    assert UseInvite(CODE) in actions
    assert "accepted" in said(actions)


def test_an_invite_does_not_end_a_ban() -> None:
    actions = actions_of(Text(CODE), outside(standing=Standing.BANNED, invited=True))
    assert not any(isinstance(action, UseInvite) for action in actions)


def test_a_bad_invite_is_said_to_be_bad() -> None:
    assert "don't know this code" in said(actions_of(Text(CODE), outside()))


def test_somebody_inside_does_not_use_an_invite_up() -> None:
    facts = outside(standing=Standing.ALLOWED, invited=True)
    assert not any(isinstance(one, UseInvite) for one in actions_of(Command("start", CODE), facts))


def test_the_law_is_not_kept_outside() -> None:
    for name in ("privacy", "delete", "export"):
        banned = actions_of(Command(name), outside(standing=Standing.BANNED))
        assert "closed" not in said(banned)


# --- the first admin -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [CLAIM, CLAIM.lower(), f" {CLAIM} "])
def test_the_code_of_the_log_makes_the_first_admin(code: str) -> None:
    facts = outside("list", claim=CLAIM)
    actions = actions_of(Command("start", code), facts)
    assert MakeAdmin() in actions
    assert Note("claim", "tg:1") in actions


@pytest.mark.parametrize(
    ("code", "claim"),
    [
        ("claim-AAAA-BBBB-CCCD", CLAIM),
        ("claim-", CLAIM),
        ("", CLAIM),
        (CLAIM, ""),
        ("claim-", ""),
        ("claim-é", CLAIM),
        (CLAIM + "x" * 99, CLAIM),
    ],
)
def test_no_other_code_does(code: str, claim: str) -> None:
    facts = replace(FACTS, door=Door(claim=claim))
    assert actions_of(Command("start", code), facts) == actions_of(Command("start"), FACTS)


# --- strangers -----------------------------------------------------------------------------------

DRAFTS = tuple(Conversation(state=state, draft="D" * 26, name="mochi") for state in State)


@pytest.mark.parametrize("key", sorted(admin.HANDLERS))
@pytest.mark.parametrize("argument", ["", "tg:2", "J-7Q2F", "30 why", "send"])
def test_to_a_stranger_admins_words_do_not_exist(key: str, argument: str) -> None:
    """The same answer as to a word that nobody knows, in every state."""
    job = make_job(person="tg:2")
    facts = replace(
        FACTS, pressed=job, board=Board(line=(entry_of(job),)), office=Office(whom=person())
    )
    event: Event = Choice(key, job.id, argument)
    nobody: Event = Choice("nosuchverb", job.id, argument)
    if key.startswith("/"):
        event, nobody = Command(key[1:], argument), Command("nosuchcommand", argument)
    for drafted in DRAFTS:
        assert step(drafted, event, facts) == step(drafted, nobody, facts)


def test_each_handler_is_guarded() -> None:
    for key, handler in admin.GUARDED.items():
        event: Event = Command(key[1:]) if key.startswith("/") else Choice(key)
        assert handler(IDLE, event, FACTS) == unexpected(IDLE, event, FACTS)


def test_every_command_of_the_help_is_there_and_the_other_way_round() -> None:
    lines = ENGLISH.text("help.admin").splitlines()
    helped = {line[1:].partition(" ")[0] for line in lines if line.startswith("/")}
    assert helped == {key[1:] for key in admin.HANDLERS if key.startswith("/")}


def test_only_admins_read_about_it() -> None:
    assert "/ban" in said(actions_of(Command("help"), ADMIN))
    assert "/ban" not in said(actions_of(Command("help"), FACTS))


# --- decisions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "before", "after", "told"),
    [
        (Choice("allow", "asked", "tg:1"), Standing.ASKED, Standing.ALLOWED, "Welcome"),
        (Choice("deny", "asked", "tg:1"), Standing.ASKED, Standing.DENIED, "said no"),
        (Choice("block", "asked", "tg:1"), Standing.ASKED, Standing.BANNED, ""),
        (Choice("allow", "", "tg:1"), Standing.DENIED, Standing.ALLOWED, "Welcome"),
        (Command("allow", "tg:1"), Standing.UNKNOWN, Standing.ALLOWED, "Welcome"),
        (Command("unban", "tg:1"), Standing.BANNED, Standing.ALLOWED, "Welcome"),
        (Choice("unban", "", "tg:1"), Standing.BANNED, Standing.ALLOWED, "Welcome"),
    ],
)
def test_a_decision_is_written_noted_and_told(
    event: Event, before: Standing, after: Standing, told: str
) -> None:
    actions = actions_of(event, office(whom=person(before)))
    assert Decide("tg:1", after) in actions
    assert [one.whom for one in actions if isinstance(one, Note)] == ["tg:1"]
    letters = [words(one.screen) for one in actions if isinstance(one, Tell)]
    assert bool(letters) is bool(told)
    assert all(told in letter for letter in letters)


@pytest.mark.parametrize("verb", ["allow", "deny", "block"])
@pytest.mark.parametrize("now", [Standing.ALLOWED, Standing.DENIED, Standing.BANNED])
def test_the_second_admin_hears_that_it_is_decided(verb: str, now: Standing) -> None:
    facts = office(whom=replace(person(now), decided_by="Bob"))
    actions = actions_of(Choice(verb, "asked", "tg:1"), facts)
    assert len(actions) == 1
    assert "decided already for Ada, by Bob" in said(actions)


def test_a_ban_asks_first_and_then_ends_the_jobs() -> None:
    jobs = (make_job(person="tg:1"), make_job(person="tg:1", state=JobState.TRAINING))
    facts = office(whom=person(Standing.ALLOWED), whose=jobs)
    asked = actions_of(Command("ban", "tg:1"), facts)
    assert len(asked) == 1
    assert "Shut out Ada" in said(asked)
    done = actions_of(Choice("block", "", "tg:1"), facts)
    assert [one.job_id for one in done if isinstance(one, CancelJob)] == [job.id for job in jobs]
    assert Decide("tg:1", Standing.BANNED) in done


@pytest.mark.parametrize("event", [Command("ban", "tg:1"), Choice("block", "", "tg:1")])
def test_an_admin_cannot_be_banned(event: Event) -> None:
    actions = actions_of(event, office(whom=person(is_admin=True)))
    assert not any(isinstance(one, Decide) for one in actions)
    assert "is an admin" in said(actions)


@pytest.mark.parametrize("name", ["allow", "ban", "unban"])
def test_a_decision_about_nobody_explains_itself(name: str) -> None:
    assert "/users" in said(actions_of(Command(name), ADMIN))


@pytest.mark.parametrize(
    ("said_", "meant"),
    [
        ("tg:12", "tg:12"),
        ("12", "tg:12"),
        ("<@34>", "tg:34"),
        ("dc:5 2 3", "dc:5"),
        ("web:0a1b", "web:0a1b"),
        ("", ""),
        ("   ", ""),
        ("tg:", ""),
        ("tg:1:2", ""),
        ("TG:1", ""),
        ("tg:" + "9" * 99, ""),
        ("tg:1'; drop", ""),
    ],
)
def test_a_person_is_named_by_id(said_: str, meant: str) -> None:
    assert admin_people.named(said_, "tg") == meant


@pytest.mark.parametrize(
    ("argument", "at_once", "a_day"),
    [("tg:1 2 5", 2, 5), ("tg:1 3", 3, None), ("tg:1 0 0", 0, 0), ("tg:1 usual", None, None)],
)
def test_limits_are_set(argument: str, at_once: int | None, a_day: int | None) -> None:
    actions = actions_of(Command("limit", argument), office(whom=person()))
    assert SetLimits("tg:1", at_once, a_day) in actions


@pytest.mark.parametrize("argument", ["tg:1 -1", "tg:1 x", "tg:1 1 2 3", "tg:1 9999 1", "tg:1 ²"])
def test_nonsense_limits_are_not(argument: str) -> None:
    actions = actions_of(Command("limit", argument), office(whom=person()))
    assert len(actions) == 1
    assert "/limit" in said(actions)


@pytest.mark.parametrize(("argument", "many"), [("", 1), ("3", 3), ("20", 20)])
def test_invites_are_made(argument: str, many: int) -> None:
    codes = tuple(f"inv-{number}" for number in range(20))
    facts = office(codes=codes, start_link="https://t.me/bot?start=")
    actions = actions_of(Command("invite", argument), facts)
    assert MakeInvites(codes[:many]) in actions
    assert said(actions).count("https://t.me/bot?start=inv-") == many


@pytest.mark.parametrize("argument", ["0", "21", "-1", "x", "²", "9999"])
def test_too_many_or_senseless_invites_are_not(argument: str) -> None:
    assert len(actions_of(Command("invite", argument), office(codes=("inv-1",)))) == 1


def test_people_are_listed_with_pages() -> None:
    people = tuple(replace(person(standing), name=standing or "new") for standing in Standing)
    facts = office(roster=Roster(people=people, number=1, count=40))
    (show,) = actions_of(Command("users"), facts)
    assert isinstance(show, Show)
    assert "asks to be let in" in words(show.screen)
    assert [(b.verb, b.argument) for b in show.screen.buttons[-1]] == [
        ("users", "0"),
        ("users", "2"),
    ]
    for one in people:
        assert "60 s ago" in said(actions_of(Choice("who", "", one.id), office(whom=one))) or (
            one.member.standing is Standing.ASKED
        )


# --- the queue -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "way", "order"),
    [
        (2, "first", "2013"),
        (2, "up", "0213"),
        (1, "down", "0213"),
        (3, "down", "0123"),
        (0, "up", "0123"),
        (0, "first", "0123"),
        (3, "up", "0132"),
    ],
)
def test_a_job_moves_in_the_line(which: int, way: str, order: str) -> None:
    jobs = [entry_of(make_job(name=str(number))) for number in range(4)]
    after = moved(jobs, jobs[which].id, way)
    assert "".join(job.name for job in after) == order
    wanted = priorities(jobs, after)
    ranks = [wanted.get(job.id, job.priority) for job in after]
    changed = len(wanted)
    assert ranks[:changed] == sorted(set(ranks[:changed]), reverse=True)
    assert not changed or min(ranks[:changed]) > max([*ranks[changed:], 0])


def test_moving_says_the_place_and_is_noted() -> None:
    jobs = tuple(make_job(name=f"m{number}") for number in range(3))
    facts = replace(ADMIN, pressed=jobs[2], board=Board(line=tuple(map(entry_of, jobs))))
    actions = actions_of(Choice("qmove", jobs[2].id, "first"), facts)
    assert any(isinstance(one, Reorder) and jobs[2].id in one.priorities for one in actions)
    assert Note("move", jobs[2].id, "first") in actions
    assert "place 1 of 3" in said(actions)


@pytest.mark.parametrize("way", ["", "away", "first"])
def test_what_does_not_wait_does_not_move(way: str) -> None:
    job = make_job(state=JobState.TRAINING)
    facts = replace(ADMIN, pressed=job, board=Board(line=(entry_of(job),)))
    assert "not wait" in said(actions_of(Choice("qmove", job.id, way), facts))


@pytest.mark.parametrize("state", list(JobState))
def test_every_job_has_details(state: JobState) -> None:
    job = make_job(state=state, person="tg:1")
    board = Board(line=(entry_of(job),), names={"tg:1": "Ada"})
    text = said(actions_of(Choice("qshow", job.id), replace(ADMIN, pressed=job, board=board)))
    assert "by Ada (tg:1)" in text
    assert "1 photo · demo" in text


def test_names_in_the_queue_are_for_admins() -> None:
    job = make_job(person="tg:2", name="secret")
    board = Board(line=(entry_of(job),), names={"tg:2": "Bob"}, online=1)
    assert "secret" in said(actions_of(Command("queue"), replace(ADMIN, board=board)))
    stranger = actions_of(Command("queue"), replace(FACTS, board=board))
    assert "secret" not in said(stranger)
    assert "Bob" not in said(stranger)


def test_an_admin_who_stops_a_job_is_noted() -> None:
    job = make_job(person="tg:1", state=JobState.TRAINING)
    by_admin = actions_of(Choice("stopnow", job.id), replace(ADMIN, pressed=job))
    assert Note("cancel", job.id) in by_admin
    by_owner = actions_of(Choice("stopnow", job.id), replace(FACTS, pressed=job))
    assert CancelJob(job.id) in by_owner
    assert not any(isinstance(one, Note) for one in by_owner)


# --- the pause -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "minutes", "reason"),
    [
        ("", None, ""),
        ("30", 30, ""),
        ("30 driver update", 30, "driver update"),
        ("driver update", None, "driver update"),
        ("30min", None, "30min"),
        ("new  3090 card", None, "new 3090 card"),
    ],
)
def test_a_pause_has_an_end_and_a_reason_if_wanted(
    argument: str, minutes: int | None, reason: str
) -> None:
    until = None if minutes is None else NOW + 60 * minutes
    actions = actions_of(Command("pause", argument), ADMIN)
    assert BeginPause(until, reason) in actions
    assert any(isinstance(one, Note) and one.what == "pause" for one in actions)


@pytest.mark.parametrize("argument", ["0", "999999", "x" * 121])
def test_a_senseless_pause_does_not_begin(argument: str) -> None:
    assert len(actions_of(Command("pause", argument), ADMIN)) == 1


def test_resume_ends_it_once() -> None:
    paused = replace(ADMIN, board=Board(pause=Pause(since=NOW)))
    assert EndPause() in actions_of(Command("resume"), paused)
    assert actions_of(Command("resume"), ADMIN)[1:] == ()


def test_people_read_that_their_place_is_kept() -> None:
    job = make_job(person="tg:1")
    pause = Pause(since=NOW, until=NOW + HOUR_S, reason="driver update")
    facts = replace(FACTS, jobs=(job,), board=Board(line=(entry_of(job),), pause=pause, online=1))
    for name in ("status", "queue"):
        text = said(actions_of(Command(name), facts))
        assert "Training is paused until about" in text
        assert "(“driver update”). I'll keep your place." in text


# --- quotas --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "full"),
    [
        (Quota(), False),
        (Quota(live=99, today=99), False),
        (Quota(at_once=1, live=0, a_day=3, today=2), False),
        (Quota(at_once=1, live=1), True),
        (Quota(a_day=3, today=3, today_free_s=5 * HOUR_S), True),
        (Quota(at_once=2, live=3, live_free_s=900.0), True),
    ],
)
def test_a_quota_holds_the_draft_back_and_keeps_it(quota: Quota, full: bool) -> None:
    from bot import quota as rule

    drafted = Conversation(state=State.SUMMARY, draft="D" * 26)
    found = rule.refuse(drafted, replace(FACTS, quota=quota))
    assert (found is not None) is full
    assert rule.refuse(drafted, replace(ADMIN, quota=quota)) is None
    if found is not None:
        assert found[0] == drafted
        assert "the limit here is" in said(found[1])
        assert Submit() not in found[1]


# --- the rest ------------------------------------------------------------------------------------


def test_numbers_and_cards_have_words() -> None:
    tally = Tally(done=3, failed=1, wait_s=61.0, train_s=900.0, people=4, active=2)
    text = said(actions_of(Command("stats"), office(tally=tally, disk_free=5 * 10**9)))
    assert "75 % successful" in text
    assert "61 s of waiting · 15 min of training" in text
    assert "–" in said(actions_of(Command("stats"), office()))
    card = Card(number=0, name="RTX 4070", used_bytes=2**30, all_bytes=12 * 2**30, celsius=67)
    busy = Computer(host="den", cards=(card,), job="J-7Q2F")
    text = said(actions_of(Command("gpu"), office(computers=(busy, Computer(host="attic")))))
    assert "works on J-7Q2F" in text
    assert "1.0 / 12.0 GiB · 67 °C · – busy" in text
    assert "No graphics card" in text
    assert "No training computer" in said(actions_of(Command("gpu"), ADMIN))


def test_an_announcement_is_shown_before_it_goes() -> None:
    text = "New base:\n**SDXL** `is` here. " + "long " * 100
    actions = actions_of(Command("announce", text), office(readers=23))
    assert DraftLetter("D" * 26, text.strip()) in actions
    assert "23 people would get this" in said(actions)
    assert said(actions).count("long") == 100
    assert "New base:\nSDXL is here" in said(actions)


@pytest.mark.parametrize("argument", ["", "x" * 1501])
def test_an_empty_or_endless_announcement_is_not(argument: str) -> None:
    assert len(actions_of(Command("announce", argument), ADMIN)) == 1


@pytest.mark.parametrize(
    ("last", "letter", "goes"),
    [
        (None, "hi", True),
        (NOW - 601, "hi", True),
        (NOW - 599, "hi", False),
        (None, "", False),
    ],
)
def test_announcements_are_rare_and_go_once(last: float | None, letter: str, goes: bool) -> None:
    facts = office(letter=letter, announced_at=last, readers=2)
    actions = actions_of(Choice("letter", "D" * 26, "send"), facts)
    assert (PostLetter("D" * 26) in actions) is goes


def test_buttons_about_the_longest_id_fit_every_network() -> None:
    long = replace(person(), member=Member(person="web:" + "f" * 40))
    for standing in Standing:
        one = replace(long, member=replace(long.member, standing=standing))
        assert words(admin_people.card(one, ADMIN))
