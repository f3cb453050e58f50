"""Answers that need no conversation: forms to fill in, names while typing, and plain refusals."""

from collections.abc import Sequence
from typing import Any

import discord

from bot import draft
from bot.discord import forms, updates
from bot.discord.markup import EPHEMERAL
from bot.discord.updates import PLATFORM
from bot.texts.catalog import Catalog, nearest
from storage import conversation_store, job_lists, people_store
from storage.bases import Base
from storage.database import Database

SUGGESTIONS = 25
RECENT = 200  # jobs whose names are suggested
# Kinds of answers to an interaction.
SAY, LATER, LATER_HERE, SUGGEST, FORM = 4, 5, 6, 8, 9

Answer = dict[str, Any]


class Prompts:
    def __init__(self, database: Database, bases: Sequence[Base]) -> None:
        self._database = database
        self._bases = bases

    async def answer(self, interaction: discord.Interaction) -> Answer | None:
        """None: this is an update for the conversation."""
        match interaction.type:
            case discord.InteractionType.autocomplete:
                return await self._names(interaction)
            case discord.InteractionType.application_command:
                if why := _refusal(interaction):
                    return _saying(await self._catalog(interaction), why)
                command = updates.command(interaction)
                return await self._form(interaction, command.name, command.argument)
            case discord.InteractionType.component:
                verb, of_draft, what = updates.custom_id(interaction)
                if verb != "ask":
                    return await self._form(interaction, verb)
                make = forms.photos if what == "photos" else forms.words
                return {"type": FORM, "data": make(await self._catalog(interaction), of_draft)}
        return None

    async def _form(
        self, interaction: discord.Interaction, verb: str, name: str = ""
    ) -> Answer | None:
        """All of /train in one form, unless there is a draft to go back to."""
        if verb != "train" or await self._has_draft(interaction.user.id):
            return None
        catalog = await self._catalog(interaction)
        return {"type": FORM, "data": forms.train(catalog, self._bases, name)}

    async def _has_draft(self, user: int) -> bool:
        async with self._database.read() as tx:
            stored = await conversation_store.load(tx, f"{PLATFORM}:{user}")
        state = draft.from_json(stored.text).state if stored else draft.State.IDLE
        return state is not draft.State.IDLE

    async def _catalog(self, interaction: discord.Interaction) -> Catalog:
        """What the person has chosen, else what the client says."""
        person = f"{PLATFORM}:{interaction.user.id}"
        async with self._database.read() as tx:
            chosen = await people_store.language(tx, person)
        return Catalog.load(nearest(chosen or interaction.locale.value))

    async def _names(self, interaction: discord.Interaction) -> Answer:
        """The person's models whose names hold what was typed so far."""
        typed = updates.command(interaction).argument.lower()
        person = f"{PLATFORM}:{interaction.user.id}"
        async with self._database.read() as tx:
            jobs = await job_lists.of_person(tx, person, limit=RECENT)
        names = dict.fromkeys(job.name for job in jobs if job.artifact is not None)
        fitting = [name for name in names if typed in name.lower()][:SUGGESTIONS]
        choices = [{"name": name, "value": name} for name in fitting]
        return {"type": SUGGEST, "data": {"choices": choices}}


def _refusal(interaction: discord.Interaction) -> str:
    """Why the files of a message are not taken: a text key, or empty."""
    if "target_id" not in (interaction.data or {}):
        return ""
    author, files = updates.posted(interaction)
    if author != interaction.user.id:
        return "place.not_yours"
    return "" if any(one.may_hold_pictures for one in files) else "place.no_photos"


def _saying(catalog: Catalog, key: str) -> Answer:
    data = {"content": catalog.text(key), "flags": EPHEMERAL}
    return {"type": SAY, "data": {**data, "allowed_mentions": {"parse": []}}}
