"""What preparation finds in sets of which everything is known, against the goals for it.

``python -m bench.prepare_truth [SEED ...]`` (five seeds unless named). Sets and networks are drawn
(`tests/truth`), the way is the real one: files, cells, InsightFace on onnxruntime, verdicts.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from bench.machine import write
from pictures.box import Box
from pictures.captions import Plan
from pictures.frame import Shape
from pictures.look import key_of
from pictures.sandbox import Cells
from pipeline import packs
from pipeline.cabinet import Cabinet
from pipeline.eyes import Eyes, EyesConfig
from pipeline.prepare import Tools, prepare
from pipeline.recipe import Recipe
from storage.job import Photo
from tests.truth.models import face_pack
from tests.truth.truthset import MAIN, Truth, make

SEEDS = (11, 12, 13, 14, 15)
PLAN = Plan(trigger="ohwx", class_word="person", kind="person", style="sentence")
# What a kind must be dropped for; several and nobody are asked about, grey is between.
REASONS = {
    "blurred": {"photo.blurred", "photo.face_blurred"},
    "other_person": {"photo.other"},
    "small": {"photo.tiny", "photo.small"},
    "dark": {"photo.black"},
    "bright": {"photo.white"},
}
UNDECIDED = frozenset({"grey", "no_face", "several"})
NEAR = 0.97  # overlap of borders
DOUBTS = frozenset({"photo.blurry", "photo.maybe", "photo.dark", "photo.bright"})


@dataclass
class Count:
    """True and false positives, and what was missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, *, found: bool, true: bool) -> None:
        self.right += found and true
        self.wrong += found and not true
        self.missed += true and not found

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    def told(self) -> dict[str, float]:
        return {"precision": round(self.precision, 4), "recall": round(self.recall, 4)}


@dataclass
class Score:
    drops: Count = field(default_factory=Count)
    blur: Count = field(default_factory=Count)
    pairs: Count = field(default_factory=Count)
    faces: Count = field(default_factory=Count)
    borders: Count = field(default_factory=Count)
    reasons: Counter[str] = field(default_factory=Counter)
    kept_once: list[bool] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    cubed: list[float] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)


def box_of(raw: dict[str, float]) -> Box:
    return Box(raw["left"], raw["top"], raw["right"], raw["bottom"])


async def report_of(folder: Path, names: Sequence[str], eyes: Eyes, out: Path) -> dict[str, Any]:
    paths = [folder / name for name in names]
    photos = [
        Photo(sha256=key_of(path.read_bytes()), number=number, file_bytes=path.stat().st_size)
        for number, path in enumerate(paths, start=1)
    ]

    async def read(photo: Photo) -> bytes:
        return await asyncio.to_thread(paths[photo.number - 1].read_bytes)

    async with Cells(2) as cells:
        tools = Tools(
            read=read, tell=lambda _: None, cells=cells, cabinet=Cabinet(out / "c"), eyes=eyes
        )
        await prepare(photos, Recipe(plan=PLAN, shape=Shape(resolution=512)), out / "d", tools)
    read_back: dict[str, Any] = json.loads((out / "d" / "report.json").read_text())
    return read_back


def judge_drop(truth: Truth, line: dict[str, Any], score: Score) -> None:
    """Copies are judged as pairs; what is asked about is neither right nor wrong."""
    reasons, kept = set(line["reasons"]), bool(line["picture"])
    drop = truth.kind in REASONS
    copied = truth.kind == "duplicate" or not truth.original
    if truth.kind in UNDECIDED or copied:
        return
    if "photo.twin" not in reasons or truth.group is None:
        score.drops.add(found=not kept, true=drop)
        if kept is drop:
            fail(truth, line, score, "kept" if kept else "dropped")
    if drop and not kept:
        score.reasons["right" if reasons & REASONS[truth.kind] else "wrong"] += 1


def judge_one(truth: Truth, line: dict[str, Any], score: Score) -> None:
    reasons, kept = set(line["reasons"]), bool(line["picture"])
    judge_drop(truth, line, score)
    if truth.kind in {"good", "blurred", "bordered", "burst"}:
        blurred = bool(reasons & REASONS["blurred"])
        score.blur.add(found=blurred, true=truth.kind == "blurred")
    if truth.kind == "other_person":
        score.numbers["wrong person kept"] += kept and not reasons & DOUBTS
        score.numbers["wrong person asked"] += kept and bool(reasons & DOUBTS)
    if truth.kind in {"good", "burst", "bordered"}:
        score.numbers["right person"] += 1
        score.numbers["right person dropped"] += "photo.other" in reasons
    if truth.kind == "several":
        score.numbers["several"] += 1
        right = line["face"] is not None and _is_main(truth, line)
        score.numbers["several, the right one picked"] += right and "photo.picked" in reasons
        score.numbers["several, the wrong one picked"] += kept and not right


