"""A finished draft becomes a job."""

import json

from bot.draft import Conversation
from bot.facts import Facts
from bot.presenter import panel_ref
from bot.review import review
from storage.job import CLASS_WORDS, Job
from trainer.presets import Quality, params_for


def job_of(conversation: Conversation, facts: Facts, chat: str, ref: str) -> Job:
    """``ref`` is what the chat's panel is called: its message becomes the job's."""
    base = facts.base(conversation.base)
    assert base is not None  # noqa: S101  the conversation has just looked
    words = (conversation.trigger, CLASS_WORDS[conversation.kind])
    count = review(conversation, facts).used
    return Job(
        id=conversation.draft,
        chat=chat,
        person=facts.person,
        name=conversation.name,
        kind=conversation.kind,
        params=params_for(
            base.id, base.family, words, count, base.overrides, Quality(conversation.quality)
        ),
        photos=conversation.photos,
        created_at=facts.now,
        wishes=json.dumps(conversation.wishes.to_json()),
        # A job that has its message from the start never sends a second one.
        status_ref=panel_ref(ref, conversation.panel),
    )
