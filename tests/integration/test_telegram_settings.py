"""/settings, deep links, groups: through the real client, with the whole bot behind it."""

from pathlib import Path

import pytest

from storage import (
    chat_moves,
    conversation_store,
    job_lists,
    job_store,
    limit_store,
    preference_store,
)
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import JobState
from storage.preferences import Pings, Preferences
from tests.bot_api import BotApi, Group, Person
from tests.bot_api.adapter import Start
from tests.conftest import eventually
from tests.jobs import make_job
from tests.loras import publish, weights


async def wanted(database: Database, person: Person) -> Preferences:
    async with database.read() as tx:
        return await preference_store.get(tx, person.name)


async def trained(database: Database, folder: Path, person: Person) -> str:
    job = make_job(chat=person.name, person=person.name, state=JobState.DONE, sent_version=1)
    return (await publish(database, LocalBlobs(folder / "blobs"), job, weights())).id


async def test_settings_are_one_message_and_hold_after_a_restart(
    bot: Start, ada: Person, database: Database
) -> None:
    async with bot():
        await ada.says("/settings")
        await ada.reads("Quality: standard")
        count = len(ada.sees)
        await ada.presses("Quality")
        await ada.reads("How thoroughly")
        assert "● Standard" in ada.sees[-1].labels
        await ada.presses("Thorough")
        await ada.reads("Quality: thorough")
        await ada.presses("Messages")
        await ada.reads("by myself")
        await ada.presses("Files, silently")
        await ada.reads("without a sound")
        await ada.presses("Pictures")
        await ada.presses_when("No")
        await ada.reads("it trains: no")
        await ada.presses("Your program")
        await ada.presses_when("ComfyUI")
        await ada.reads("Your program: ComfyUI")
        assert len(ada.sees) == count
    expected = Preferences(quality="thorough", tool="comfy", pings=Pings.NONE, samples=False)
    assert await wanted(database, ada) == expected
    async with bot():
        await ada.presses("🌐 Language")
        await ada.presses_when("Русский")
        await ada.reads("Ваши настройки")
        assert "тщательно" in ada.sees[-1].text
        await ada.presses("Закрыть")
        await ada.says("/train")
        await ada.reads("Чему")
    async with database.read() as tx:
        stored = await conversation_store.load(tx, ada.name)
    assert stored is not None
    assert '"quality": "thorough"' in stored.text


async def test_a_draft_lies_below_the_settings_and_is_as_it_was(bot: Start, ada: Person) -> None:
    async with bot():
        await ada.says("/train")
        await ada.reads("What should it learn?")
        await ada.says("/settings")
        await ada.reads("Your settings")
        await ada.presses("Close")
        await eventually(lambda: _last_says(ada, "What should it learn?"))


async def test_an_old_answer_that_no_longer_exists_changes_nothing(
    bot: Start, ada: Person, database: Database
) -> None:
    async with bot():
        await ada.says("/settings")
        shown = await ada.reads("Your settings")
        for said in ("base.gone", "quality.best", "samples.maybe", "language.xx", "nothing", "."):
            ada.presses_data(shown, f"prefer::{said}")
        ada.presses_data(shown, "settings::quality")
        await ada.reads("How thoroughly")
    assert await wanted(database, ada) == Preferences()


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("train", "What should it learn?"),
        ("settings", "Your settings"),
        ("models", "no finished models"),
        ("status", "nothing in training"),
        ("anything-else", "Hi!"),
    ],
)
async def test_a_link_opens_what_it_names(bot: Start, ada: Person, word: str, answer: str) -> None:
    async with bot():
        await ada.says(f"/start {word}")
        await ada.reads(answer)


async def test_a_link_to_a_model_opens_it_for_its_owner_alone(
    bot: Start, api: BotApi, ada: Person, database: Database, tmp_path: Path
) -> None:
    job_id = await trained(database, tmp_path, ada)
    eve = api.person("Eve")
    async with bot():
        await ada.says(f"/start m-{job_id}")
        await ada.reads("Trigger word")
        await eve.says(f"/start m-{job_id}")
        await eve.reads("no longer")
        await eve.says("/start m-../../etc")
        await eventually(lambda: _count(eve, "no longer", 2))
    assert not any("mochi" in one.text for one in eve.sees)


