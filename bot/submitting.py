"""The press on Start: what was true when the summary was shown may have changed. Pure."""

from dataclasses import replace

from bot import admin_review, age_gate, answers, collecting, naming, quota
from bot.draft import Conversation, State
from bot.events import Event, Submit, Text
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Tell
from bot.review import review
from bot.screen import Line
from storage.job import MIN_PHOTOS, code_of


def start(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """A job, one that waits for an admin's eye, or why there can be none yet."""
    base = facts.base(conversation.base)
    if base is None or not base.installed:
        gone = replace(conversation, base="", note=Line(key="base.missing"))
        return answers.ask_next(gone, facts), ()
    if naming.is_taken(conversation.name, facts.taken):
        return answers.choose_name(
            replace(conversation, state=State.NAME, name=""), Text(conversation.name), facts
        )
    if review(conversation, facts).used < MIN_PHOTOS:
        return collecting.close_photos(replace(conversation, state=State.PHOTOS), event, facts)
    if (full := quota.refuse(conversation, facts)) is not None:
        return full
    return _submit(conversation, facts)


def _submit(conversation: Conversation, facts: Facts) -> Step:
    ages = age_gate.ages_of(conversation, facts)
    if (stopped := age_gate.refuse(conversation, ages, facts)) is not None:
        return stopped
    doubts = age_gate.doubts(ages, facts)
    if facts.is_admin or not (facts.holds or doubts):
        return conversation, (Submit(),)
    who, photos = facts.first_name, conversation.photos
    code = code_of(conversation.draft)
    screen = admin_review.question(conversation.draft, code, who, photos, doubts)
    asked = tuple(Tell(admin, screen) for admin in facts.door.admins)
    return conversation, (Submit(held=True), *asked)
