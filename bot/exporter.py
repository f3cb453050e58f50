"""/export: all that is stored of a person, as ZIPs that their network takes."""

import asyncio
import json
import logging
import secrets
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot import draft
from bot.draft import Conversation
from bot.frontend import Frontend, NetworkError
from bot.janitor import EXPORTS
from bot.packing import Post
from bot.presenter import Presenter
from bot.render import render
from bot.result_screen import sent_beside
from bot.screen import Line
from bot.screens import toast
from bot.sending import send
from storage import (
    consent_store,
    conversation_store,
    nudge_store,
    people_store,
    preference_store,
    stored_store,
)
from storage.blob_store import photo_key
from storage.blobs import Blobs, StoreError
from storage.database import Database
from storage.job import Job

log = logging.getLogger(__name__)

SHARE = 0.95  # of what the network takes: a ZIP is a little larger than what is in it
SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    database: Database
    presenter: Presenter
    post: Post

    async def send(self, person: str, chat: str, frontend: Frontend) -> None:
        """Logged and told, never raised: it runs beside everything else."""
        try:
            await self._send(person, chat, frontend)
        except NetworkError as error:
            log.warning("an export was not sent (%s)", type(error).__name__)
        except StoreError as error:
            log.warning("an export could not be packed (%s)", error)
            await self.presenter.tell(chat, toast(Line(key="oops")))
        except Exception:
            log.exception("an export failed")
            await self.presenter.tell(chat, toast(Line(key="oops")))

    async def _send(self, person: str, chat: str, frontend: Frontend) -> None:
        data, photos = await self._collect(person, chat)
        limits, links = frontend.limits, bool(self.post.public_url)
        most = 0 if limits.links or limits.paths or links else limits.out_file_bytes
        keys = await _pack(data, photos, self.post.blobs, int(SHARE * most))
        catalog = await self.presenter.catalog(person)
        for number, key in enumerate(keys, start=1):
            one = await self.post.beside(key, "", person, limits)
            title = Line(key="export.ready", args={"number": number, "count": len(keys)})
            screen = sent_beside(title, "button.export_open", one.way, one.url, one.path)
            async with self.presenter.lock(chat):
                message = render(screen, catalog, limits, one.file)
                await send(frontend, chat, message, f"export-{key}")

    async def _collect(self, person: str, chat: str) -> tuple[dict[str, Any], list[str]]:
        async with self.database.read() as tx:
            row = await conversation_store.load(tx, chat)
            open_draft = draft.from_json(row.text) if row else Conversation()
            if open_draft.person != person:
                open_draft = Conversation()
            kept = await stored_store.of_person(tx, person, open_draft.photos)
            known = await people_store.get(tx, [person])
            given = await consent_store.of_person(tx, person)
            wanted = await preference_store.get(tx, person)
            said = await nudge_store.answers(tx, [job.id for job in kept.jobs])
        about = known.get(person)
        data: dict[str, Any] = {
            "person": asdict(about) if about else {"id": person},
            "consents": [{"policy": one.policy, "given_at": _when(one.given_at)} for one in given],
            "settings": asdict(wanted),
            "ratings": said,
            "draft": asdict(open_draft) if open_draft.draft else None,
            "trainings": [
                _training(job, with_photos=job.id in kept.with_photos) for job in kept.jobs
            ],
            "exported_at": _when(time.time()),
        }
        return data, list(kept.photos)


def _training(job: Job, *, with_photos: bool) -> dict[str, Any]:
    made = job.artifact
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": job.state.value,
        "created_at": _when(job.created_at),
        "finished_at": _when(job.finished_at) if job.finished_at else None,
        "settings": asdict(job.params),
        "captions": json.loads(job.wishes or "{}"),
        "photos": [asdict(photo) for photo in job.photos] if with_photos else "deleted",
        "file": {"name": made.name, "bytes": made.file_bytes, "sha256": made.sha256}
        if made
        else None,
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


async def _pack(
    data: dict[str, Any], photos: Sequence[str], blobs: Blobs, most_bytes: int
) -> list[str]:
    """The keys of the ZIPs; ``most_bytes`` of each, 0: one holds all. A photo that is too large for
    any is named in the data as left out.
    """
    here = [(key, size) for key in photos if (size := await _size(blobs, key)) is not None]
    fit = [one for one in here if not most_bytes or one[1] < most_bytes // 2]
    data["photos_left_out"] = sorted({key for key, _ in here} - {key for key, _ in fit})
    text = json.dumps(data, indent=1, ensure_ascii=False, default=str).encode()
    folder = f"{EXPORTS}/{secrets.token_hex(8)}"
    keys = []
    for number, group in enumerate(_groups(fit, most_bytes, len(text)), start=1):
        key = f"{folder}/lorabot-data-{number}.zip"
        with tempfile.TemporaryDirectory() as making:
            path = Path(making) / "making.zip"
            await _fill(path, text if number == 1 else b"", [name for name, _ in group], blobs)
            await blobs.put_file(key, path)
        keys.append(key)
    return keys


async def _size(blobs: Blobs, sha256: str) -> int | None:
    try:
        return await blobs.size(photo_key(sha256))
    except FileNotFoundError:
        return None


async def _fill(path: Path, text: bytes, photos: Sequence[str], blobs: Blobs) -> None:
    """One photo after the other, in threads; one that is deleted meanwhile is not there."""
    with zipfile.ZipFile(path, "w") as packed:
        if text:
            packed.writestr("data.json", text, zipfile.ZIP_DEFLATED)
        for sha256 in photos:
            with suppress(FileNotFoundError):
                photo = await blobs.get(photo_key(sha256))
                name = f"photos/{sha256[:16]}{_suffix(photo)}"
                await asyncio.to_thread(packed.writestr, name, photo)


def _groups(
    photos: Sequence[tuple[str, int]], most_bytes: int, first_bytes: int
) -> Iterator[list[tuple[str, int]]]:
    group: list[tuple[str, int]] = []
    filled = first_bytes
    for key, file_bytes in photos:
        size = file_bytes + 1000
        if most_bytes and filled + size > most_bytes:
            yield group
            group, filled = [], 0
        group.append((key, file_bytes))
        filled += size
    yield group


def _suffix(photo: bytes) -> str:
    return next((suffix for start, suffix in SUFFIXES.items() if photo.startswith(start)), ".image")
