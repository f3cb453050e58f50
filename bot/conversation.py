"""The conversation, once for all networks: ``step(conversation, event, facts)``.

Two laws. Whatever leads from state to state stands in this file's TABLE; and nothing here knows on
which network it runs. What is shown follows from the state (`panels.panel`); actions are the rest.
"""

from dataclasses import replace

from bot import (
    access,
    admin,
    aloud,
    answers,
    choosing,
    collecting,
    commands,
    consent,
    exhibiting,
    forms,
    library,
    preferences,
    privacy,
    retrying,
    screens,
    speaking,
    steering,
    submitting,
    wording,
)
from bot.draft import Conversation, State, is_pictured
from bot.events import (
    Choice,
    Command,
    DropPhotos,
    Event,
    Show,
    Text,
    key_of,
)
from bot.facts import Facts
from bot.moves import Handler, Step, begin, move_below, unexpected
from bot.screen import Line

DRAFT_VERBS = frozenset(
    {
        *("kind", "name", "word", "base", "done", "more", "start", "add", "drop", "keep", "edit"),
        *("sample", "agree", "look", "use", "out", "pick", "next", "back", "sheet", "toggle"),
        *("quality", "captions", "caption", "again", "wordin", "wordout", "lint", "summary"),
        *("pickup", "discard"),
    }
)


