"""What the operator's networks say of samples: is it this person, and is it what was asked for?"""

import asyncio
import logging
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictures import faces
from pictures.look import Refused
from pictures.order import SIDE, View
from pictures.sandbox import Cells
from pipeline.eyes import BlindError, Eyes
from trainer.outside import Seen
from trainer.params import TrainParams
from trainer.run import Prompt

log = logging.getLogger(__name__)

Rows = NDArray[np.float64]
PICTURE = re.compile(r"\d{4}\.png")  # of a dataset; masks and captions lie beside them
FEWEST = 3  # faces of photos; fewer say little of what is alike among them
WORD = re.compile(r"[a-z0-9'-]{2,}")


class Critic:
    """One run's. ``dataset`` is what it learns from; ``person``: faces are to be compared."""

    def __init__(
        self, eyes: Eyes, cells: Cells, dataset: Path, params: TrainParams, *, person: bool
    ) -> None:
        self._eyes = eyes
        self._cells = cells
        self._dataset = dataset
        self._params = params
        self._faces = person and bool(eyes.config.faces)
        self._references: Rows | None = None

    @property
    def sees(self) -> bool:
        return self._faces or bool(self._eyes.config.tagger)

    async def look(self, samples: Sequence[Path], prompts: Sequence[Prompt]) -> Seen:
        """One picture for each prompt. What cannot be looked at is not measured."""
        try:
            return await self._look(samples, prompts)
        except (BlindError, OSError) as error:
            log.warning("samples are not scored: %s", type(error).__name__)
            return Seen()

    async def _look(self, samples: Sequence[Path], prompts: Sequence[Prompt]) -> Seen:
        references = await self._known() if self._faces else None
        likenesses: list[float] = []
        obeyed: list[float] = []
        for path, prompt in zip(samples, prompts, strict=False):
            words = wanted(prompt.text, self._params) if self._eyes.config.tagger else ()
            # Without the trigger it is not meant to be this person.
            meant = references is not None and self._params.trigger in prompt.text
            said = await self._see(path, words) if meant or words else None
            if said is None:
                continue
            if meant and references is not None:
                likenesses.append(likeness(_embeddings(said), references))
            obeyed += [float(share >= self._eyes.config.tag_threshold) for share in _asked(said)]
        return Seen(
            faces=float(np.mean(likenesses)) if likenesses else None,
            among=among(references) if likenesses and references is not None else None,
            obeys=float(np.mean(obeyed)) if obeyed else None,
        )

    async def _known(self) -> Rows | None:
        """The largest face of each photo; None where too few have one."""
        if self._references is None:
            found = []
            for path in sorted(self._dataset.iterdir()):
                said = await self._see(path, ()) if PICTURE.fullmatch(path.name) else None
                found += _embeddings(said)[:1] if said is not None else []
            self._references = np.stack(found) if found else np.zeros((0, 1))
        return self._references if len(self._references) >= FEWEST else None

    async def _see(self, path: Path, words: Sequence[str]) -> dict[str, Any] | None:
        data = await asyncio.to_thread(path.read_bytes)
        shown = await self._cells.view(data, View(side=SIDE, raw=True))
        if isinstance(shown, Refused):
            return None
        return await self._eyes.see(shown.view_size, shown.view, words)


def wanted(prompt: str, params: TrainParams) -> tuple[str, ...]:
    """What a prompt asks for beside the subject: its words, and each two that follow each other."""
    own = {*WORD.findall(params.class_word.lower()), params.trigger.lower()}
    words = [word for word in WORD.findall(prompt.lower()) if word not in own]
    return (*words, *(f"{one} {two}" for one, two in pairwise(words)))


def likeness(found: Sequence[NDArray[np.float64]], references: Rows) -> float:
    """The best face's cosine to the middle of the references (N, D); 0 where there is no face."""
    middle = _unit(references.mean(axis=0))
    return max((float(one @ middle) for one in found), default=0.0)


def among(references: Rows) -> float:
    """The mean cosine of each reference to the middle of the others."""
    total = references.sum(axis=0)
    return float(np.mean([one @ _unit(total - one) for one in references]))


def _unit(row: NDArray[np.float64]) -> NDArray[np.float64]:
    return row / max(1e-9, float(np.linalg.norm(row)))


def _embeddings(said: dict[str, Any]) -> list[NDArray[np.float64]]:
    found = faces.from_json(said.get("faces"))
    if found is None:
        return []
    rows = (np.frombuffer(face.embedding, np.float16) for face in found.faces if face.embedding)
    return [_unit(row.astype(np.float64)) for row in rows]


def _asked(said: dict[str, Any]) -> list[float]:
    return [float(share) for share in said.get("asked", {}).values()]
