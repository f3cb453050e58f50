"""25 photos of 12 megapixels become a dataset: ours, the usual loop, and sd-scripts' own loading.

``python -m bench.prepare_speed [--rounds 5] [--sd-scripts CHECKOUT]``. All in one run, interleaved,
because the machine is shared; what counts are ratios, of the best round each.

Predictions, written before: 1.3 times Pillow's full decode on one core (a scaled decode .45, the
Lanczos .45, PNG .15, looking .25), 1.9 times faster on two, 10 times faster than the usual loop.
"""

import argparse
import asyncio
import importlib
import io
import os
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from PIL import Image, ImageOps

from bench.machine import write
from pictures.captions import Plan
from pictures.frame import Shape
from pictures.look import key_of
from pictures.sandbox import Cells
from pipeline.cabinet import Cabinet
from pipeline.prepare import Tools, prepare
from pipeline.recipe import Recipe
from storage.job import Photo
from trainer.buckets import nearest

COUNT, WIDTH, HEIGHT = 25, 4000, 3000  # as a phone stores an upright photo, with EXIF 6
RESOLUTION = 1024
SPECTRUM = ((6, 60), (24, 34), (90, 18), (400, 9), (1600, 5))  # waves across, grey levels
PLAN = Plan(trigger="ohwx", class_word="object", kind="thing", style="sentence")


