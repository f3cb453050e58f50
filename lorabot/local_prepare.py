"""``lorabot prepare``: a dataset without a chat and without a training.

What comes out can be given to sd-scripts (``--train_data_dir OUT``) and to diffusers
(``load_dataset("imagefolder", data_dir=OUT/<folder>)``) as it is.
"""

import asyncio
import json
import shutil
import signal
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.texts.catalog import Catalog
from lorabot.source import OrderError, Source
from pictures import limits
from pictures.captions import Plan, Wishes
from pictures.frame import Shape
from pictures.sandbox import Cells
from pipeline.cabinet import Cabinet
from pipeline.captions.describe import describer
from pipeline.dataset import REPORT, SHEET
from pipeline.eyes import Eyes, config_of
from pipeline.prepare import Tools, prepare
from pipeline.recipe import Recipe
from pipeline.report import Report
from storage.job import CLASS_WORDS
from storage.settings import Settings

EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 1, 2, 130
CABINET = ".prepare"
MARK = "lorabot-dataset"  # a folder without it is not ours to replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    source: Path
    out: Path
    trigger: str
    kind: str
    style: str = "sentence"
    resolution: int = 512
    square: bool = False
    repeats: int = 10
    keep_identity: bool = False
    pack: bool = True


async def run(settings: Settings, order: Order) -> int:
    screen = Console()
    try:
        source = await asyncio.to_thread(Source.open, order.source)
        _check(order, source)
        report = await _prepare(settings, order, source, screen)
    except OrderError as error:
        screen.print(str(error), markup=False, soft_wrap=True)
        return EXIT_USAGE
    except asyncio.CancelledError:
        screen.print("Stopped; the same command goes on from here.")
        return EXIT_STOPPED
    await asyncio.to_thread(_finish, order)
    return _say(order, report, screen)


def _check(order: Order, source: Source) -> None:
    if not len(source):
        raise OrderError(f"There is no file in {order.source}.")
    if order.kind not in CLASS_WORDS:
        raise OrderError(f"The kind is one of: {', '.join(CLASS_WORDS)}.")
    if order.style not in {"sentence", "tags"}:
        raise OrderError("The caption style is sentence or tags.")
    if order.resolution % 8 or not 64 <= order.resolution <= 2048:
        raise OrderError(f"resolution {order.resolution} is no multiple of 8 from 64 to 2048.")
    if order.out.exists() and any(order.out.iterdir()) and not _is_ours(order.out):
        raise OrderError(f"{order.out} is not empty, and not a dataset of ours. Name another one.")


def _is_ours(out: Path) -> bool:
    return (out / f".{MARK}").exists()


async def _prepare(settings: Settings, order: Order, source: Source, screen: Console) -> Report:
    order.out.mkdir(parents=True, exist_ok=True)
    (order.out / f".{MARK}").touch()
    own_limits = limits.load(settings.data_dir)
    photos = await asyncio.to_thread(source.photos, screen)
    recipe = Recipe(
        plan=Plan(
            trigger=order.trigger,
            class_word=CLASS_WORDS[order.kind],
            kind=order.kind,
            style=order.style,
        ),
        shape=Shape(resolution=order.resolution, square=order.square),
        wishes=Wishes(keep_identity=order.keep_identity),
        limits=own_limits,
    )
    eyes = Eyes(config_of(settings, own_limits.face_score))
    columns = (TextColumn("preparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  this is one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with Cells(limits=own_limits) as cells:
            with Progress(*columns, console=screen) as bar:
                shown = bar.add_task("", total=len(photos))
                tools = Tools(
                    read=lambda photo: asyncio.to_thread(source.data, photo.number),
                    tell=lambda count: bar.update(shown, completed=count),
                    cells=cells,
                    cabinet=Cabinet(order.out / CABINET),
                    eyes=eyes if eyes.labels else None,
                    describe=describer(settings),
                )
                return await prepare(photos, recipe, order.out / _folder(order), tools)
    finally:
        await eyes.close()


def _folder(order: Order) -> str:
    """sd-scripts reads repeats and words from a folder's name."""
    return f"{order.repeats}_{order.trigger} {CLASS_WORDS[order.kind]}"


def _finish(order: Order) -> None:
    """What each trainer and each person looks for, beside the pictures; and what is left over."""
    folder = order.out / _folder(order)
    captions = [
        (path.name, path.with_suffix(".txt").read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.png"))
    ]
    rows = [json.dumps({"file_name": name, "text": text}) for name, text in captions]
    (folder / "metadata.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    for name in (REPORT, SHEET):
        shutil.copyfile(folder / name, order.out / name)
    if order.pack:
        _zip(
            folder, order.out.with_suffix(".zip") if order.out.suffix else Path(f"{order.out}.zip")
        )
    # It has what the networks saw of faces; pictures and report do without.
    shutil.rmtree(order.out / CABINET, ignore_errors=True)


def _zip(folder: Path, target: Path) -> None:
    making = target.with_name(f".{target.name}.new")
    with zipfile.ZipFile(making, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{folder.name}/{path.name}")
    making.replace(target)


def _say(order: Order, report: Report, screen: Console) -> int:
    catalog = Catalog.load("en")
    for one in report.rejections:
        screen.print(catalog.text(one.code, {**one.args, "number": one.number}), markup=False)
    if not report.kept:
        screen.print("No photo could be used.")
        return EXIT_FAILED
    screen.print(f"{len(report.kept)} of {report.photos} photos are in the dataset.")
    if report.variety.points:
        advice = catalog.text(report.variety.advice or "panel.enough")
        screen.print(f"Grade {report.variety.grade}. {advice}", markup=False)
    screen.print(f"Dataset: {order.out / _folder(order)}", markup=False, soft_wrap=True)
    screen.print(f"Contact sheet: {order.out / SHEET}", markup=False, soft_wrap=True)
    return 0
