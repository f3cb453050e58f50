"""How many trainings a person may have: at once, and in a day. Pure."""

from bot import screens
from bot.clock import HOUR_S, span
from bot.draft import Conversation
from bot.events import Show
from bot.facts import Facts
from bot.moves import Step
from bot.screen import Button, Line


def refuse(conversation: Conversation, facts: Facts) -> Step | None:
    """None: there is room. The draft stays as it is, and can be started later."""
    quota = facts.quota
    if facts.is_admin or not quota.full:
        return None
    if quota.full_at_once:
        line = Line(key="limit.at_once", args={"most": quota.at_once}, n=quota.live)
        free_s = quota.live_free_s
    else:
        line = Line(key="limit.today", args={"most": quota.a_day}, n=quota.today)
        free_s = quota.today_free_s
    lines = [line]
    if free_s:
        minutes = span(60 * screens.minutes(free_s)) if free_s < 2 * HOUR_S else span(free_s)
        lines.append(Line(key="limit.free", args={"time": minutes}))
    lines.append(Line(key="limit.kept"))
    mine = Button(label="button.my_queue", verb="mine")
    keep = Button(label="button.keep_draft", verb="kept")
    return conversation, (Show(screens.toast(*lines, buttons=((mine, keep),))),)
