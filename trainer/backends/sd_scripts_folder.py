"""What a run of sd-scripts finds in its folder: pictures, captions, tokenizers, an earlier state.

Our dataset becomes one subset whose single epoch is the whole run: sd-scripts counts its steps
anew in each epoch that it skips, and only so does it go on from the true step.
"""

import hashlib
import json
import re
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from trainer.backends.sd_scripts_options import NAME
from trainer.buckets import step_of
from trainer.run import RunSpec

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MASK = ".mask.png"
ORIENTATION = 0x0112  # of a photo, in its EXIF
GRAIN = {"sd15": 64, "sdxl": 32, "flux": 64}  # the finest steps of a bucket that it takes
CLIP_L = "openai_clip-vit-large-patch14"
TOKENIZERS = {
    "sd15": {"tokenizer": CLIP_L},
    "sdxl": {"tokenizer": CLIP_L, "tokenizer_2": "laion_CLIP-ViT-bigG-14-laion2B-39B-b160k"},
    "flux": {"tokenizer": CLIP_L, "tokenizer_2": "google_t5-v1_1-xxl"},
}
STATE = re.compile(NAME + r"-step(\d+)-state")
PARTS = ("model.safetensors", "optimizer.bin", "scheduler.bin", "random_states_0.pkl")
HEADER_BYTES = 100_000_000


class DatasetError(Exception):
    """The folder has no picture, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class State:
    """What an earlier start has left, after ``done`` steps."""

    path: Path
    done: int


def stage(spec: RunSpec, folder: Path) -> int:
    """Pictures and captions under names of our own, and the file that tells of them; how many.
    Raises DatasetError.
    """
    home = folder / "pictures"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    found = pictures(spec.dataset)
    if not found:
        raise DatasetError(f"no 0001.png with its 0001.txt in {spec.dataset}")
    finest = GRAIN[spec.params.family]
    masked = False
    for number, path in enumerate(found, start=1):
        # It takes the first line alone, and stops at an empty file.
        words = " ".join(path.with_suffix(".txt").read_text(encoding="utf-8").split())
        (home / f"{number:04}.txt").write_text(words + "\n", encoding="utf-8")
        try:
            masked |= _stage(path, home / f"{number:04}", masked=spec.params.masked, finest=finest)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise DatasetError(f"{path.name} cannot be opened") from error
    text = config(spec, home, len(found), masked=masked)
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return len(found)


def pictures(folder: Path) -> list[Path]:
    """Those that have a caption; a mask is none."""
    return [
        path
        for path in sorted(folder.glob("*"))
        if path.suffix.lower() in PICTURES
        and not path.name.endswith(MASK)
        and path.with_suffix(".txt").is_file()
    ]


def _stage(path: Path, target: Path, *, masked: bool, finest: int) -> bool:
    """One picture as sd-scripts wants it: upright, and with its mask as its alpha. True: it has
    one.
    """
    mask = path.with_suffix(MASK)
    masked = masked and mask.is_file()
    with Image.open(path) as opened:
        turned = opened.getexif().get(ORIENTATION, 1) != 1
        if min(opened.size) < finest:
            raise DatasetError(f"{path.name} has only {opened.width} x {opened.height} pixels")
        if not (turned or masked):
            target.with_suffix(path.suffix.lower()).symlink_to(path.resolve())
            return False
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    if masked:
        with Image.open(mask) as shape:
            upright.putalpha(shape.convert("L").resize(upright.size, Image.Resampling.BOX))
    upright.save(target.with_suffix(".png"), format="PNG")
    return masked


def config(spec: RunSpec, home: Path, count: int, *, masked: bool) -> str:
    """The dataset's file (TOML): all pictures once for each resolution, and repeated until one
    epoch lasts for all steps.
    """
    params = spec.params
    wanted = params.max_steps * params.gradient_accumulation * params.batch_size
    sides = (params.resolution, *params.resolutions)
    subset: dict[str, object] = {
        "image_dir": str(home),
        "caption_extension": ".txt",
        "num_repeats": -(-wanted // (count * len(sides))),
        "caption_dropout_rate": params.caption_dropout,
        "alpha_mask": masked,
    }
    return "\n".join(
        f"[[datasets]]\n{_table(_buckets(spec, side))}\n[[datasets.subsets]]\n{_table(subset)}"
        for side in sides
    )


def _buckets(spec: RunSpec, side: int) -> dict[str, object]:
    finest = GRAIN[spec.params.family]
    grain = max(finest, step_of(side))
    return {
        "resolution": side,
        "batch_size": spec.params.batch_size,
        "enable_bucket": side >= finest,
        "bucket_no_upscale": True,
        "bucket_reso_steps": grain,
        "min_bucket_reso": min(side // grain * grain or grain, 256),
        "max_bucket_reso": side * 2,
    }


def _table(values: dict[str, object]) -> str:
    """TOML writes strings, numbers and booleans as JSON does, but for the higher planes."""
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return "".join(f"{line}\n" for line in lines)


def beside(base: Path) -> Path:
    """Where the parts of a base of one file lie."""
    if not base.is_file():
        return base
    own = base.with_suffix("")
    return own if own.is_dir() else base.parent


def tokenizers(spec: RunSpec, folder: Path) -> Path | None:
    """The base's own, under the names that sd-scripts looks for; None: it has none."""
    home, root = folder / "tokenizers", beside(spec.base).resolve()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    found = False
    for part, name in TOKENIZERS[spec.params.family].items():
        if (root / part).is_dir():
            (home / name).symlink_to(root / part)
            found = True
    return home if found else None


