"""A Bot API server on this machine, after https://core.telegram.org/bots/api, with people in it."""

from tests.bot_api.people import Group, Person
from tests.bot_api.refusals import RefusedError
from tests.bot_api.server import BotApi
from tests.bot_api.shown import Shown

__all__ = ["BotApi", "Group", "Person", "RefusedError", "Shown"]
