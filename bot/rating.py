"""The day after: is it good? Each answer has one next step, and a training prepared. Pure."""

from bot import screens
from bot.draft import Conversation
from bot.events import Rate, Show
from bot.facts import Facts
from bot.moves import Step
from bot.screen import Button, Line, Screen
from storage.job import Job
from trainer.presets import Quality, steps_for

BURNT = "burnt"
ANSWERS = {
    "good": "button.rate_good",
    "unlike": "button.rate_unlike",
    BURNT: "button.rate_burnt",
}
AGAIN = {
    "thorough": ("button.retrain_thorough", "retrain"),
    "quick": ("button.retrain_quick", "retrain"),
    "other": ("button.retrain", "retrain"),
    "photos": ("button.reuse", "reuse"),
}


def question(job: Job) -> Screen:
    """Silent: it is no news."""
    good, *bad = (
        Button(label=label, verb="rate", draft=job.id, argument=answer)
        for answer, label in ANSWERS.items()
    )
    asked = Line(key="rate.ask", args={"name": job.name})
    return screens.toast(asked, buttons=((good,), tuple(bad)))


def rate(conversation: Conversation, job: Job, answer: str, facts: Facts) -> Step:
    """``facts.kept_photos`` are those that another training could begin with."""
    if answer not in ANSWERS:
        return conversation, ()
    longer = _may_be(job, facts, Quality.THOROUGH)
    shorter = _may_be(job, facts, Quality.QUICK)
    match answer:
        case "unlike":
            key, again = ("rate.unlike", "thorough") if longer else ("rate.unlike_photos", "photos")
        case "burnt":
            key, again = ("rate.burnt", "quick") if shorter else ("rate.burnt_photos", "photos")
        case _:
            key, again = "rate.good", "other"
    lines = [Line(key=key, args={"trigger": job.params.trigger})]
    rows: list[tuple[Button, ...]] = []
    if answer == BURNT and job.saved:
        rows.append((Button(label="button.steps", verb="steps", draft=job.id),))
    if facts.kept_photos:
        rows.append((_again(job, again),))
    else:
        lines.append(Line(key="rate.no_photos"))
        rows.append((screens.TRAIN,))
    return conversation, (Rate(job.id, answer), Show(screens.toast(*lines, buttons=tuple(rows))))


def _may_be(job: Job, facts: Facts, quality: Quality) -> bool:
    """Whether this quality would be another training than that of the job."""
    base = facts.base(job.params.base_model)
    if base is None:
        return True
    photos = max(1, len(facts.kept_photos) or len(job.photos))
    steps = steps_for(base.family, photos, quality, base.overrides).steps
    longer = steps > job.params.max_steps
    return longer if quality is Quality.THOROUGH else steps < job.params.max_steps


def _again(job: Job, how: str) -> Button:
    """A quality goes along as the argument; other words are none, and change nothing."""
    label, verb = AGAIN[how]
    return Button(label=label, verb=verb, draft=job.id, argument=how)
