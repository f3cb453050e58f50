"""Handlers of the library: what a person has trained, and what can be done with it. Pure.

The library lies over a draft, in the same panel: it opens and closes, and the draft is as it was.
Every button names its model, and every press looks whose it is.
"""

from collections.abc import Callable
from dataclasses import replace

from bot import naming, screens
from bot.answers import ask_next
from bot.defaults import quality_of, tool_of
from bot.draft import Conversation, State
from bot.events import (
    Action,
    Choice,
    Command,
    DeleteModel,
    Event,
    RenameModel,
    SendCard,
    SendResult,
    SendStep,
    Show,
    Text,
)
from bot.facts import Facts
from bot.moves import Step, move_below
from bot.opened import Opened, View
from bot.orders import Exhibit, TakeDown
from bot.rating import rate
from bot.screen import Line
from pictures.captions import Wishes
from storage.job import MIN_PHOTOS, Job, JobState
from trainer.presets import Quality

COPY = "copy"  # the argument of a deletion that takes the copy in the LoRA folder with it

Handler = Callable[[Conversation, Job, str, Facts], Step]


def takes(conversation: Conversation, event: Event) -> bool:
    """Whether this event is the library's."""
    match event:
        case Command(name="models"):
            return True
        case Choice(verb=verb):
            return verb in {"models", "shut"} or verb in VERBS
        case Text():
            return conversation.opened is not None and conversation.opened.view is View.NAME
    return False


def looked_at(conversation: Conversation, event: Event) -> Opened | None:
    """What has to be read before the event is handled; None: nothing of the library."""
    return (conversation.opened or Opened()) if takes(conversation, event) else None


def closes(event: Event) -> bool:
    """Whoever writes or sends something else has put the library away; buttons stand beside it."""
    return not isinstance(event, Choice)


def step(conversation: Conversation, event: Event, facts: Facts) -> Step:
    match event:
        case Choice(verb="shut"):
            return replace(conversation, opened=None), ()
        case Choice(verb="models", argument=argument):
            return _list(conversation, facts, argument)
        case Command(argument=argument):
            return _by_name(conversation, facts, argument)
    job = facts.pressed
    if job is None or not is_mine(job, facts):
        # Not there or not theirs: a stranger learns nothing of the difference.
        return conversation, (Show(screens.toast(Line(key="models.gone"))),)
    if isinstance(event, Choice):
        return VERBS[event.verb](conversation, job, event.argument, facts)
    return _rename(conversation, job, event.text.strip() if isinstance(event, Text) else "", facts)


def is_mine(job: Job, facts: Facts) -> bool:
    """A finished model of this very person; an admin has no part in it."""
    ready = job.state is JobState.DONE and job.artifact is not None
    return ready and job.person == facts.person


# --- what is looked at ---------------------------------------------------------------------------


def _list(conversation: Conversation, facts: Facts, argument: str) -> Step:
    """An argument is a page's number, of a button in the library itself."""
    if not facts.models.count:
        none = screens.toast(Line(key="models.none"), buttons=((screens.TRAIN,),))
        return replace(conversation, opened=None), (Show(none),)
    page = int(argument) if argument.isdecimal() and len(argument) < 6 else 0
    return _open(conversation, Opened(page=page), below=not argument), ()


def _by_name(conversation: Conversation, facts: Facts, name: str) -> Step:
    """``/models mochi`` opens that one, where there is one of this name."""
    named = (job for job in facts.jobs if job.name.lower() == name.lower())
    wanted = (job for job in named if is_mine(job, facts))
    job = next(wanted, None) if name else None
    if job is None:
        return _list(conversation, facts, "")
    return _open(conversation, Opened(view=View.MODEL, model=job.id), below=True), ()


def _open(conversation: Conversation, opened: Opened, *, below: bool) -> Conversation:
    """In place where the library is open; else, and where wanted, in a new message."""
    if below or conversation.opened is None:
        conversation = move_below(conversation)
    return replace(conversation, opened=opened)


