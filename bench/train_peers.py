"""How each trainer is started on the same model and pictures, and what is read off its record."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trainer.params import TrainParams
from trainer.run import Ended, Message, RunSpec, from_line

LAUNCH = Path(__file__).with_name("train_launch.py")
ROOT = Path(__file__).parent.parent
STUB = '''"""As much of torchvision's transforms as the peers use, on Pillow and torch."""

import random
from enum import Enum

import numpy as np
import torch


class InterpolationMode(Enum):
    BILINEAR = "bilinear"
    LANCZOS = "lanczos"


class Compose:
    def __init__(self, steps): self.steps = steps

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Lambda:
    def __init__(self, step): self.step = step

    def __call__(self, x): return self.step(x)


class Resize:
    def __init__(self, size, interpolation=None): self.size = size

    def __call__(self, x):
        scale = self.size / min(x.size)
        return x.resize([round(side * scale) for side in x.size])


class CenterCrop:
    def __init__(self, size): self.size = size

    def __call__(self, x):
        left, top = (x.width - self.size) // 2, (x.height - self.size) // 2
        return x.crop((left, top, left + self.size, top + self.size))


RandomCrop = CenterCrop


class RandomHorizontalFlip:
    def __call__(self, x): return x


class ToTensor:
    def __call__(self, x): return torch.from_numpy(np.array(x)).permute(2, 0, 1).float() / 255


