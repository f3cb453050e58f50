"""Our settings in sd-scripts' words, and a check of every option before a process is started. Pure.

``sd_scripts_options.json`` holds the names, kinds and choices of the options of its three training
scripts: "common" are all of ``train_network.py``, the others what a family's script has beside.
"ours" are those that the run itself has to set, or that would take its files elsewhere.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from trainer.base_files import is_code
from trainer.params import TrainParams
from trainer.run import Extra

SCRIPTS = {
    "sd15": "train_network.py",
    "sdxl": "sdxl_train_network.py",
    "flux": "flux_train_network.py",
}
MODULES = {"flux": "networks.lora_flux"}
OPTIMIZERS = {
    "adamw": ("AdamW", ""),
    "adamw8bit": ("AdamW8bit", ""),
    # The rate as it is given, not relative to the weights' size.
    "adafactor": ("Adafactor", "relative_step=False scale_parameter=False warmup_init=False"),
    "prodigy": ("Prodigy", "use_bias_correction=True safeguard_warmup=True"),
}
FLUX_FILES = ("clip_l", "t5xxl", "ae")  # beside the transformer, each in a file of its own
MOST_SEED = 2**32  # numpy's bound
MARK = "--"
KNOWN = ("sd_scripts_dir", "sd_scripts_python")

Options = dict[str, Extra]
Kind = str | list[str | int]


class OptionError(ValueError):
    """sd-scripts cannot do this; the message says what, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the options say beside ``params``. ``precision`` is fp32, bf16 or fp16;
    ``v_prediction`` what the base says of itself; a file and a state are kept each ``keep_every``
    steps, samples are drawn each ``sample_every`` (0: never). ``state`` is where an earlier start
    got to, after ``done`` steps.
    """

    base: Path
    folder: Path
    precision: str
    keep_every: int
    sample_every: int = 0
    v_prediction: bool = False
    tokenizers: Path | None = None
    state: Path | None = None
    done: int = 0

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset.toml"

    @property
    def prompts(self) -> Path:
        return self.folder / "prompts.json"

    @property
    def out(self) -> Path:
        return self.folder / "out"


NAME = "lora"  # of its files, until one of them is the output


def check(params: TrainParams, extra: Mapping[str, Extra], devices: int = 1) -> None:
    """Raises OptionError where sd-scripts cannot do what is asked, or an option is not one."""
    if params.family not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        raise OptionError(f"sd-scripts is used for {known}; {params.family} needs our own trainer.")
    _check_params(params)
    if params.family == "flux":
        _check_flux(params, extra)
    if devices > 1:
        raise OptionError("sd-scripts is used on one device; our own trainer uses several.")
    for name, value in extra.items():
        if name.startswith(MARK):
            _check_own(params.family, name.removeprefix(MARK), value)
        elif name not in KNOWN:
            raise OptionError(f"{name} is no setting of this trainer; options begin with --.")


def _check_params(params: TrainParams) -> None:
    for what, asked in (
        ("targets = attention", params.targets != "all"),
        ("hold_out", bool(params.hold_out)),
    ):
        if asked:
            raise OptionError(f"sd-scripts has no counterpart of {what}; leave it out.")


def _check_flux(params: TrainParams, extra: Mapping[str, Extra]) -> None:
    if missing := [name for name in FLUX_FILES if not extra.get(MARK + name)]:
        raise OptionError(f"FLUX.1 with sd-scripts needs the option {missing[0]}, a file's path.")
    for what in ("min_snr_gamma", "noise_offset"):
        if getattr(params, what):
            raise OptionError(f"{what} does nothing for FLUX.1; leave it at 0.")


def _check_own(family: str, name: str, value: Extra) -> None:
    if name in _table()["ours"]:
        raise OptionError(f"the option {name} is set by the run itself.")
    if isinstance(value, str) and any(is_code(one) for one in value.split()):
        raise OptionError(f"the option {name} names a file that can run code; take a .safetensors.")
    words(family, name, value)


def merged(params: TrainParams, plan: Plan, extra: Mapping[str, Extra]) -> Options:
    """All options of a run: ours, and over those the operator's; False leaves one out."""
    own = {name.removeprefix(MARK): value for name, value in extra.items() if MARK in name[:2]}
    return (
        _places(plan)
        | _learning(params)
        | _loading(params, plan)
        | _family(params, plan, own)
        | own
        | _resuming(params, plan)
    )


def _places(plan: Plan) -> Options:
    options: Options = {
        "console_log_simple": True,
        "pretrained_model_name_or_path": str(plan.base),
        "dataset_config": str(plan.dataset),
        "output_dir": str(plan.out),
        "output_name": NAME,
        "save_model_as": "safetensors",
        "save_precision": "fp16",
        "save_every_n_steps": plan.keep_every,
        "save_state": True,
        # Two of them: the last one may be half written when the machine goes down.
        "save_last_n_steps_state": plan.keep_every,
    }
    if plan.tokenizers is not None:
        options["tokenizer_cache_dir"] = str(plan.tokenizers)
    if plan.sample_every:
        options["sample_prompts"] = str(plan.prompts)
        options["sample_every_n_steps"] = plan.sample_every
    return options


