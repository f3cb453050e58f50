"""The adapter with the real sd-scripts: SD_SCRIPTS_DIR is a checkout, SD_SCRIPTS_PYTHON the Python
that has its libraries. Its U-Net's shape is written into it, so it is run by way of a program that
gives it a small one, and without torchvision gets what it needs of that.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import random_base
from bench.train_peers import LAUNCH, STUB
from pipeline import artifact
from tests.drawn import photo
from tests.jobs import PARAMS
from trainer.backends import sd_scripts
from trainer.backends import sd_scripts_options as options
from trainer.backends.sd_scripts_options import Plan
from trainer.run import (
    EXIT_RESUMABLE,
    Extra,
    Failed,
    Failure,
    Finished,
    Message,
    Progress,
    Prompt,
    RunSpec,
    Sampled,
)

torch = pytest.importorskip("torch")

CHECKOUT = os.environ.get("SD_SCRIPTS_DIR", "")
PYTHON = os.environ.get("SD_SCRIPTS_PYTHON", "")
ROOT = Path(__file__).parents[2]
WIDTHS = [32, 64, 96, 96]
PARSE = """
import importlib, json, os, sys
sys.path.insert(0, os.getcwd())
parser = importlib.import_module(sys.argv[1]).setup_parser()
known = {word: action for action in parser._actions for word in action.option_strings}
names = {word[2:]: action.choices and list(action.choices) for word, action in known.items()}
print(json.dumps([vars(parser.parse_args(sys.argv[2:])), names], default=str))
"""

pytestmark = [
    pytest.mark.skipif(not (CHECKOUT and PYTHON), reason="SD_SCRIPTS_DIR is not set"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its Python, with a small U-Net in sd-scripts' place."""
    home = tmp_path_factory.mktemp("python")
    probe = [PYTHON, "-c", "import importlib.util as u; print(u.find_spec('torchvision'))"]
    if subprocess.run(probe, capture_output=True, text=True, check=True).stdout.strip() == "None":
        (home / "stub" / "torchvision").mkdir(parents=True)
        (home / "stub" / "torchvision" / "__init__.py").touch()
        (home / "stub" / "torchvision" / "transforms.py").write_text(STUB)
    path = home / "python"
    path.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH='{home / 'stub'}:{CHECKOUT}' TINY_UNET='{WIDTHS}' OMP_NUM_THREADS=1\n"
        f"exec '{PYTHON}' '{LAUNCH}' '{home / 'record'}' \"$@\"\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import UNet2DConditionModel

    folder = tmp_path_factory.mktemp("bases") / "base"
    random_base.make(folder)
    torch.manual_seed(1)
    unet: Any = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=WIDTHS,
        cross_attention_dim=random_base.WIDTH,
        attention_head_dim=8,
    )
    unet.save_pretrained(folder / "unet")
    return folder


@pytest.fixture
def spec(tmp_path: Path, base: Path, python: Path) -> RunSpec:
    pictures = tmp_path / "photos"
    pictures.mkdir()
    for number in range(1, 5):
        size = (128, 128) if number % 2 else (128, 64)
        (pictures / f"{number:04}.png").write_bytes(photo(number, size))
        (pictures / f"{number:04}.txt").write_text("mochix person, annasecret")
    return RunSpec(
        params=replace(
            PARAMS, resolution=128, alpha=2.0, learning_rate=1e-3, max_steps=16, precision="fp32"
        ),
        base=base,
        dataset=pictures,
        output=tmp_path / "out" / "mochi.safetensors",
        work=tmp_path / "run",
        device="cpu",
        prompts=(Prompt(text="mochix person", seed=1),),
        sample_at=(0.5, 1.0),
        extra={"sd_scripts_dir": CHECKOUT, "sd_scripts_python": str(python)},
    )


def begin(spec: RunSpec, folder: Path) -> subprocess.Popen[str]:
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            sd_scripts.command(spec, folder),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )


def told(process: subprocess.Popen[str]) -> Iterator[Message]:
    assert process.stdout is not None
    for line in process.stdout:
        message = sd_scripts.parse(line)
        assert message is not None
        yield message


