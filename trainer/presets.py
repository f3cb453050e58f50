"""The defaults of each base-model family, from the number of pictures and one dial. No torch here.

The figures are those that people who train 8-25 pictures of one subject have come to.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from trainer.params import TrainParams
from trainer.run import Prompt


class Quality(StrEnum):
    """How much of the machine's time a LoRA is worth."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A family's defaults. Steps at batch 1: ``per_photo`` for each picture, within bounds;
    from ``many`` pictures on ``rank_many``, below ``few`` of them ``rate_few``.
    """

    resolution: int
    resolutions: tuple[int, ...] = ()
    per_photo: int
    least: int
    most: int
    schedule: str = "constant"
    warmup: float = 0.0
    rate: float = 1e-4
    rate_few: float = 1e-4
    few: int = 10
    rank: int = 16
    rank_many: int = 16
    many: int = 20
    alpha: float | None = None  # None: the rank
    min_snr_gamma: float = 0.0


PRESETS = {
    "sd15": Preset(
        resolution=512,
        per_photo=100,
        least=1000,
        most=2000,
        schedule="cosine",
        warmup=0.05,
        min_snr_gamma=5.0,
    ),
    "sdxl": Preset(
        resolution=1024,
        per_photo=120,
        least=1200,
        most=2000,
        schedule="cosine",
        warmup=0.05,
        rate_few=5e-5,
        rank_many=32,
        alpha=16.0,
        min_snr_gamma=5.0,
    ),
    "flux": Preset(resolution=1024, resolutions=(512, 768), per_photo=120, least=1500, most=3000),
    "flux2": Preset(resolution=1024, resolutions=(768,), per_photo=80, least=800, most=1500),
    "zimage": Preset(
        resolution=1024,
        resolutions=(768,),
        per_photo=100,
        least=1500,
        most=2500,
        rank_many=32,
    ),
    "qwen": Preset(
        resolution=1024, resolutions=(768,), per_photo=100, least=1500, most=2500, warmup=0.05
    ),
}
# Of the standard's steps; half of them are where likeness begins to hold, and half as many again
# is where it stops to grow.
SHARES = {Quality.QUICK: 0.5, Quality.STANDARD: 1.0, Quality.THOROUGH: 1.5}
QUICK_RANK = 8
ROUND = 10  # steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What an operator's base model sets itself; None leaves the family's default. ``steps`` are
    the standard's.
    """

    resolution: int | None = None
    resolutions: tuple[int, ...] | None = None
    rank: int | None = None
    alpha: float | None = None
    targets: str | None = None
    learning_rate: float | None = None
    text_encoder_lr: float | None = None
    lr_schedule: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    gradient_accumulation: int | None = None
    gradient_checkpointing: bool | None = None
    optimizer: str | None = None
    prediction: str | None = None
    precision: str | None = None
    memory_check: bool | None = None
    compile: str | None = None
    min_snr_gamma: float | None = None
    noise_offset: float | None = None
    caption_dropout: float | None = None
    preservation: float | None = None
    hold_out: int | None = None
    early_stop: bool | None = None
    pick: str | None = None


SAME = tuple(
    name
    for name in Overrides.__dataclass_fields__
    if name not in ("resolution", "resolutions", "rank", "steps")
)


def resolution_of(family: str, overrides: Overrides) -> int:
    """The side in pixels of the square whose area no picture exceeds."""
    return overrides.resolution or PRESETS[family].resolution


def resolutions_of(family: str, overrides: Overrides) -> tuple[int, ...]:
    """The smaller ones in which pictures are trained, too; the family's, as far as they are."""
    if overrides.resolutions is not None:
        return overrides.resolutions
    most = resolution_of(family, overrides)
    return tuple(one for one in PRESETS[family].resolutions if one < most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why so many steps: ``photos`` of ``per_photo`` each, unless ``bound`` ("least", "most" or
    "fixed") says that another rule held.
    """

    photos: int
    per_photo: int
    steps: int
    bound: str = ""


def steps_for(
    family: str, photos: int, quality: Quality, overrides: Overrides = Overrides()
) -> Reason:
    share = SHARES[quality]
    if overrides.steps is not None:
        # An operator's own number is the standard's; short ones stay exact.
        steps = max(1, round(overrides.steps * share))
        return Reason(photos=photos, per_photo=0, steps=steps, bound="fixed")
    preset = PRESETS[family]
    least, most = (round(one * share / ROUND) * ROUND for one in (preset.least, preset.most))
    wanted = round(preset.per_photo * photos * share / ROUND) * ROUND
    steps = max(least, min(most, wanted))
    bound = "least" if wanted < least else "most" if wanted > most else ""
    per_photo = round(preset.per_photo * share)
    return Reason(photos=photos, per_photo=per_photo, steps=steps, bound=bound)


def params_for(
    base_model: str,
    family: str,
    words: tuple[str, str],
    photos: int,
    overrides: Overrides = Overrides(),
    quality: Quality = Quality.STANDARD,
) -> TrainParams:
    """The family's defaults for a set of ``photos``; ``words`` are trigger and class word."""
    if family not in PRESETS:
        raise ValueError(f"family {family!r} is not one of: {', '.join(PRESETS)}.")
    preset = PRESETS[family]
    rank = preset.rank_many if photos >= preset.many else preset.rank
    if quality is Quality.QUICK:
        rank = min(rank, QUICK_RANK)
    rank = overrides.rank or rank
    own = preset.alpha if overrides.rank is None else None
    params = TrainParams(
        trigger=words[0],
        class_word=words[1],
        base_model=base_model,
        family=family,
        resolution=resolution_of(family, overrides),
        resolutions=resolutions_of(family, overrides),
        rank=rank,
        alpha=min(own, float(rank)) if own else float(rank),
        learning_rate=preset.rate_few if photos < preset.few else preset.rate,
        lr_schedule=preset.schedule,
        warmup=preset.warmup,
        max_steps=steps_for(family, photos, quality, overrides).steps,
        min_snr_gamma=preset.min_snr_gamma,
    )
    own_values = {name: getattr(overrides, name) for name in SAME}
    return replace(params, **{k: value for k, value in own_values.items() if value is not None})


def prompts_for(params: TrainParams) -> tuple[Prompt, ...]:
    """Four samples: the subject alone, elsewhere and otherwise, and one without the trigger, which
    shows whether the base has stayed itself.
    """
    subject = f"{params.trigger} {params.class_word}"
    return (
        Prompt(text=f"{subject}", seed=1),
        Prompt(text=f"{subject} in the snow", seed=2),
        Prompt(text=f"{subject} at night, in the city", seed=3),
        Prompt(text=f"a {params.class_word}", seed=4),
    )
