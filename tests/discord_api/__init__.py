"""A Discord on this machine, after https://discord.com/developers/docs, with people in it."""

from tests.discord_api.people import Member
from tests.discord_api.refusals import RefusedError
from tests.discord_api.server import DiscordApi
from tests.discord_api.shown import Shown

__all__ = ["DiscordApi", "Member", "RefusedError", "Shown"]