def step(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """One event: the conversation afterwards, and what is to be done beside showing it."""
    outside = access.gate(conversation, event, facts)
    if outside is None and facts.in_group:
        answer = aloud.ANSWERS.get(event.name) if isinstance(event, Command) else None
        return conversation, () if answer is None else (Show(answer(facts)),)
    return _inside(conversation, event, facts) if outside is None else outside


def _inside(conversation: Conversation, event: Event, facts: Facts) -> Step:
    if preferences.takes(event) or library.takes(conversation, event):
        # They lie over the draft, whatever that is asking.
        fresh = replace(conversation, note=None, asking=False)
        over = preferences.step if preferences.takes(event) else library.step
        after, actions = over(fresh, event, facts)
        return _apart(conversation, after), actions
    if conversation.opened is not None and (library.closes(event) or _is_of_draft(event)):
        conversation = replace(conversation, opened=None)
    if _is_stale(conversation, event):
        note = Line(key="old.button")
        if conversation.state is State.IDLE:
            return conversation, (Show(screens.toast(note)),)
        return move_below(replace(conversation, note=note)), ()
    was_asking = conversation.asking
    fresh = replace(conversation, note=None, asking=False)
    if isinstance(event, Text | Command) and conversation.state is not State.IDLE:
        fresh = move_below(fresh)
    handler = TABLE.get((conversation.state, key_of(event)), unexpected)
    if consent.is_due(conversation, event, facts):
        handler = consent.ask
    if was_asking and isinstance(event, Command) and event.name == "cancel":
        handler = _drop
    after, actions = handler(fresh, event, facts)
    return _apart(conversation, after), actions


def _apart(before: Conversation, after: Conversation) -> Conversation:
    """Most networks cannot make a picture of a text, nor a text of a picture: a new message."""
    if is_pictured(before) == is_pictured(after) or after.panel != before.panel:
        return after
    return move_below(after)


def _is_of_draft(event: Event) -> bool:
    return isinstance(event, Choice) and event.verb in {*DRAFT_VERBS, "train"}


def _is_stale(conversation: Conversation, event: Event) -> bool:
    return (
        isinstance(event, Choice)
        and event.verb in DRAFT_VERBS
        and (conversation.state is State.IDLE or event.draft != conversation.draft)
    )


# --- starting and leaving a draft ----------------------------------------------------------------


def _resume(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, note=Line(key="draft.resumed")), ()


def _ask_drop(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    if not conversation.photos and not conversation.name:
        return _drop(conversation, _event, _facts)
    return replace(conversation, asking=True), ()


def _pick_up(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """From a reminder, which may stand far below the panel."""
    return _resume(move_below(conversation), event, facts)


def _ask_drop_here(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _ask_drop(move_below(conversation), event, facts)


def _drop(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    done = Show(screens.toast(Line(key="draft.dropped"), buttons=((screens.TRAIN,),)))
    drop = DropPhotos(conversation.draft, conversation.photos)
    return Conversation(panel=conversation.panel), (drop, done)


def _keep(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, ()


def _nothing_to_cancel(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.cancel(facts)),)


# --- always --------------------------------------------------------------------------------------


def _start_command(conversation: Conversation, event: Event, facts: Facts) -> Step:
    if isinstance(event, Command) and event.argument == "train":
        return TABLE[conversation.state, "/train"](conversation, event, facts)
    return conversation, (Show(commands.start(facts)),)


def _help(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.help_screen(facts)),)


def _kept_for_later(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(screens.toast(Line(key="draft.kept"))),)


def _status(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.status(conversation, facts)),)


def _queue(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.queue(facts)),)


DRAFTING = tuple(state for state in State if state is not State.IDLE)

AT_PHOTOS = (State.PHOTOS, State.FIX, State.SHEET)
AT_CAPTIONS = (State.CAPTIONS, State.CAPTION, State.WORD_IN, State.WORD_OUT)

TABLE: dict[tuple[State, str], Handler] = {
    **{(state, "/start"): _start_command for state in State},
    **{(state, "/help"): _help for state in State},
    **{(state, "/status"): _status for state in State},
    **{(state, "/queue"): _queue for state in State},
    **{(state, "queue"): _queue for state in State},
    **{(state, "mine"): _status for state in State},
    **{(state, "kept"): _kept_for_later for state in State},
    **{(state, key): handler for state in State for key, handler in admin.GUARDED.items()},
    **{(state, "help"): _help for state in State},
    **{(state, "stop"): steering.ask_stop for state in State},
    **{(state, "stopnow"): steering.stop for state in State},
    **{(state, "stopkeep"): steering.stop_and_keep for state in State},
    **{(state, "goon"): steering.go_on for state in State},
    **{(state, "samples"): steering.samples_now for state in State},
    **{(state, "exhibit"): exhibiting.ask for state in State},
    **{(state, "exhibitnow"): exhibiting.show for state in State},
    **{(state, "exhibitnot"): exhibiting.keep for state in State},
    **{(state, "unexhibit"): exhibiting.take_down for state in State},
    **{(state, "retry"): retrying.retry for state in State},
    **{(state, "chart"): steering.show_chart for state in State},
    **{(state, "/privacy"): privacy.tell for state in State},
    **{(state, "/delete"): privacy.ask_what for state in State},
    **{(state, "/export"): privacy.export for state in State},
    **{(state, "export"): privacy.export for state in State},
    **{(state, "/language"): speaking.choose for state in State},
    **{(state, "lang"): speaking.choose for state in State},
    **{(state, "dropphotos"): privacy.drop_photos for state in State},
    **{(state, "forget"): privacy.ask_forget for state in State},
    **{(state, "forgetnow"): privacy.forget for state in State},
    **{(state, "forgetnot"): privacy.keep for state in State},
    (State.CONSENT, "agree"): consent.agree,
    (State.IDLE, "/train"): begin,
    (State.IDLE, "train"): begin,
    (State.IDLE, "form"): forms.fill,
    **{(state, "form"): forms.fill_again for state in DRAFTING},
    (State.CONSENT, "form"): consent.agree_by_form,
    (State.IDLE, "/cancel"): _nothing_to_cancel,
    (State.IDLE, "photo"): collecting.first_photo,
    (State.IDLE, "refused"): collecting.refuse_without_draft,
    **{(state, "/train"): _resume for state in DRAFTING},
    **{(state, "train"): _resume for state in DRAFTING},
    **{(state, "/cancel"): _ask_drop for state in DRAFTING},
    **{(state, "pickup"): _pick_up for state in DRAFTING},
    **{(state, "discard"): _ask_drop_here for state in DRAFTING},
    **{(state, "drop"): _drop for state in DRAFTING},
    **{(state, "keep"): _keep for state in DRAFTING},
    **{(state, "photo"): collecting.add_photo for state in DRAFTING},
    **{(state, "refused"): collecting.refuse_file for state in DRAFTING},
    (State.KIND, "kind"): answers.choose_kind,
    (State.KIND, "text"): answers.choose_kind,
    (State.NAME, "name"): answers.choose_name,
    (State.NAME, "text"): answers.choose_name,
    (State.TRIGGER, "word"): answers.choose_trigger,
    (State.TRIGGER, "text"): answers.choose_trigger,
    (State.BASE, "base"): answers.choose_base,
    (State.BASE, "text"): answers.choose_base,
    (State.PHOTOS, "sample"): collecting.take_samples,
    (State.PHOTOS, "done"): collecting.close_photos,
    (State.PHOTOS, "/done"): collecting.close_photos,
    (State.PHOTOS, "more"): collecting.close_photos,
    **{(state, "/done"): collecting.close_photos for state in (State.FIX, State.SHEET)},
    **{(State.FIX, verb): collecting.close_photos for verb in ("done", "more")},
    (State.SUMMARY, "start"): submitting.start,
    (State.SUMMARY, "add"): collecting.reopen_photos,
    (State.SUMMARY, "edit"): answers.edit,
    (State.SUMMARY, "quality"): answers.choose_quality,
    (State.SUMMARY, "captions"): wording.show,
    **{(state, "look"): choosing.look_at for state in AT_PHOTOS},
    **{(state, "sheet"): choosing.show_sheet for state in AT_PHOTOS},
    **{(state, "use"): choosing.use for state in AT_PHOTOS},
    **{(state, "out"): choosing.leave_out for state in AT_PHOTOS},
    **{(state, "pick"): choosing.pick_face for state in AT_PHOTOS},
    (State.FIX, "next"): choosing.next_one,
    (State.FIX, "back"): choosing.back,
    (State.SHEET, "toggle"): choosing.toggle,
    (State.SHEET, "back"): choosing.back,
    **{(state, "captions"): wording.show for state in AT_CAPTIONS},
    (State.CAPTIONS, "caption"): wording.ask_caption,
    (State.CAPTIONS, "wordin"): wording.ask_word_in,
    (State.CAPTIONS, "wordout"): wording.ask_word_out,
    (State.CAPTIONS, "lint"): wording.switch_lint,
    (State.CAPTIONS, "summary"): wording.back,
    (State.CAPTION, "text"): wording.write_caption,
    (State.CAPTION, "again"): wording.own_words_again,
    (State.WORD_IN, "text"): wording.add_word,
    (State.WORD_OUT, "text"): wording.remove_word,
}
