"""The base models that this server offers: the demo, and what the operator lists in a file."""

import math
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, get_type_hints

import trainer
from storage.job import MIN_PHOTOS
from trainer.backends import sd_scripts_options
from trainer.params import FAMILIES
from trainer.presets import Overrides, params_for
from trainer.run import Extra

DEMO = "demo"
NATIVE, SD_SCRIPTS = "native", "sd-scripts"
OWN_KEYS = frozenset(
    {"title", "family", "path", "minutes", "captions", "square", "backend", "sd_scripts", "adult"}
)
STYLES = ("sentence", "tags")
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")  # it goes into buttons, which are short


class BasesFileError(Exception):
    """The list of base models is not usable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """One checkpoint: a diffusers folder or one `.safetensors`. ``minutes`` is a first guess.

    ``captions`` is the style that it was trained on: sentences, or booru's tags. ``square`` bases
    get square pictures, all others buckets of many shapes. ``backend`` is what trains it;
    ``options`` are sd-scripts' own, with their dashes. What an ``adult`` one draws is shown only
    where the chat allows it.
    """

    id: str
    title: str
    family: str
    path: Path
    overrides: Overrides
    minutes: float
    captions: str = "sentence"
    square: bool = False
    adult: bool = False
    backend: str = NATIVE
    options: Mapping[str, Extra] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        return self.path.exists()


def demo() -> Base:
    """A miniature that knows drawn creatures, and comes with the program."""
    return Base(
        id=DEMO,
        title="Demo (a miniature, for trying out)",
        family="sd15",
        path=Path(trainer.__file__).parent / "demo",
        overrides=Overrides(resolution=128, rank=16, learning_rate=3e-3, steps=400),
        square=True,
        minutes=1.0,
    )


def load(data_dir: Path, file: Path | None) -> dict[str, Base]:
    """The operator's bases by id, the demo first."""
    bases = {DEMO: demo()}
    path = file or data_dir / "bases.toml"
    if file is None and not path.exists():
        return bases
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return bases | {name: _base(name, entry, path.parent) for name, entry in raw.items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise BasesFileError(f"{path}: {error}") from error


def _base(name: str, entry: dict[str, object], folder: Path) -> Base:
    if not ID.fullmatch(name):
        raise ValueError(f"[{name}] is no id: 1-32 letters, digits, - or _")
    family = str(entry["family"])
    if family not in FAMILIES:
        raise ValueError(f"[{name}] family {family!r} is not one of: {', '.join(FAMILIES)}")
    minutes = float(str(entry.get("minutes", 15)))
    if not (math.isfinite(minutes) and minutes > 0):
        raise ValueError(f"[{name}] minutes {minutes:g} is no time")
    captions = entry.get("captions", STYLES[0])
    if captions not in STYLES:
        raise ValueError(f"[{name}] captions {captions!r} is not one of: {', '.join(STYLES)}")
    overrides = _overrides(name, family, entry)
    backend, options = _backend(name, family, entry, overrides)
    return Base(
        backend=backend,
        options=options,
        captions=str(captions),
        square=_flag(name, entry, "square"),
        adult=_flag(name, entry, "adult"),
        id=name,
        title=str(entry.get("title", name)),
        family=family,
        path=folder / Path(str(entry["path"])).expanduser(),
        overrides=overrides,
        minutes=minutes,
    )


def _flag(name: str, entry: dict[str, object], key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise TypeError(f"[{name}] {key} cannot be {value!r}")
    return value


def _overrides(name: str, family: str, entry: dict[str, object]) -> Overrides:
    """Checked here, at the start: later it would be somebody's order that fails."""
    kinds = get_type_hints(Overrides)
    if unknown := sorted(entry.keys() - kinds.keys() - OWN_KEYS):
        raise ValueError(f"[{name}] {unknown[0]} is not known")
    own = {key: entry[key] for key in entry.keys() & kinds.keys()}
    if type(own.get("learning_rate")) is int:
        own["learning_rate"] = float(str(own["learning_rate"]))
    if "resolutions" in own:
        own["resolutions"] = _resolutions(name, own["resolutions"])
    for key, value in own.items():
        if key == "resolutions":
            continue
        flag = bool in get_args(kinds[key])
        if isinstance(value, bool) is not flag or not isinstance(value, kinds[key]):
            raise TypeError(f"[{name}] {key} cannot be {value!r}")
    overrides = Overrides(**own)  # type: ignore[arg-type]  # just checked
    try:
        params_for(name, family, ("trigger", "thing"), MIN_PHOTOS, overrides)
    except ValueError as error:
        raise ValueError(f"[{name}] {error}") from error
    return overrides


def _resolutions(name: str, value: object) -> tuple[int, ...]:
    """A list in the file."""
    if not isinstance(value, list) or any(type(one) is not int for one in value):
        raise TypeError(f"[{name}] resolutions cannot be {value!r}")
    return tuple(value)


def _backend(
    name: str, family: str, entry: dict[str, object], overrides: Overrides
) -> tuple[str, dict[str, Extra]]:
    """What trains it, and sd-scripts' options, checked."""
    backend, raw = entry.get("backend", NATIVE), entry.get("sd_scripts", {})
    if backend not in (NATIVE, SD_SCRIPTS):
        raise ValueError(f"[{name}] backend {backend!r} is not one of: {NATIVE}, {SD_SCRIPTS}")
    if not isinstance(raw, dict) or (raw and backend != SD_SCRIPTS):
        raise ValueError(
            f'[{name}] sd_scripts is a table of options, with backend = "{SD_SCRIPTS}"'
        )
    if backend == NATIVE:
        return NATIVE, {}
    options = {f"--{key}": _option(name, key, value) for key, value in raw.items()}
    params = params_for(name, family, ("trigger", "thing"), MIN_PHOTOS, overrides)
    try:
        sd_scripts_options.check(params, options)
    except ValueError as error:
        raise ValueError(f"[{name}] {error}") from error
    return SD_SCRIPTS, options


def _option(name: str, key: str, value: object) -> Extra:
    """A list becomes one text, as a command line would have it."""
    if isinstance(value, list):
        return shlex.join(str(one) for one in value)
    if not isinstance(value, str | int | float):
        raise TypeError(f"[{name}] {key} cannot be {value!r}")
    return value