def make_photo(seed: int) -> bytes:
    """Noise with about the spectrum of photographs, and a sensor's grain."""
    dice = np.random.default_rng(seed)
    pixels = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for waves, levels in SPECTRUM:
        coarse = dice.normal(0, levels, (waves * 3 // 4, waves, 3)).astype(np.float32)
        for channel in range(3):
            plane = Image.fromarray(coarse[:, :, channel])
            pixels[:, :, channel] += np.asarray(plane.resize((WIDTH, HEIGHT), Image.BICUBIC))
    pixels += dice.normal(0, 2.5, (HEIGHT, WIDTH, 1))
    turned = Image.Exif()
    turned[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=88, exif=turned)
    return out.getvalue()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def full_decode(paths: list[Path]) -> None:
    """The floor: what everybody has to do who opens the files with Pillow."""
    for path in paths:
        with Image.open(path) as image:
            image.load()


def usual_loop(paths: list[Path], folder: Path) -> None:
    """Open, turn, crop the middle, Lanczos, save: as it stands in most preparation scripts."""
    for number, path in enumerate(paths):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        size = nearest(*image.size, RESOLUTION)
        assert size is not None
        fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        fitted.save(folder / f"{number:04}.png")


def ours(paths: list[Path], cells: int) -> float:
    """The whole stage, children warm: looks, verdicts, cuts, captions, report, contact sheet."""

    async def run() -> float:
        datas = [path.read_bytes() for path in paths]
        photos = [
            Photo(sha256=key_of(data), number=number, file_bytes=len(data))
            for number, data in enumerate(datas, start=1)
        ]

        async def read(photo: Photo) -> bytes:
            return await asyncio.to_thread(paths[photo.number - 1].read_bytes)

        with tempfile.TemporaryDirectory() as folder:
            async with Cells(cells) as opened:
                await asyncio.gather(*(opened.look(datas[0]) for _ in range(cells)))
                began = time.perf_counter()
                tools = Tools(
                    read=read,
                    tell=lambda _: None,
                    cells=opened,
                    cabinet=Cabinet(Path(folder) / "cabinet"),
                )
                recipe = Recipe(plan=PLAN, shape=Shape(resolution=RESOLUTION))
                report = await prepare(photos, recipe, Path(folder) / "dataset", tools)
                took = time.perf_counter() - began
        assert len(report.kept) == len(paths)
        return took

    return asyncio.run(run())


def first_verdict(data: bytes) -> float:
    async def run() -> float:
        async with Cells(1) as cells:
            await cells.look(data)
            took = []
            for _ in range(9):
                began = time.perf_counter()
                await cells.look(data)
                took.append(time.perf_counter() - began)
        return statistics.median(took)

    return asyncio.run(run())


def sd_scripts(checkout: Path) -> Callable[[list[Path]], None]:
    """Its own loading, bucketing and resizing. Modules that these need only by name are empty."""
    import cv2
    import diffusers  # noqa: F401  looks for torchvision in earnest, so it comes first
    import transformers  # noqa: F401

    cv2.setNumThreads(1)
    sys.path.insert(0, str(checkout))
    for unused in ("lpw_stable_diffusion", "sdxl_lpw_stable_diffusion"):
        sys.modules[f"library.{unused}"] = _Anything(unused)
    while (train_util := _imported("library.train_util")) is None:
        pass

    area = (RESOLUTION, RESOLUTION)
    buckets = train_util.BucketManager(False, area, RESOLUTION // 2, RESOLUTION * 2, 64)
    buckets.make_buckets()

    def run(paths: list[Path]) -> None:
        for path in paths:
            image = train_util.load_image(str(path))
            height, width = image.shape[:2]
            reso, resized, _ = buckets.select_bucket(width, height)
            train_util.trim_and_resize_if_required(False, image, reso, resized)

    return run


def _imported(name: str) -> Any:
    """None when a module was missing; it is there, and empty, the next time."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        sys.modules[str(error.name)] = _Anything(str(error.name))
        return None


class _Anything(types.ModuleType):
    """Whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name)

    def __call__(self, *_: object, **__: object) -> Any:
        return _Anything("called")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--sd-scripts", type=Path)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(COUNT)]
        for number, path in enumerate(paths):
            path.write_bytes(make_photo(number))
        theirs = sd_scripts(options.sd_scripts) if options.sd_scripts else None
        took: dict[str, list[float]] = {}
        loads = [os.getloadavg()[0]]
        for number in range(options.rounds):
            rounds = {
                "full_decode": timed(lambda: full_decode(paths)),
                "ours_1": ours(paths, 1),
                "ours_2": ours(paths, 2),
            }
            if number == 0:
                rounds["usual_loop"] = timed(lambda: usual_loop(paths, Path(folder)))
            if theirs is not None:
                rounds["sd_scripts_in_memory"] = timed(lambda: theirs(paths))
            for name, seconds in rounds.items():
                took.setdefault(name, []).append(round(seconds, 3))
        loads.append(os.getloadavg()[0])
        best = {name: min(seconds) for name, seconds in took.items()}
        figures = {
            "photos": COUNT,
            "megapixels": WIDTH * HEIGHT / 1e6,
            "megabytes_each": round(sum(path.stat().st_size for path in paths) / COUNT / 1e6, 2),
            "resolution": RESOLUTION,
            "load_before_and_after": loads,
            "first_verdict_ms": round(1000 * first_verdict(paths[0].read_bytes())),
            "ours_by_full_decode": round(best["ours_1"] / best["full_decode"], 2),
            "faster_on_two": round(best["ours_1"] / best["ours_2"], 2),
            "usual_loop_by_ours": round(best["usual_loop"] / best["ours_1"], 1),
            "best_s": best,
            "rounds_s": took,
        }
    write("prepare_speed", figures)
    plot(best)


def plot(best: dict[str, float]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = {
        "full_decode": "Pillow, full decode only (the floor)",
        "sd_scripts_in_memory": "sd-scripts: load, bucket, resize, in memory",
        "ours_1": "lorabot: the whole stage, one core",
        "ours_2": "lorabot: the whole stage, two cores",
        "usual_loop": "the usual loop: open, turn, crop, Lanczos, PNG",
    }
    shown = {names[name]: seconds for name, seconds in best.items() if name in names}
    figure, axes = plt.subplots(figsize=(8, 2.6))
    bars = axes.barh(list(shown)[::-1], list(shown.values())[::-1], color="#6d5bd0")
    axes.bar_label(bars, fmt="%.1f s", padding=3)
    axes.set_title("25 photos of 12 megapixels")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(Path(__file__).parent / "results" / "prepare_speed.png", dpi=110)


if __name__ == "__main__":
    main()