class Normalize:
    def __init__(self, mean, std): self.mean, self.std = mean[0], std[0]

    def __call__(self, x): return (x - self.mean) / self.std
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all of them are told."""

    folder: Path
    widths: tuple[int, ...]
    side: int
    steps: int
    threads: int
    rank: int = 8
    rate: float = 1e-4

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def pictures(self) -> Path:
        return self.folder / "sets" / "1_mochix"

    def environment(self, **more: str) -> dict[str, str]:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "DO_NOT_TRACK"), "1")
        caches = {"HF_HOME": str(self.folder / "hf")}
        return os.environ | threads | offline | caches | more


@dataclass(slots=True, kw_only=True)
class Record:
    """Times from the start of the process, or from the order to one that was running."""

    wall_s: float
    first_step_s: float
    vae_s: float
    step_s: list[float]
    rss_mb: float


def read(path: Path, began: float, ended: float, rss_kb: float = 0.0) -> Record:
    events = [line.split() for line in path.read_text().splitlines()]
    seen = [(what, float(value)) for what, value in events]
    steps = [value for what, value in seen if what == "step" and value > began]
    first = next(n for n, (what, value) in enumerate(seen) if what == "step" and value > began)
    earlier = [n for n, (what, _) in enumerate(seen[:first]) if what == "step"]
    encoded = sum(v for what, v in seen[max(earlier, default=0) : first] if what == "vae")
    peaks = [value for what, value in seen if what == "rss"]
    return Record(
        wall_s=ended - began,
        first_step_s=steps[0] - began - encoded,
        vae_s=encoded,
        step_s=[after - before for before, after in pairwise(steps)],
        rss_mb=(rss_kb or max(peaks)) / 1024,
    )


def timed(setting: Setting, command: list[str], cwd: Path, environment: dict[str, str]) -> Record:
    record = setting.folder / "record"
    record.unlink(missing_ok=True)
    with (setting.folder / "log").open("wb") as log:
        began = time.monotonic()
        subprocess.run(
            [command[0], str(LAUNCH), str(record), *command[1:]],
            cwd=cwd,
            env=environment,
            stdout=log,
            stderr=log,
            check=True,
        )
        ended = time.monotonic()
    return read(record, began, ended)


def run_file(setting: Setting, name: str) -> Path:
    """A run of ours that saves once, at its end, as the peers do."""
    params = TrainParams(
        trigger="mochix",
        class_word="person",
        base_model="bench",
        resolution=setting.side,
        rank=setting.rank,
        alpha=float(setting.rank),
        learning_rate=setting.rate,
        lr_schedule="constant",
        warmup=0.0,
        min_snr_gamma=0.0,
        caption_dropout=0.0,
        max_steps=setting.steps,
        precision="fp32",
        seed=1,
    )
    spec = RunSpec(
        params=params,
        base=setting.base,
        dataset=setting.pictures,
        output=setting.folder / f"{name}.safetensors",
        work=setting.folder / name,
        device="cpu",
        save_at=(),
    )
    path = setting.folder / f"{name}.json"
    path.write_text(spec.to_json())
    return path


def native(setting: Setting, turn: int) -> dict[str, Record]:
    path = run_file(setting, f"cold{turn}")
    command = [sys.executable, "-m", "trainer", str(path)]
    return {
        "native, cold": timed(setting, command, ROOT, setting.environment()),
        "native, warm": warm(setting, turn),
    }


def warm(setting: Setting, turn: int) -> Record:
    """The second run of a trainer that stays, from the line it gets."""
    record = setting.folder / "record"
    record.unlink(missing_ok=True)
    with (
        (setting.folder / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, str(LAUNCH), str(record), "-m", "trainer", "--serve", "60"],
            cwd=ROOT,
            env=setting.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        began = 0.0
        for name in (f"first{turn}", f"second{turn}"):
            path = run_file(setting, name)
            began = time.monotonic()
            print(path, file=process.stdin, flush=True)
            until_ended(process)
        ended = time.monotonic()
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peak = next(float(line.split()[1]) for line in status if line.startswith("VmHWM"))
        assert process.stdin is not None
        process.stdin.close()
    return read(record, began, ended, peak)


def until_ended(process: subprocess.Popen[str]) -> None:
    message: Message | None = None
    while not isinstance(message, Ended):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the trainer ended")
        message = from_line(line)
    if message.code:
        raise RuntimeError(f"the trainer failed: {message}")


def sd_scripts(setting: Setting, python: str, checkout: Path, pins: Path | None) -> Record:
    options = {
        "pretrained_model_name_or_path": setting.base,
        "tokenizer_cache_dir": setting.folder / "tokenizers",
        "train_data_dir": setting.pictures.parent,
        "output_dir": setting.folder / "sd-scripts",
        "output_name": "mochi",
        "resolution": setting.side,
        "network_module": "networks.lora",
        "network_dim": setting.rank,
        "network_alpha": setting.rank,
        "learning_rate": setting.rate,
        "optimizer_type": "AdamW",
        "lr_scheduler": "constant",
        "train_batch_size": 1,
        "max_train_steps": setting.steps,
        "mixed_precision": "no",
        "caption_extension": ".txt",
        "max_data_loader_n_workers": 0,
        "save_model_as": "safetensors",
        "seed": 1,
    }
    switches = ["--network_train_unet_only", "--cache_latents", "--sdpa"]
    command = [python, str(checkout / "train_network.py"), *listed(options), *switches]
    tiny = {"TINY_UNET": str(list(setting.widths))} if setting.widths[0] != 320 else {}
    paths = [setting.folder / "stub", checkout, *([pins] if pins else [])]
    joined = os.pathsep.join(str(one) for one in paths)
    return timed(setting, command, checkout, setting.environment(PYTHONPATH=joined, **tiny))


def diffusers(setting: Setting, python: str, checkout: Path, script: str) -> Record:
    options = {
        "pretrained_model_name_or_path": setting.base,
        "output_dir": setting.folder / script,
        "resolution": setting.side,
        "rank": setting.rank,
        "learning_rate": setting.rate,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "train_batch_size": 1,
        "max_train_steps": setting.steps,
        "mixed_precision": "no",
        "seed": 1,
    }
    if script == "dreambooth":
        options |= {"instance_data_dir": setting.folder / "plain"}
        options |= {"instance_prompt": "mochix person"}
        switches = ["--pre_compute_text_embeddings"]
    else:
        options |= {"train_data_dir": setting.folder / "captioned"}
        options |= {"cache_dir": setting.folder / "datasets"}
        switches = []
    path = checkout / "examples" / script / f"train_{script}_lora.py"
    command = [python, str(path), *listed(options), *switches]
    stub = setting.environment(PYTHONPATH=str(setting.folder / "stub"))
    return timed(setting, command, setting.folder, stub)


def listed(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
