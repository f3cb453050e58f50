"""What /settings shows: all settings at a glance, and for each one a page of answers. Pure."""

from dataclasses import replace

from bot.defaults import base_of, quality_of, tool_of
from bot.draft import Conversation
from bot.facts import Facts
from bot.howto import TOOLS
from bot.opened import Opened
from bot.preferences import ASK, TOPICS
from bot.screen import Button, Line, Screen, Slot
from bot.speaking import AUTO
from bot.texts.catalog import languages
from storage.preferences import Pings
from trainer.presets import Quality

Rows = tuple[tuple[Button, ...], ...]
Answers = tuple[tuple[str, Button], ...]  # value and its button, in order
CLOSE = Button(label="button.close", verb="shut")
BACK = Button(label="button.back", verb="settings")
IN_A_ROW = 2


def panel(conversation: Conversation, opened: Opened, facts: Facts) -> Screen:
    note = (conversation.note,) if conversation.note else ()
    topic = opened.tool
    lines, rows = _page(topic, facts) if topic in TOPICS else _overview(facts)
    return Screen(slot=Slot.PANEL, lines=(*note, *lines), buttons=rows)


def _overview(facts: Facts) -> tuple[tuple[Line, ...], Rows]:
    """The buttons say what is chosen; a language is seen anyway."""
    now = facts.preferences
    base = facts.base(base_of(now, facts))
    lines = (
        Line(key="settings.title"),
        Line(key="settings.base", args={"base": base.title})
        if base
        else Line(key="settings.base_ask"),
        Line(key=f"now_quality.{quality_of(now)}"),
        Line(key=f"now_tool.{tool_of(now)}"),
        Line(key=f"now_pings.{now.pings}"),
        Line(key="settings.samples_on" if now.samples else "settings.samples_off"),
    )
    topics = [
        Button(label=f"setting.{one}", verb="settings", argument=one)
        for one in TOPICS
        if one != "base" or len(facts.bases) > 1
    ]
    return lines, (*_rows(topics), (CLOSE,))


def _page(topic: str, facts: Facts) -> tuple[tuple[Line, ...], Rows]:
    now = _now(topic, facts)
    buttons = [replace(button, chosen=value == now) for value, button in _of(topic, facts)]
    return (Line(key=f"ask_setting.{topic}"),), (*_rows(buttons), (BACK, CLOSE))


def _of(topic: str, facts: Facts) -> Answers:
    match topic:
        case "language":
            values = (*languages(), AUTO)
            return tuple((one, _answer(topic, one, f"language.{one}")) for one in values)
        case "base":
            named = tuple(
                (base.id, _answer(topic, base.id, "button.word", word=base.title))
                for base in facts.bases
                if base.installed
            )
            return (*named, (ASK, _answer(topic, ASK, "settings.each_time")))
        case "quality":
            return tuple((one, _answer(topic, one, f"choice.{one}")) for one in Quality)
        case "tool":
            return tuple((one, _answer(topic, one, f"tool.{one}")) for one in TOOLS)
        case "pings":
            return tuple((one, _answer(topic, one, f"pings.{one}")) for one in Pings)
    return tuple((one, _answer(topic, one, f"choice.{one}")) for one in ("on", "off"))


def _now(topic: str, facts: Facts) -> str:
    now = facts.preferences
    match topic:
        case "language":
            return facts.chosen_language or AUTO
        case "base":
            return base_of(now, facts) or ASK
        case "quality":
            return quality_of(now)
        case "tool":
            return tool_of(now)
        case "pings":
            return now.pings
    return "on" if now.samples else "off"


def _answer(topic: str, value: str, label: str, **args: str) -> Button:
    return Button(label=label, args=args, verb="prefer", argument=f"{topic}.{value}")


def _rows(buttons: list[Button]) -> Rows:
    pairs = range(0, len(buttons), IN_A_ROW)
    return tuple(tuple(buttons[start : start + IN_A_ROW]) for start in pairs)