async def test_the_howto_begins_with_the_persons_own_program(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job_id = await trained(database, tmp_path, ada)
    async with database.write() as tx:
        await preference_store.put(tx, ada.name, Preferences(tool="easy"))
    async with bot():
        await ada.says(f"/start m-{job_id}")
        await ada.reads("Trigger word")
        await ada.presses("How to use it")
        await ada.reads("● Easy Diffusion".removeprefix("● "))
        assert "● Easy Diffusion" in ada.sees[-1].labels


# --- groups --------------------------------------------------------------------------------------


async def test_a_group_hears_the_queue_without_names_and_the_rest_in_private(
    bot: Start, api: BotApi, ada: Person, database: Database
) -> None:
    group = api.group()
    async with database.write() as tx:
        await job_store.add(tx, make_job(chat=ada.name, person=ada.name, name="secretname"))
    async with bot():
        await ada.says("/queue", to=group)
        await eventually(lambda: _in_group(group, "1 job in the queue"))
        await ada.says("/status", to=group)
        await eventually(lambda: _in_group(group, "in the queue, place 1"))
        (told,) = [one for one in group.chat.messages if "place 1" in one.text]
        assert [button.url for row in told.rows for button in row] == [
            "https://t.me/test_lora_bot?start=status"
        ]
        await ada.says("/models", to=group)
        await eventually(lambda: _in_group(group, "?start=models"))
        await ada.says("/whatever@test_lora_bot", to=group)
        await eventually(lambda: _in_group(group, "?start=train"))
    said = [one for one in group.chat.messages if one.from_bot]
    assert len(said) == 4
    assert not any("secretname" in one.text or "Ada" in one.text for one in said)
    # A link may be followed by anybody; a button would be pressed by the wrong one.
    assert not any(button.data for one in said for row in one.rows for button in row)
    async with database.read() as tx:
        assert await conversation_store.load(tx, f"tg:{group.chat.chat_id}") is None


async def test_a_stranger_in_a_group_is_not_answered_aloud(
    bot: Start, api: BotApi, ada: Person
) -> None:
    group = api.group()
    async with bot(access="invite", admin_ids=frozenset({"tg:1"})):
        await ada.says("/queue", to=group)
        await ada.says("/start")
        await ada.reads("This bot is private")
    assert not [one for one in group.chat.messages if one.from_bot]


async def test_what_belongs_to_a_group_moves_with_it(
    bot: Start, api: BotApi, ada: Person, database: Database
) -> None:
    group = api.group()
    old = f"tg:{group.chat.chat_id}"
    job = make_job(chat=old, person=ada.name)
    async with database.write() as tx:
        await job_store.add(tx, job)
        await conversation_store.save(tx, old, "{}", now=1.0)
        await limit_store.refused(tx, old, 5, now=1.0)
    new = f"tg:{group.upgrade(ada.sender).chat_id}"
    async with bot():
        await eventually(lambda: _moved(database, job.id, new))
    async with database.write() as tx:
        # Told again, it changes nothing.
        await chat_moves.move(tx, old, new)
        assert await conversation_store.load(tx, old) is None
        found = await conversation_store.load(tx, new)
        assert await limit_store.out_file_bytes(tx, new, 9, now=2.0) == 5
    assert found is not None


async def test_a_send_that_is_told_of_the_move_remembers_it(
    bot: Start, api: BotApi, ada: Person, database: Database
) -> None:
    """The news may come late: the refusal names the new chat, too."""
    group = api.group()
    job = make_job(chat=f"tg:{group.chat.chat_id}", person=ada.name)
    async with database.write() as tx:
        await job_store.add(tx, job)
    new = group.upgrade()
    async with bot():
        await eventually(lambda: _moved(database, job.id, f"tg:{new.chat_id}"))
    assert [one for one in new.messages if one.from_bot]
    async with database.read() as tx:
        assert [one.id for one in await job_lists.of_person(tx, ada.name)] == [job.id]


async def _moved(database: Database, job_id: str, chat: str) -> bool:
    async with database.read() as tx:
        job = await job_store.get(tx, job_id)
    return job is not None and job.chat == chat


async def _last_says(person: Person, words: str) -> bool:
    return words in person.sees[-1].text


async def _count(person: Person, words: str, count: int) -> bool:
    return sum(words in one.text for one in person.sees) == count


async def _in_group(group: Group, words: str) -> bool:
    return any(words in one.text for one in group.chat.messages)