def _is_main(truth: Truth, line: dict[str, Any]) -> bool:
    chosen = box_of(line["faces"][line["face"]]).scaled(*truth.size)
    return any(who == MAIN and Box(*box).overlap(chosen) > 0.5 for who, box in truth.faces)


def judge_geometry(truth: Truth, line: dict[str, Any], score: Score) -> None:
    if line["size"] is None:
        return
    score.numbers["upright"] += tuple(line["size"]) == truth.size
    score.numbers["opened"] += 1
    content, true = box_of(line["content"]).scaled(*truth.size), Box(*truth.content)
    whole = Box(0, 0, *truth.size)
    # A line more or less is no border: pictures are scaled, and edges are rounded.
    bordered, found = true.area < NEAR * whole.area, content.area < 0.995 * whole.area
    near = content.overlap(true) >= NEAR
    score.borders.add(found=found and (near or not bordered), true=bordered)
    if (bordered and not near) or (found and not bordered):
        fail(truth, line, score, f"border {content.overlap(true):.3f}")
    if truth.kind not in {"dark", "bright", "blurred", "grey"}:
        match_faces(truth, line, score)
    if line["cut"] and line["face"] is not None and truth.faces:
        chosen = box_of(line["faces"][line["face"]]).scaled(*truth.size)
        wanted = max((Box(*box) for _, box in truth.faces), key=chosen.overlap)
        inside = wanted.within(box_of(line["cut"]["box"])).area >= 0.99 * wanted.area
        score.numbers["faces cut"] += 1
        score.numbers["faces cut whole"] += inside
        if not inside:
            fail(truth, line, score, "face cut")


def match_faces(truth: Truth, line: dict[str, Any], score: Score) -> None:
    left = [box_of(raw).scaled(*truth.size) for raw in line["faces"] or ()]
    for _, edges in truth.faces:
        wanted = Box(*edges)
        best = max(left, key=wanted.overlap, default=None)
        if best is not None and wanted.overlap(best) > 0.5:
            score.faces.right += 1
            score.overlaps.append(wanted.overlap(best))
            left.remove(best)
        elif min(wanted.width, wanted.height) * 1024 / max(truth.size) >= 40:
            score.faces.missed += 1
            fail(truth, line, score, "face missed")
    score.faces.wrong += len(left)
    if left:
        fail(truth, line, score, "no face there")


def judge_twins(truths: Sequence[Truth], lines: Sequence[dict[str, Any]], score: Score) -> None:
    """A pair is found when one of the two is out as the other's twin."""
    twin = {line["number"]: line["twin_of"] for line in lines if line["twin_of"]}
    for (at, one), (bt, other) in combinations(enumerate(truths), 2):
        if {one.kind, other.kind} & set(REASONS):
            continue
        same = one.group is not None and one.group == other.group
        numbers = lines[at]["number"], lines[bt]["number"]
        roots = tuple(twin.get(number, number) for number in numbers)
        found = roots[0] == roots[1]
        score.pairs.add(found=found, true=same)
        if found != same:
            fail(one, lines[at], score, f"pair with {other.name} ({other.how})")
        if found and not same and one.scene == other.scene:
            score.numbers["same place wrongly dropped"] += 1
    for group in {truth.group for truth in truths if truth.group is not None}:
        members = [n for n, truth in enumerate(truths) if truth.group == group]
        score.kept_once.append(sum(bool(lines[n]["picture"]) for n in members) == 1)


def judge_people(truths: Sequence[Truth], lines: Sequence[dict[str, Any]], score: Score) -> None:
    """BCubed F1 of the groups of faces (Bagga and Baldwin, 1998); somebody alone is a group."""
    pairs = []
    for at, (truth, line) in enumerate(zip(truths, lines, strict=True)):
        boxes = [box_of(raw).scaled(*truth.size) for raw in line["faces"] or ()]
        for place, (box, label) in enumerate(zip(boxes, line["people"], strict=True)):
            who = max(truth.faces, key=lambda one: Box(*one[1]).overlap(box), default=None)
            if who is not None and Box(*who[1]).overlap(box) > 0.5:
                pairs.append((who[0], label if label >= 0 else (at, place)))
    shares = [
        (
            sum(a == who for a, b in pairs if b == label) / sum(b == label for _, b in pairs),
            sum(b == label for a, b in pairs if a == who) / sum(a == who for a, _ in pairs),
        )
        for who, label in pairs
    ]
    precision, recall = (sum(part) / max(1, len(shares)) for part in zip(*shares, strict=True))
    score.cubed.append(2 * precision * recall / (precision + recall))


