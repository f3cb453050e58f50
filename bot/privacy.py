"""/privacy, /delete and /export: what is stored of a person, and its end. Pure."""

from bot import screens
from bot.consent_screen import policy, terms
from bot.draft import Conversation
from bot.events import DropJobPhotos, DropPhotos, Event, Export, ForgetMe, Show, key_of
from bot.facts import Facts
from bot.moves import Step, move_below
from bot.screen import Button, Line, Screen
from bot.screens import megabytes
from storage.job import FINAL

MOST_LISTED = 5
ALL = Button(label="button.forget", verb="forget", danger=True)
EXPORT = Button(label="button.export", verb="export")


def looks_up(event: Event) -> bool:
    """Whether it has to be counted what is stored."""
    return key_of(event) in {"/privacy", "/delete", "forget"}


def tell(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """/privacy: the rules in short, and what is here now."""
    lines = (Line(key="privacy.title"), *terms(facts), *_stored(facts))
    rows = ((EXPORT, ALL), *policy(facts))
    return conversation, (Show(screens.toast(*lines, buttons=rows)),)


def _stored(facts: Facts) -> tuple[Line, ...]:
    stored = facts.stored
    if not stored.photos and not stored.models:
        return (Line(key="privacy.nothing"),)
    return (
        Line(key="privacy.photos", args={"size": megabytes(stored.photo_bytes)}, n=stored.photos),
        Line(key="privacy.models", args={"size": megabytes(stored.model_bytes)}, n=stored.models),
    )


def ask_what(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """/delete: photos of one training, a model, everything."""
    spent = [job for job in facts.jobs if job.state in FINAL and job.id in facts.stored.with_photos]
    rows = [
        (
            Button(
                label="button.forget_photos",
                args={"name": job.name},
                verb="dropphotos",
                draft=job.id,
                danger=True,
            ),
        )
        for job in spent[:MOST_LISTED]
    ]
    models = ((screens.MODELS,),) if facts.stored.models else ()
    lines = (Line(key="delete.ask"), *_stored(facts))
    return conversation, (Show(screens.toast(*lines, buttons=(*rows, *models, (ALL,)))),)


def drop_photos(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """Of a training that has ended; those of one that runs are needed."""
    job = facts.pressed
    if job is None or job.person != facts.person or job.state not in FINAL:
        return conversation, (Show(screens.toast(Line(key="delete.not_there"))),)
    done = screens.toast(Line(key="delete.photos", args={"name": job.name}))
    return conversation, (DropJobPhotos(job.id), Show(done))


def ask_forget(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(_sure(facts)),)


def _sure(facts: Facts) -> Screen:
    stored = facts.stored
    lines = (
        Line(key="delete.all", args={"photos": stored.photos, "models": stored.models}),
        *((Line(key="delete.stops"),) if facts.live_jobs else ()),
    )
    row = (
        Button(label="button.forget_now", verb="forgetnow", danger=True),
        Button(label="button.forget_not", verb="forgetnot"),
    )
    return screens.toast(*lines, buttons=(row,))


def forget(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    """The draft goes at once, the rest as soon as no worker holds any of it."""
    started = Show(screens.toast(Line(key="delete.started")))
    empty = move_below(Conversation(panel=conversation.panel))
    drop = DropPhotos(conversation.draft, conversation.photos)
    return empty, (drop, ForgetMe(), started)


def keep(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(screens.toast(Line(key="delete.kept"))),)


def export(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    wait = Show(screens.toast(Line(key="export.wait")))
    return conversation, (wait, Export())
