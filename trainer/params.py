"""What a training run is told: one frozen value, checked once, here and nowhere else."""

import math
import re
from dataclasses import dataclass

TRIGGER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,31}")
CLASS_WORD = re.compile(r"[A-Za-z][A-Za-z ]{0,31}")

FAMILIES = ("sd15", "sdxl", "flux", "flux2", "zimage", "qwen")
TEXT_TRAINED = ("sd15", "sdxl")  # whose text encoders can get pairs, too
SCHEDULES = ("constant", "cosine", "linear")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TARGETS = ("attention", "all")
OPTIMIZERS = ("adamw", "adamw8bit", "adafactor", "prodigy")
PREDICTIONS = ("auto", "epsilon", "v_prediction")
COMPILES = ("auto", "never", "always")
PICKS = ("auto", "last", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainParams:
    """One training run's settings.

    ``resolution`` is the side in pixels of the square whose area a picture has at most,
    ``resolutions`` are smaller ones in which each picture is trained, too,
    ``learning_rate`` the U-Net's peak,
    ``text_encoder_lr`` the text encoder's (0 leaves it alone), ``warmup`` and
    ``caption_dropout`` shares of 1, ``preservation`` that of the batches which teach the model to
    stay what it was where the trigger is missing. The update's scale is ``alpha / rank`` (LoRA,
    arXiv:2106.09685, section 4.1). ``min_snr_gamma`` 0 turns the weighting off
    (arXiv:2303.09556, equation 7). A step's gradient is the mean over ``gradient_accumulation``
    batches, its norm at most ``max_grad_norm`` (0: any). "auto" is for ``prediction`` what the base
    model says of itself, for ``precision`` what the device is best at. ``masked``: pictures with a
    ``.mask.png`` are learned where it is bright. ``hold_out`` pictures are kept apart to measure
    the loss on. ``pick``: the last checkpoint becomes the file, or the best; "auto" is the best
    where faces were recognised, because only they tell one person from another. With ``early_stop``
    a run ends when no score rises any more. ``memory_check``: what does not fit into the GPU is
    foreseen before it is loaded. ``compile``: whether the denoiser's repeated blocks are compiled;
    "auto" where a GPU has so many steps before it that they pay for it.
    """

    trigger: str
    class_word: str
    base_model: str
    family: str = "sd15"
    resolution: int = 512
    resolutions: tuple[int, ...] = ()
    rank: int = 16
    alpha: float = 16.0
    targets: str = "all"
    learning_rate: float = 1e-4
    text_encoder_lr: float = 0.0
    lr_schedule: str = "cosine"
    warmup: float = 0.05
    max_steps: int = 1500
    batch_size: int = 1
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    prediction: str = "auto"
    masked: bool = True
    hold_out: int = 0
    early_stop: bool = False
    pick: str = "auto"
    min_snr_gamma: float = 5.0
    noise_offset: float = 0.0
    caption_dropout: float = 0.05
    preservation: float = 0.0
    precision: str = "auto"
    memory_check: bool = True
    compile: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        # JSON has no tuples.
        object.__setattr__(self, "resolutions", tuple(self.resolutions))
        self._check_words()
        self._check_ranges()

    def _check_words(self) -> None:
        if not TRIGGER.fullmatch(self.trigger):
            raise ValueError("The trigger word needs 2-32 letters, digits, - or _, no spaces.")
        if not CLASS_WORD.fullmatch(self.class_word):
            raise ValueError("The class word needs 1-32 letters, for example: woman.")
        for what, value, known in (
            ("family", self.family, FAMILIES),
            ("schedule", self.lr_schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
            ("targets", self.targets, TARGETS),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("prediction", self.prediction, PREDICTIONS),
            ("pick", self.pick, PICKS),
            ("compile", self.compile, COMPILES),
        ):
            if value not in known:
                raise ValueError(f"{what} {value!r} is not one of: {', '.join(known)}.")

    def _check_ranges(self) -> None:
        for what, value, low, high in (
            ("resolution", self.resolution, 32, 2048),
            ("rank", self.rank, 1, 256),
            ("alpha", self.alpha, 1e-3, 1024),
            ("learning rate", self.learning_rate, 1e-8, 1.0),
            ("text encoder learning rate", self.text_encoder_lr, 0.0, 1.0),
            ("warm-up", self.warmup, 0.0, 0.9),
            ("steps", self.max_steps, 1, 100_000),
            ("batch size", self.batch_size, 1, 64),
            ("gradient accumulation", self.gradient_accumulation, 1, 256),
            ("weight decay", self.weight_decay, 0.0, 1.0),
            ("gradient norm", self.max_grad_norm, 0.0, 1000.0),
            ("held-out pictures", self.hold_out, 0, 8),
            ("min-SNR gamma", self.min_snr_gamma, 0.0, 100.0),
            ("noise offset", self.noise_offset, 0.0, 1.0),
            ("caption dropout", self.caption_dropout, 0.0, 1.0),
            ("preservation", self.preservation, 0.0, 0.9),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{what} {value:g} is outside {low:g}..{high:g}.")
        if self.text_encoder_lr and self.family not in TEXT_TRAINED:
            raise ValueError(f"the text encoder of {self.family} is not trained: its rate is 0.")
        for one in (self.resolution, *self.resolutions):
            if one % 8:
                raise ValueError(f"resolution {one} is not a multiple of 8.")
        for one in self.resolutions:
            if not 32 <= one < self.resolution:
                raise ValueError(f"resolution {one} is outside 32..{self.resolution - 1}.")