def fail(truth: Truth, line: dict[str, Any], score: Score, what: str) -> None:
    score.failures.append(
        {
            "file": truth.name,
            "what": what,
            "kind": truth.kind,
            "how": truth.how,
            "reasons": line["reasons"],
            "sharpness": line["sharpness"],
            "likeness": line["likeness"],
            "blur": round(truth.blur, 1),
        }
    )


def told(scores: Iterable[Score]) -> dict[str, Any]:
    scores = list(scores)

    def together(name: str) -> Count:
        counts = [getattr(score, name) for score in scores]
        parts = ("right", "wrong", "missed")
        return Count(*(sum(getattr(count, part) for count in counts) for part in parts))

    numbers = sum((score.numbers for score in scores), Counter[str]())
    reasons = sum((score.reasons for score in scores), Counter[str]())
    overlaps = [one for score in scores for one in score.overlaps]
    kept = [one for score in scores for one in score.kept_once]
    cubed = [one for score in scores for one in score.cubed]
    return {
        "drops": together("drops").told(),
        "wrong_reason": round(reasons["wrong"] / max(1, sum(reasons.values())), 4),
        "duplicate_pairs": together("pairs").told(),
        "exactly_one_kept": round(sum(kept) / max(1, len(kept)), 4),
        "same_place_wrongly_dropped": numbers["same place wrongly dropped"],
        "faces": together("faces").told()
        | {"iou": round(sum(overlaps) / max(1, len(overlaps)), 4)},
        "wrong_person_kept": numbers["wrong person kept"],
        "wrong_person_asked": numbers["wrong person asked"],
        "right_person_dropped": round(
            numbers["right person dropped"] / max(1, numbers["right person"]), 4
        ),
        "several_picked": f"{numbers['several, the right one picked']}/{numbers['several']}",
        "several_wrong": numbers["several, the wrong one picked"],
        "borders": together("borders").told(),
        "whole_face_in_cut": f"{numbers['faces cut whole']}/{numbers['faces cut']}",
        "upright": f"{numbers['upright']}/{numbers['opened']}",
        "blur": together("blur").told(),
        "bcubed_f1": round(sum(cubed) / max(1, len(cubed)), 4),
    }


async def measured(seed: int, config: EyesConfig) -> Score:
    score, eyes = Score(), Eyes(config)
    try:
        with tempfile.TemporaryDirectory() as folder:
            truths = make(Path(folder) / "in", seed)
            names = [truth.name for truth in truths]
            report = await report_of(Path(folder) / "in", names, eyes, Path(folder))
    finally:
        await eyes.close()
    others = {
        one["number"]: one["args"].get("other", 0)
        for one in report["rejections"]
        if one["code"] == "photo.twin"
    }
    for line in report["lines"]:
        line["twin_of"] = others.get(line["number"], 0)
    for truth, line in zip(truths, report["lines"], strict=True):
        judge_one(truth, line, score)
        judge_geometry(truth, line, score)
    judge_twins(truths, report["lines"], score)
    judge_people(truths, report["lines"], score)
    return score


async def main(seeds: Sequence[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pack = packs.add(
            face_pack(Path(folder) / "drawn"), Path(folder) / "faces", licence="drawn here"
        )
        config = EyesConfig(faces=str(pack.folder), device="cpu")
        began, scores = time.perf_counter(), {}
        for seed in seeds:
            scores[seed] = await measured(seed, config)
            print(seed, json.dumps(told([scores[seed]])))
            for one in scores[seed].failures:
                print("   ", one)
    write(
        "prepare_truth",
        {
            "seconds": round(time.perf_counter() - began),
            "all": told(scores.values()),
            "seeds": {str(seed): told([score]) for seed, score in scores.items()},
            "failures": [one for score in scores.values() for one in score.failures],
        },
    )


if __name__ == "__main__":
    asyncio.run(main([int(seed) for seed in sys.argv[1:]] or SEEDS))