def is_v_prediction(spec: RunSpec) -> bool:
    """What was asked, else what the base says of itself."""
    if spec.params.prediction != "auto":
        return spec.params.prediction == "v_prediction"
    path = beside(spec.base) / "scheduler" / "scheduler_config.json"
    with suppress(OSError, ValueError, AttributeError):
        said = json.loads(path.read_text(encoding="utf-8")).get("prediction_type")
        return bool(said == "v_prediction")
    return spec.base.is_file() and "v_pred" in _names(spec.base)


def _names(path: Path) -> set[str]:
    """The tensors of a ``.safetensors``."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return set(json.loads(file.read(min(length, HEADER_BYTES))))
    return set()


def why_no_base(spec: RunSpec) -> str:
    """A word on what is wrong with the base; sd-scripts would open older formats, which can run
    code.
    """
    base = spec.base
    if base.is_file():
        return "" if base.suffix == ".safetensors" else f"{base} is not a .safetensors"
    if spec.params.family == "flux":
        return f"{base}: for FLUX.1 sd-scripts wants the transformer's .safetensors"
    if not (base / "model_index.json").is_file():
        return f"{base} is neither a diffusers folder nor one .safetensors"
    parts = ["unet", "vae", "text_encoder"]
    parts += ["text_encoder_2"] if spec.params.family == "sdxl" else []
    for part in parts:
        if not any((base / part).glob("*.safetensors")):
            return f"{base} has no {part} with a .safetensors"
    return ""


def digest(spec: RunSpec, words: list[str]) -> str:
    """Whatever makes another run of it: the command line, pictures, captions, masks."""
    made = hashlib.sha256("\0".join(words).encode())
    for picture in pictures(spec.dataset):
        for path in (picture, picture.with_suffix(".txt"), picture.with_suffix(MASK)):
            with suppress(FileNotFoundError):
                made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()


def states(out: Path) -> list[State]:
    """Those that are whole, the latest first."""
    found = [
        State(path, int(named[1]))
        for path in out.glob("*")
        if (named := STATE.fullmatch(path.name)) and is_whole(path)
    ]
    return sorted(found, key=lambda state: -state.done)


def is_whole(state: Path) -> bool:
    """It is written in the order of ``PARTS``, each a file whose end says that it is complete."""
    weights, *zips = (state / name for name in PARTS)
    with suppress(OSError, ValueError):
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, HEADER_BYTES)))
        ends = [part["data_offsets"][1] for name, part in header.items() if name[:2] != "__"]
        whole = weights.stat().st_size == 8 + length + max(ends, default=0)
        return whole and all(zipfile.is_zipfile(path) for path in zips)
    return False
