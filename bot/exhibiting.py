"""Samples in public: only by their owner's own press, asked once, and taken down again. Pure."""

from bot import screens
from bot.draft import Conversation
from bot.events import Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Exhibit, TakeDown
from bot.screen import Button, Line, Screen, Shelved, Slot
from storage.job import Job


def button(job: Job) -> Button:
    """On networks with a place for it."""
    return Button(label="button.exhibit", verb="exhibit", draft=job.id, public=True)


def ask(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = facts.pressed
    if job is None or job.person != facts.person or job.samples is None:
        return conversation, (Show(screens.toast(Line(key="gallery.none"))),)
    if facts.exhibited:
        return conversation, (Show(there(job)),)
    row = (
        Button(label="button.exhibit_now", verb="exhibitnow", draft=job.id),
        Button(label="button.exhibit_not", verb="exhibitnot", draft=job.id),
    )
    asked = screens.toast(Line(key="gallery.ask", args={"name": job.name}), buttons=(row,))
    return conversation, (Show(asked),)


def show(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = facts.pressed
    if job is None or job.person != facts.person or job.samples is None:
        return conversation, (Show(screens.toast(Line(key="gallery.none"))),)
    said = screens.toast(Line(key="gallery.coming", args={"name": job.name}))
    return conversation, (Exhibit(job.id), Show(said))


def keep(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(screens.toast(Line(key="gallery.kept"))),)


def take_down(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """The button hangs in public: whoever else presses it hears that it is not theirs."""
    job = facts.pressed
    if job is None or not facts.may_touch(job):
        return conversation, (Show(screens.toast(Line(key="gallery.not_yours"))),)
    said = screens.toast(Line(key="gallery.down", args={"name": job.name}))
    return conversation, (TakeDown(job.id), Show(said))


def exhibit(job: Job, who: str) -> Screen | None:
    """What everybody sees; None: nothing is left to show."""
    if job.samples is None:
        return None
    line = Line(key="gallery.caption", args={"name": job.name, "who": who})
    picture = Shelved(job.samples.grid, job.samples.small, stay=True, base=job.params.base_model)
    return Screen(slot=Slot.RESULT, lines=(line,), buttons=((down(job),),), picture=picture)


def there(job: Job) -> Screen:
    said = Line(key="gallery.there", args={"name": job.name})
    return screens.toast(said, buttons=((down(job),),))


def down(job: Job) -> Button:
    return Button(label="button.unexhibit", verb="unexhibit", draft=job.id)


# --- in the library ------------------------------------------------------------------------------


def in_library(job: Job, *, exhibited: bool) -> tuple[Button, ...]:
    """The row below a model, on networks with a place for it."""
    if job.samples is None:
        return ()
    if exhibited:
        return (Button(label="button.unexhibit", verb="unhang", draft=job.id, public=True),)
    return (Button(label="button.exhibit", verb="hang", draft=job.id, public=True),)


def question(job: Job, back: Button) -> tuple[tuple[Line, ...], tuple[tuple[Button, ...], ...]]:
    """What it means, before anybody sees anything."""
    yes = Button(label="button.exhibit_now", verb="hangnow", draft=job.id, public=True)
    return (Line(key="gallery.ask", args={"name": job.name}),), ((yes, back),)
