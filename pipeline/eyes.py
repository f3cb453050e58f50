"""What a worker can see on photos: it asks a child process that holds the networks.

The child starts with the first picture, goes after a while without any, and is replaced if it
dies; a picture that kills it twice is given up.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pictures.child import Child, ChildLostError
from pipeline import confined, packs
from pipeline.packs import PackError
from storage.settings import Settings
from storage.worker_store import SEES_FACES, SEES_TAGS

log = logging.getLogger(__name__)

ANSWER_S = 120.0
IDLE_S = 300.0
# Beside a training on the same machine: few threads, so that it stays the faster one.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "2",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONWARNINGS": "ignore",  # its library talks of its own future
}


class BlindError(Exception):
    """The networks cannot be loaded, or did not survive this picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyesConfig:
    """Folders of packs, empty where there is none; ``device`` is auto, cpu or cuda. ``ages`` of
    faces are estimated only where the operator asks for it.
    """

    faces: str = ""
    tagger: str = ""
    device: str = "auto"
    face_score: float = 0.5
    ages: bool = False
    tag_threshold: float = 0.35


def config_of(settings: Settings, face_score: float) -> EyesConfig:
    """What the operator has added. A broken pack is told in the log, and not used."""
    found = {}
    for kind in (packs.FACES, packs.TAGGER):
        folder = packs.home(settings.data_dir, kind)
        try:
            found[kind] = str(folder) if packs.read(folder) else ""
        except PackError as error:
            log.warning("%s", error)
            found[kind] = ""
    return EyesConfig(
        faces=found[packs.FACES],
        tagger=found[packs.TAGGER],
        device=settings.eyes_device,
        face_score=face_score,
        ages=settings.min_age > 0,
        tag_threshold=settings.tag_threshold,
    )


class Eyes:
    def __init__(self, config: EyesConfig) -> None:
        self.config = config
        self.providers: tuple[str, ...] = ()
        self.has_ages = False  # known, as what it runs on, once it has looked
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def labels(self) -> list[str]:
        """What the chat side may count on."""
        return [SEES_FACES] * bool(self.config.faces) + [SEES_TAGS] * bool(self.config.tagger)

    async def see(
        self, size: tuple[int, int], pixels: bytes, words: Sequence[str] = ()
    ) -> dict[str, Any]:
        """``pixels`` are RGB bytes; the answer has ``faces`` and ``described`` as JSON values, and
        in ``asked`` how surely each of ``words`` is seen, as far as the tagger knows them.
        """
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            child = self._child or await self._start()
            self._child = None
            try:
                said, _ = await child.ask({"size": size, "words": words}, pixels, ANSWER_S)
            except ChildLostError as error:
                await child.end()
                raise BlindError(f"the networks {error}") from error
            except BaseException:
                self._end_later(child)
                raise
            self._child = child
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._rest)
            return said

    async def _start(self) -> Child:
        own = json.dumps(asdict(self.config))
        try:
            child, said = await Child.start(
                "pipeline.eyes_child",
                own,
                environment=ENVIRONMENT,
                launched_by=confined.command,
            )
        except RuntimeError as error:
            raise BlindError(str(error)) from error
        if "failed" in said:
            await child.end()
            raise BlindError(said["failed"])
        self.providers = tuple(said["providers"])
        self.has_ages = bool(said["ages"])
        log.info("faces and words are read on %s", ", ".join(self.providers))
        return child

    def _rest(self) -> None:
        if self._child is not None and not self._turn.locked():
            self._end_later(self._child)
            self._child = None

    def _end_later(self, child: Child) -> None:
        task = asyncio.ensure_future(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._child is not None:
            await self._child.end()
            self._child = None
        await asyncio.gather(*self._ending)