def finished(process: subprocess.Popen[str]) -> tuple[list[Message], int]:
    with process:
        return list(told(process)), process.wait()


def stopped(spec: RunSpec, folder: Path, step: int, number: signal.Signals) -> int:
    """The exit code of a run that gets a signal after a step; nothing of it is left."""
    with begin(spec, folder) as process:
        assert any(isinstance(one, Progress) and one.step >= step for one in told(process))
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        code = process.wait()
    assert len(below) >= 2
    assert not psutil.wait_procs(below, 10)[1]
    return code


def test_a_run_is_stopped_killed_and_goes_on(spec: RunSpec, tmp_path: Path) -> None:
    assert stopped(spec, tmp_path, 5, signal.SIGTERM) == EXIT_RESUMABLE
    assert stopped(spec, tmp_path, 9, signal.SIGKILL) == -signal.SIGKILL
    messages, code = finished(begin(spec, tmp_path))
    assert code == 0, (tmp_path / "log").read_text()[-2000:]
    assert isinstance(messages[-1], Finished)
    assert messages[-1].steps == 16
    steps = [one.step for one in messages if isinstance(one, Progress)]
    assert steps[1] >= 8
    assert steps == sorted(steps)
    assert 16 in [one.step for one in messages if isinstance(one, Sampled)]
    assert artifact.check(spec.output, "mochix").modules == 192
    assert b"annasecret" not in spec.output.read_bytes()
    assert "annasecret" not in (tmp_path / "log").read_text()


def test_its_file_changes_what_diffusers_draws(spec: RunSpec, base: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from safetensors.torch import load_file

    accumulated = replace(spec.params, gradient_accumulation=2, max_steps=6, seed=3)
    messages, code = finished(begin(replace(spec, params=accumulated, prompts=()), tmp_path))
    assert code == 0, (tmp_path / "log").read_text()[-2000:]
    assert isinstance(messages[-1], Finished)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    state, alphas = StableDiffusionPipeline.lora_state_dict(
        load_file(spec.output), unet_config=unet.config
    )
    words = torch.randn(1, 7, random_base.WIDTH)
    latents = torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        plain = unet(latents, 500, words).sample
        StableDiffusionPipeline.load_lora_into_unet(state, alphas, unet)
        assert not torch.equal(unet(latents, 500, words).sample, plain)


def test_a_base_that_cannot_be_read_is_said_so(spec: RunSpec, tmp_path: Path) -> None:
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"no model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer").symlink_to(spec.base / "tokenizer")
    messages, code = finished(begin(replace(spec, base=broken), tmp_path))
    assert code == 1
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is Failure.BASE


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_its_own_parser_takes_our_words(python: Path, tmp_path: Path, family: str) -> None:
    script = tmp_path / "parse.py"
    script.write_text(PARSE)
    given: dict[str, Extra] = {"--network_args": "conv_dim=4 conv_alpha=1", "--clip_skip": 2}
    if family == "flux":
        given |= {"--clip_l": "c", "--t5xxl": "t", "--ae": "a"}
    params = replace(
        PARAMS, family=family, min_snr_gamma=0.0 if family == "flux" else 5.0, warmup=0.1
    )
    state = tmp_path / "state"
    plan = Plan(base=tmp_path, folder=tmp_path, precision="bf16", keep_every=2, state=state, done=4)
    options.check(params, given)
    words = options.arguments(family, options.merged(params, plan, given))
    name = options.SCRIPTS[family].removesuffix(".py")
    said = subprocess.run(
        [python, script, name, *words], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr[-2000:]
    values, names = json.loads(said.stdout.splitlines()[-1])
    assert (values["network_alpha"], values["lr_warmup_steps"]) == (4.0, 0.1)
    assert (values["resume"], values["initial_step"]) == (str(state), 4)
    assert values["optimizer_args"] == ["weight_decay=0.01"]
    # What we know of its options is what it has.
    assert options.kinds(family).keys() <= names.keys()
    lists = {name: kind for name, kind in options.kinds(family).items() if isinstance(kind, list)}
    assert {name: [one for one in names[name] if one is not None] for name in lists} == lists
