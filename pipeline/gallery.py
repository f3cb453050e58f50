"""What a training has drawn so far, brought to where the chat can show it.

Level-triggered: it compares the run's folder with the job's row, so that a kill in between loses
nothing. The newest samples take the place of older ones, which are deleted.
"""

import asyncio
import hashlib
import io
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pictures.look import Refused
from pictures.order import View, Wanted
from pictures.sandbox import Cells
from pipeline.critic import Critic
from pipeline.lease import Halt, HaltedError, Lease
from storage import clock, job_wishes
from storage.blob_store import samples_prefix
from storage.blobs import Blobs, StoreError
from storage.database import Tx
from storage.job import Job, Samples, Taken
from trainer import chart, history, outside, scores
from trainer.run import SAMPLES, Prompt, Sampled

log = logging.getLogger(__name__)

CHART_S = 15.0  # how old a chart may be
SIDE = 1280  # pixels that a picture has at most
SMALL = 320  # pixels of the small one
MOST = 9  # pictures of one grid
QUALITY = 88


@dataclass(slots=True, kw_only=True)
class Gallery:
    """``work`` is the run's folder; ``cells`` opens what lies there."""

    job: Job
    lease: Lease
    blobs: Blobs
    cells: Cells
    critic: Critic
    work: Path
    prompts: tuple[Prompt, ...]
    _shown: Samples | None = field(init=False)
    _chart: str = field(init=False)
    _points: int = field(init=False, default=0)
    _news: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._shown, self._chart = self.job.samples, self.job.chart

    def drawn(self, _: Sampled) -> None:
        self._news.set()

    async def run(self) -> None:
        """Until cancelled. Pictures are worth no training: what goes wrong here is logged."""
        while True:
            self._news.clear()
            await self._bring(self._newest)
            await self._score_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHART_S):
                    await self._news.wait()

    async def close(self, taken: int) -> None:
        """The run is over: the samples of the step that became the file, or else the last."""
        self._points = 0
        drawn = outside.drawn(self.work)
        await self._bring(lambda: taken if taken in drawn else self._newest(), last=True)

    async def _bring(self, which: Callable[[], int | None], *, last: bool = False) -> None:
        try:
            await self._collect(which())
            await self._draw_chart()
            if last:
                await self._sweep()
        except HaltedError:
            raise
        except StoreError as error:
            log.warning("job %s: its samples have to wait (%s)", self.job.id, error)
        except Exception:
            log.exception("job %s: its samples cannot be shown", self.job.id)

    async def _sweep(self) -> None:
        """What the row names stays. Who was stopped amid a deletion left the rest of it."""
        below = samples_prefix(self.job.id)
        kept = (self._shown.keys if self._shown else frozenset()) | {self._chart}
        for name in await self.blobs.older(below, before=math.inf):
            if f"{below}/{name}" not in kept:
                await self.blobs.delete(f"{below}/{name}")

    def _newest(self) -> int | None:
        """The step whose grid was written last: a run that began anew counts from the start."""
        times = {step: self._grid(step).stat().st_mtime_ns for step in outside.drawn(self.work)}
        return max(times, key=times.__getitem__, default=None)

    def _grid(self, step: int) -> Path:
        return self.work / SAMPLES / f"{step:06}.png"

    async def _collect(self, step: int | None) -> None:
        samples = None if step is None else await self._pictures(step)
        if samples is not None and samples != self._shown:
            await self._show(samples)

    async def _score_all(self) -> None:
        """The trainer waits at its end until each grid was looked at."""
        if not self.critic.sees:
            return
        for step in sorted(outside.drawn(self.work) - outside.read(self.work).keys()):
            paths = [path for _, path in self._singles(step)]
            outside.write(self.work, step, await self.critic.look(paths, self.prompts))
            shown, likeness = self._shown, self._likeness(step)
            if shown is not None and shown.step == step and likeness is not None:
                await self._show(replace(shown, likeness=likeness))

    def _likeness(self, step: int) -> float | None:
        seen = outside.read(self.work).get(step, outside.Seen())
        if seen.faces is None or not seen.among or seen.faces < scores.RECOGNISED:
            return None
        return seen.faces / seen.among

    def _singles(self, step: int) -> list[tuple[int, Path]]:
        folder = self.work / SAMPLES
        paths = [(number, folder / f"{step:06}-{number}.png") for number in range(1, MOST + 1)]
        return [(number, path) for number, path in paths if path.is_file()]

    async def _pictures(self, step: int) -> Samples | None:
        """As blobs; None where the grid cannot be opened."""
        data = await asyncio.to_thread(self._grid(step).read_bytes)
        whole = await self.cells.develop(data, Wanted(view=View(side=SIDE), tile=SMALL))
        if isinstance(whole, Refused):
            return None
        name = f"{samples_prefix(self.job.id)}/{step:06}"
        singles = []
        for number, path in self._singles(step):
            one = await self.cells.view(await asyncio.to_thread(path.read_bytes), View(side=SIDE))
            if not isinstance(one, Refused):
                singles.append(await self._put(f"{name}-{number}", one.view))
        return Samples(
            step=step,
            grid=await self._put(name, whole.view),
            small=await self._put(f"{name}-small", whole.tile),
            pictures=tuple(singles),
            likeness=self._likeness(step),
        )

    async def _put(self, name: str, jpeg: bytes) -> str:
        """Another content has another name: what was sent once is never taken for something new."""
        key = f"{name}-{hashlib.sha256(jpeg).hexdigest()[:12]}.jpg"
        await self.blobs.put(key, jpeg)
        return key

    async def _show(self, samples: Samples) -> None:
        """Committed first; only then the older ones go."""
        job, old = self.job, self._shown

        async def save(tx: Tx) -> bool:
            now = await clock.now(tx)
            return await job_wishes.save_samples(tx, job.id, job.fence, samples, now=now)

        kept = await self.lease.write(save)
        if not kept:
            self.lease.stop(Halt.LOST)
        self.lease.check()
        self._shown = samples
        for key in (old.keys if old else frozenset()) - samples.keys:
            await self.blobs.delete(key)

    async def _draw_chart(self) -> None:
        """If there is something new on it."""
        points = history.read(self.work)
        scored = scores.read(self.work)
        if len(points) + len(scored) <= self._points:
            return
        self._points = len(points) + len(scored)
        jpeg = await asyncio.to_thread(_drawn_chart, points, scored)
        key = await self._put(f"{samples_prefix(self.job.id)}/chart", jpeg)
        job, old = self.job, self._chart
        if key == old:
            return
        if not await self.lease.write(lambda tx: job_wishes.save_chart(tx, job.id, job.fence, key)):
            self.lease.stop(Halt.LOST)
        self.lease.check()
        self._chart = key
        if old:
            await self.blobs.delete(old)


def taken_of(work: Path, step: int, last: int) -> Taken:
    """Which step became the file, beside what the scores recommend."""
    scored = scores.read(work)
    choice = scores.choose(scored)
    measured = len(scores.curve(scored)[1])
    if choice is None:
        return Taken(step=step, best=step, last=last)
    return Taken(step=step, best=choice.step, last=last, by=choice.by, compared=measured)


def _drawn_chart(points: Sequence[tuple[int, float]], scored: Sequence[scores.Scored]) -> bytes:
    choice = scores.choose(scored)
    # Of one there is no best.
    best = choice.step if choice and len(scores.curve(scored)[1]) > 1 else None
    out = io.BytesIO()
    picture = chart.picture(points, scored, best)
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