def _learning(params: TrainParams) -> Options:
    kind, words_of_it = OPTIMIZERS[params.optimizer]
    warm = params.warmup > 0 and params.lr_schedule == "constant"
    options: Options = {
        "network_module": MODULES.get(params.family, "networks.lora"),
        "network_dim": params.rank,
        "network_alpha": params.alpha,
        "optimizer_type": kind,
        "optimizer_args": f"{words_of_it} weight_decay={params.weight_decay:g}".strip(),
        "learning_rate": params.learning_rate,
        "unet_lr": params.learning_rate,
        "lr_scheduler": "constant_with_warmup" if warm else params.lr_schedule,
        "max_train_steps": params.max_steps,
        "max_grad_norm": params.max_grad_norm,
        "gradient_accumulation_steps": params.gradient_accumulation,
        "gradient_checkpointing": params.gradient_checkpointing,
        "seed": params.seed % MOST_SEED,
    }
    if params.warmup:
        options["lr_warmup_steps"] = params.warmup
    if params.text_encoder_lr:
        options["text_encoder_lr"] = f"{params.text_encoder_lr:g}"
    else:
        options["network_train_unet_only"] = True
    if params.min_snr_gamma:
        options["min_snr_gamma"] = params.min_snr_gamma
    if params.noise_offset:
        options["noise_offset"] = params.noise_offset
    return options


def _loading(params: TrainParams, plan: Plan) -> Options:
    """Pictures are few: they are encoded once and stay in memory, which no process beside has to
    read for us.
    """
    return {
        "cache_latents": True,
        "vae_batch_size": 1,
        "max_data_loader_n_workers": 0,
        "sdpa": True,
        "mixed_precision": "no" if plan.precision == "fp32" else plan.precision,
        "v_parameterization": params.family != "flux" and plan.v_prediction,
    }


def _family(params: TrainParams, plan: Plan, own: Options) -> Options:
    options: Options = {}
    if own.get("xformers") or own.get("mem_eff_attn"):
        options["sdpa"] = False
    if params.family == "sd15":
        return options
    # What drops or trains captions needs the encoders at every step.
    options["cache_text_encoder_outputs"] = not (params.caption_dropout or params.text_encoder_lr)
    if params.family == "sdxl":
        # In half precision its VAE gives no numbers.
        options["no_half_vae"] = plan.precision != "fp32"
        return options
    return options | {
        "timestep_sampling": "shift",
        "discrete_flow_shift": 3.1582,
        "model_prediction_type": "raw",
        "guidance_scale": 1.0,
    }


def _resuming(params: TrainParams, plan: Plan) -> Options:
    """It counts batches that it skips as steps, so it is told a share of them; the step from which
    it goes on is then the true one. It often cannot read its random state, so the seed is another:
    the first steps' noise must not come again.
    """
    if plan.state is None:
        return {}
    return {
        "resume": str(plan.state),
        "skip_until_initial_step": True,
        "initial_step": plan.done // params.gradient_accumulation,
        "seed": (params.seed + plan.done) % MOST_SEED,
    }


def arguments(family: str, options: Mapping[str, Extra]) -> list[str]:
    """The command line's words, each option checked. Raises OptionError."""
    return [word for name, value in options.items() for word in words(family, name, value)]


def words(family: str, name: str, value: Extra) -> list[str]:
    """One option's words: none where it is switched off. Raises OptionError."""
    kind = kinds(family).get(name)
    if kind is None:
        raise OptionError(f"{SCRIPTS[family]} has no option --{name}.")
    option = MARK + name
    if value is False:
        return []
    if kind == "switch":
        if value is not True:
            raise OptionError(f"--{name} is on or off, not {value!r}.")
        return [option]
    if isinstance(kind, str) and kind.endswith("*"):
        many = shlex.split(str(value))
        for one in many:
            _check_kind(name, kind.removesuffix("*"), one)
        return [option, *many]
    if isinstance(kind, list):
        _check_choice(name, kind, value)
    else:
        _check_kind(name, kind, value)
    # In one word: a value may begin with a dash.
    return [f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"]


def _check_choice(name: str, choices: list[str | int], value: Extra) -> None:
    known = [str(one) for one in choices]
    if str(value) not in known:
        raise OptionError(f"--{name} {value!r} is not one of: {', '.join(known)}.")


def _check_kind(name: str, kind: str, value: Extra) -> None:
    wrong = OptionError(f"--{name} cannot be {value!r}: it is of the kind {kind}.")
    if isinstance(value, bool):
        raise wrong
    if kind == "str":
        return
    try:
        int(str(value)) if kind == "int" else float(value)
    except ValueError as error:
        raise wrong from error


def kinds(family: str) -> dict[str, Kind]:
    """The options of a family's script: "int", "float", "number", "str" or "switch", with a star
    for many, or the list of choices.
    """
    known: dict[str, dict[str, Kind]] = _table()
    return known["common"] | known.get(family, {})


@cache
def _table() -> dict[str, Any]:
    text = files("trainer.backends").joinpath("sd_scripts_options.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
