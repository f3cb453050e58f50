"""The defaults of each base-model family, from the number of pictures. No torch here."""

from dataclasses import dataclass, replace

from trainer.params import TrainParams


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """Steps at batch 1: so many for each picture, within bounds."""

    per_photo: int
    least: int
    most: int

    def steps(self, photos: int) -> int:
        return max(self.least, min(self.most, self.per_photo * photos))


RESOLUTIONS = {"sd15": 512}
STEP_RULES = {"sd15": StepRule(per_photo=100, least=1000, most=2000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What an operator's base model sets itself; None leaves the family's default."""

    resolution: int | None = None
    rank: int | None = None
    learning_rate: float | None = None
    steps: int | None = None
    precision: str | None = None


def resolution_of(family: str, overrides: Overrides) -> int:
    """The side in pixels of the square whose area no picture exceeds."""
    return overrides.resolution or RESOLUTIONS[family]


def params_for(
    base_model: str,
    family: str,
    words: tuple[str, str],
    photos: int,
    overrides: Overrides = Overrides(),
) -> TrainParams:
    """The family's defaults for a set of ``photos``; ``words`` are trigger and class word."""
    if family not in STEP_RULES:
        raise ValueError(f"family {family!r} is not one of: {', '.join(STEP_RULES)}.")
    params = TrainParams(
        trigger=words[0],
        class_word=words[1],
        base_model=base_model,
        family=family,
        max_steps=STEP_RULES[family].steps(photos),
    )
    if overrides.rank is not None:
        params = replace(params, rank=overrides.rank, alpha=float(overrides.rank))
    return replace(
        params,
        resolution=resolution_of(family, overrides),
        learning_rate=overrides.learning_rate or params.learning_rate,
        max_steps=overrides.steps or params.max_steps,
        precision=overrides.precision or params.precision,
    )