def _about(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    """From a result's message, which may stand far above."""
    return _open(conversation, Opened(view=View.MODEL, model=job.id), below=True), ()


def _model(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return _show(conversation, job, View.MODEL), ()


def _howto(conversation: Conversation, job: Job, tool: str, facts: Facts) -> Step:
    """Without a tool it was asked for below a result; with one it turns the page."""
    wanted = tool or tool_of(facts.preferences)
    opened = Opened(view=View.HOWTO, model=job.id, tool=wanted)
    return _open(conversation, opened, below=not tool), ()


def _steps(conversation: Conversation, job: Job, here: str, _facts: Facts) -> Step:
    """Other versions; ``here`` where it is a page of the library itself."""
    opened = Opened(view=View.STEPS, model=job.id)
    return _open(conversation, opened, below=not here), ()


def _send_step(conversation: Conversation, job: Job, argument: str, _facts: Facts) -> Step:
    known = {str(one.step): one.step for one in job.saved}
    if argument not in known:
        return conversation, (Show(screens.toast(Line(key="steps.none"))),)
    return conversation, (SendStep(job.id, known[argument]),)


def _show(conversation: Conversation, job: Job, view: View) -> Conversation:
    page = conversation.opened.page if conversation.opened else 0
    return _open(conversation, Opened(view=view, model=job.id, page=page), below=False)


# --- what is done --------------------------------------------------------------------------------


def _send(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return conversation, (SendResult(job.id),)


def _link(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return conversation, (SendResult(job.id, only_link=True),)


def _card(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return conversation, (SendCard(job.id),)


def _ask_name(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return _show(conversation, job, View.NAME), ()


def _rename(conversation: Conversation, job: Job, name: str, facts: Facts) -> Step:
    """The answer in words: the panel says the rest."""
    below = move_below(conversation)
    if not naming.is_good_name(name):
        return replace(below, note=Line(key="name.bad")), ()
    others = frozenset(one for one in facts.taken if one.lower() != job.name.lower())
    if naming.is_taken(name, others):
        return replace(below, note=Line(key="name.taken", args={"name": name})), ()
    key = "library.renamed_copy" if job.copied_to else "library.renamed"
    note = Line(key=key, args={"file": job.copied_to} if job.copied_to else {})
    return replace(_show(below, job, View.MODEL), note=note), (RenameModel(job.id, name),)


def _ask_delete(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    return _show(conversation, job, View.DELETE), ()


def _delete(conversation: Conversation, job: Job, argument: str, facts: Facts) -> Step:
    """Only where it was asked for: an old button of a closed library asks again."""
    opened = conversation.opened
    if opened is None or (opened.view, opened.model) != (View.DELETE, job.id):
        return _ask_delete(conversation, job, argument, facts)
    note = Line(key="library.deleted", args={"name": job.name})
    actions: tuple[Action, ...] = (DeleteModel(job.id, with_copy=argument == COPY),)
    left = Opened(page=opened.page) if facts.models.count > 1 else None
    if left is None:
        actions = (*actions, Show(screens.toast(note, buttons=((screens.TRAIN,),))))
    return replace(conversation, opened=left, note=note if left else None), actions


# --- its samples in public -----------------------------------------------------------------------


def _ask_hang(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    if job.samples is None:
        return replace(_show(conversation, job, View.MODEL), note=Line(key="gallery.none")), ()
    return _show(conversation, job, View.EXHIBIT), ()


def _hang(conversation: Conversation, job: Job, argument: str, facts: Facts) -> Step:
    """Only where it was asked: an old button asks again."""
    opened = conversation.opened
    asked = opened is not None and (opened.view, opened.model) == (View.EXHIBIT, job.id)
    if not asked or job.samples is None:
        return _ask_hang(conversation, job, argument, facts)
    note = Line(key="gallery.coming", args={"name": job.name})
    return replace(_show(conversation, job, View.MODEL), note=note), (Exhibit(job.id),)


def _unhang(conversation: Conversation, job: Job, _: str, _facts: Facts) -> Step:
    note = Line(key="gallery.down", args={"name": job.name})
    return replace(_show(conversation, job, View.MODEL), note=note), (TakeDown(job.id),)


# --- another one from the same photos ------------------------------------------------------------


def _retrain(conversation: Conversation, job: Job, quality: str, facts: Facts) -> Step:
    """A new draft with all answers of the old one: only what should be different is changed. A
    ``quality`` comes from the question whether it was good.
    """
    base = facts.base(job.params.base_model)
    answered = _draft_of(conversation, job, facts)
    answered = replace(
        answered,
        name=naming.free_name(job.name, facts.taken),
        trigger=job.params.trigger,
        base=base.id if base and base.installed else "",
        quality=quality if quality in set(Quality) else quality_of(facts.preferences),
        closed=len(facts.kept_photos) >= MIN_PHOTOS,
        wishes=Wishes.from_text(job.wishes),
    )
    return _begin(conversation, answered, job, facts)


def _reuse(conversation: Conversation, job: Job, _: str, facts: Facts) -> Step:
    """A new draft with the photos alone."""
    return _begin(conversation, _draft_of(conversation, job, facts), job, facts)


def _draft_of(conversation: Conversation, job: Job, facts: Facts) -> Conversation:
    return Conversation(
        state=State.NAME,
        draft=facts.new_id,
        person=facts.person,
        kind=job.kind,
        photos=facts.kept_photos,
        uploads=max((photo.number for photo in facts.kept_photos), default=0),
        panel=conversation.panel,
    )


def _begin(conversation: Conversation, drafted: Conversation, job: Job, facts: Facts) -> Step:
    """Never in place of a draft that is there, and never with fewer photos without a word."""
    if conversation.state is not State.IDLE:
        busy = replace(conversation, note=Line(key="library.busy"))
        return busy, ()
    left = len(facts.kept_photos)
    if not left:
        return replace(conversation, note=Line(key="library.no_photos")), ()
    if left < len(job.photos):
        missing = len(job.photos) - left
        drafted = replace(drafted, note=Line(key="library.photos_left", n=missing))
    return move_below(ask_next(drafted, facts)), ()


VERBS: dict[str, Handler] = {
    "about": _about,
    "model": _model,
    "howto": _howto,
    "send": _send,
    "link": _link,
    "card": _card,
    "steps": _steps,
    "step": _send_step,
    "hang": _ask_hang,
    "hangnow": _hang,
    "unhang": _unhang,
    "rate": rate,
    "rename": _ask_name,
    "remove": _ask_delete,
    "removenow": _delete,
    "retrain": _retrain,
    "reuse": _reuse,
}
