"""What holds where a person was not asked: their own settings, else the service's. Pure."""

from bot.facts import Facts
from bot.howto import TOOLS
from storage.preferences import Preferences
from trainer.presets import Quality


def base_of(preferences: Preferences, facts: Facts) -> str:
    """The base that a new draft begins with; empty: it is asked for."""
    base = facts.base(preferences.base_model)
    return base.id if base is not None and base.installed else ""


def quality_of(preferences: Preferences) -> str:
    known = preferences.quality in set(Quality)
    return preferences.quality if known else Quality.STANDARD


def tool_of(preferences: Preferences) -> str:
    """The program that is explained first."""
    return preferences.tool if preferences.tool in TOOLS else TOOLS[0]
