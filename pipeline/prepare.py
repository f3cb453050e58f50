"""Photos become a dataset: a folder of ``0001.png`` and ``0001.txt`` that can be looked at.

Look at each photo, let the networks see it, judge the set, cut, caption, report. What was found out
on the way waits in a cabinet, so that a repetition goes on where the last one was killed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pictures import captions, faces, variety
from pictures.captions import Described
from pictures.frame import Cut
from pictures.look import Refused
from pictures.order import SIDE, Developed, View, Wanted
from pictures.sandbox import Cells
from pictures.seen import UNSEEN, Seen
from pictures.sheet import TILE, Tile, sheet
from pictures.verdict import (
    PERSON,
    Choice,
    Level,
    Remark,
    Shot,
    Verdict,
    cut_of,
    judge,
)
from pipeline import dataset
from pipeline.cabinet import Cabinet
from pipeline.captions.describe import Describe
from pipeline.eyes import BlindError, Eyes
from pipeline.recipe import Recipe, enough
from pipeline.report import Report, line_of, rejections_of
from storage.job import Photo

AT_ONCE = 2

Read = Callable[[Photo], Awaitable[bytes]]
Tell = Callable[[int], None]


@dataclass(slots=True, kw_only=True)
class Tools:
    """``read`` brings an upload's bytes, ``tell`` hears how many are done, and may raise to stop.

    ``known`` is what was seen before, by sha256. ``describe`` is an optional vision server.
    """

    read: Read
    tell: Tell
    cells: Cells
    cabinet: Cabinet
    eyes: Eyes | None = None
    describe: Describe | None = None
    known: Mapping[str, Seen] = field(default_factory=dict)


async def prepare(photos: Sequence[Photo], recipe: Recipe, folder: Path, tools: Tools) -> Report:
    digest = recipe.digest(photos, _networks(tools))
    if (done := dataset.finished(folder)) and done.digest == digest:
        return done
    work = _Work(photos, recipe, tools)
    await work.look()
    verdicts = work.judge()
    cuts = await work.cut(verdicts)
    return await asyncio.to_thread(_write, folder, digest, work, verdicts, cuts)


def _networks(tools: Tools) -> str:
    config = tools.eyes.config if tools.eyes else None
    return repr((config, tools.describe is not None))


class _Work:
    def __init__(self, photos: Sequence[Photo], recipe: Recipe, tools: Tools) -> None:
        self.photos = photos
        self.recipe = recipe
        self.tools = tools
        self.seen: dict[str, Seen] = {}
        self.refused: dict[str, Refused] = {}
        self.seconds: dict[str, float] = {}
        self.done = 0

    # --- look ---

    async def look(self) -> None:
        began = time.monotonic()
        await _some_at_once(self.photos, self._look_at)
        self.seconds["look"] = round(time.monotonic() - began, 3)

    async def _look_at(self, photo: Photo) -> None:
        sha256, tools = photo.sha256, self.tools
        seen = tools.cabinet.seen(sha256)
        if seen is UNSEEN:
            seen = tools.known.get(sha256, UNSEEN)
        missing = self._missing(seen)
        if seen.look is None or missing or not tools.cabinet.tile(sha256):
            seen = await self._develop(photo, seen, missing=missing)
            tools.cabinet.note(sha256, seen)
        self.seen[sha256] = seen
        self._count(1)

    def _missing(self, seen: Seen) -> bool:
        """Something that the networks here could still tell."""
        eyes, describe = self.tools.eyes, self.tools.describe
        faces_wanted = eyes is not None and bool(eyes.config.faces)
        words_wanted = describe is not None or (eyes is not None and bool(eyes.config.tagger))
        return (faces_wanted and self.recipe.plan.kind == PERSON and seen.faces is None) or (
            words_wanted and seen.described is None
        )

    async def _develop(self, photo: Photo, seen: Seen, *, missing: bool) -> Seen:
        data = await self.tools.read(photo)
        done = await self.tools.cells.develop(data, self._wanted(seen, missing=missing))
        if isinstance(done, Refused):
            self.refused[photo.sha256] = done
            return seen
        seen = replace(seen, look=done.look or seen.look)
        self.tools.cabinet.put_tile(photo.sha256, done.tile)
        if done.cut is not None:
            self.tools.cabinet.put_picture(photo.sha256, done.cut, done.png)
        if missing:
            seen = await self._see(seen, done)
        return seen

    def _wanted(self, seen: Seen, *, missing: bool) -> Wanted:
        """Without networks the first decode is the last one: it is cut at once."""
        return Wanted(
            look=seen.look is None,
            shape=None if missing or seen.faces is not None else self.recipe.shape,
            view=View(side=SIDE, raw=True) if missing else None,
            tile=TILE,
        )

    async def _see(self, seen: Seen, done: Developed) -> Seen:
        tools = self.tools
        if tools.eyes is not None:
            try:
                said = await tools.eyes.see(done.view_size, done.view)
            except BlindError:
                # The photo may be good all the same; the report says what was not looked at.
                return seen
            described = Described.from_json(said["described"]) if "described" in said else None
            seen = replace(
                seen,
                faces=faces.from_json(said.get("faces")) or seen.faces,
                described=described or seen.described,
            )
        if tools.describe is not None:
            described = await tools.describe(done.view_size, done.view)
            seen = replace(seen, described=described or seen.described)
        return seen

    # --- judge ---

    def shots(self) -> list[Shot]:
        return [
            Shot(
                number=photo.number,
                look=self.seen[photo.sha256].look,
                faces=self.seen[photo.sha256].faces,
                choice=Choice(photo.choice),
                face=photo.face,
            )
            for photo in self.photos
        ]

    def judge(self) -> tuple[Verdict, ...]:
        began = time.monotonic()
        recipe = self.recipe
        verdicts = judge(self.shots(), recipe.plan.kind, recipe.shape, recipe.limits)
        verdicts = tuple(
            self._refusal(photo) or verdict
            for photo, verdict in zip(self.photos, verdicts, strict=True)
        )
        self.seconds["judge"] = round(time.monotonic() - began, 3)
        return enough(verdicts, recipe.least)

    def _refusal(self, photo: Photo) -> Verdict | None:
        refused = self.refused.get(photo.sha256)
        if refused is None:
            return None
        remark = Remark(refused.code, Level.OUT, refused.args)
        return Verdict(number=photo.number, remarks=(remark,), used=False)

    # --- cut ---

    async def cut(self, verdicts: Sequence[Verdict]) -> dict[int, Cut]:
        """By number. A photo that turns out to be too small for every bucket is left out."""
        began = time.monotonic()
        cuts = {
            verdict.number: cut
            for shot, verdict in zip(self.shots(), verdicts, strict=True)
            if verdict.used and (cut := cut_of(shot, verdict, self.recipe.shape))
        }
        await _some_at_once(
            [photo for photo in self.photos if photo.number in cuts],
            lambda photo: self._cut_one(photo, cuts[photo.number]),
        )
        self.seconds["cut"] = round(time.monotonic() - began, 3)
        return {
            photo.number: cuts[photo.number]
            for photo in self.photos
            if photo.number in cuts and photo.sha256 not in self.refused
        }

    async def _cut_one(self, photo: Photo, cut: Cut) -> None:
        self._count(0)
        if self.tools.cabinet.picture(photo.sha256, cut).exists():
            return
        data = await self.tools.read(photo)
        done = await self.tools.cells.develop(data, Wanted(cut=cut))
        if isinstance(done, Refused):
            self.refused[photo.sha256] = done
            return
        self.tools.cabinet.put_picture(photo.sha256, cut, done.png)

    def _count(self, more: int) -> None:
        self.done += more
        self.tools.tell(self.done)

    # --- caption ---

    def captions(self, kept: Sequence[Photo]) -> tuple[str, ...]:
        described = [self.seen[photo.sha256].described or Described() for photo in kept]
        own = [photo.caption for photo in kept]
        return captions.compose(self.recipe.plan, self.recipe.wishes, described, own)


async def _some_at_once(photos: Sequence[Photo], work: Callable[[Photo], Awaitable[None]]) -> None:
    """Two at a time, in order; the first failure ends the others."""
    waiting = iter(photos)

    async def take() -> None:
        for photo in waiting:
            await work(photo)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(take())
    except ExceptionGroup as failed:
        # A full disk is a full disk, however many were writing.
        raise failed.exceptions[0] from None


def _write(
    folder: Path, digest: str, work: _Work, verdicts: Sequence[Verdict], cuts: Mapping[int, Cut]
) -> Report:
    """``verdicts`` said which are to be used, ``cuts`` which can be."""
    began = time.monotonic()
    recipe, cabinet, shots = work.recipe, work.tools.cabinet, work.shots()
    verdicts = [replace(one, used=one.number in cuts) for one in verdicts]
    kept = [photo for photo in work.photos if photo.number in cuts]
    texts = {photo.number: text for photo, text in zip(kept, work.captions(kept), strict=True)}
    with dataset.made_beside(folder) as making:
        names = {
            photo.number: making.add(
                index, cabinet.picture(photo.sha256, cuts[photo.number]), texts[photo.number]
            )
            for index, photo in enumerate(kept, start=1)
        }
        tiles = [
            Tile(
                number=photo.number,
                jpeg=cabinet.tile(photo.sha256),
                used=verdict.used,
                doubtful=verdict.is_open,
            )
            for photo, verdict in zip(work.photos, verdicts, strict=True)
        ]
        making.write(dataset.SHEET, sheet(tiles))
        report = Report(
            digest=digest,
            kept=tuple(names),
            photos=len(work.photos),
            rejections=rejections_of(verdicts),
            lines=tuple(
                line_of(
                    shot,
                    verdict,
                    cuts.get(shot.number),
                    names.get(shot.number, ""),
                    texts.get(shot.number, ""),
                )
                for shot, verdict in zip(shots, verdicts, strict=True)
            ),
            variety=variety.variety(shots, verdicts, recipe.plan.kind, recipe.shape),
            seconds={**work.seconds, "write": round(time.monotonic() - began, 3)},
            networks=work.tools.eyes.providers if work.tools.eyes else (),
        )
        making.write(dataset.REPORT, report.to_json().encode())
    return report
