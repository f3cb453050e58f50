"""Stand-ins for what a training never needs: nothing of it is loaded, and all of it can be had."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import random_base
from tests import tiny_qwen, tiny_sdxl
from tests.families import dataset_of, spec_for

pytestmark = pytest.mark.timeout(180)
AFTERWARDS = """
import json, sys
from trainer import __main__ as front
code = front.main([sys.argv[1]])
start = front.quick_start
names = (*start.CROWDS, start.COMPILER, start.SHAPES)
heavy = ("torch._inductor", "torch.distributed.tensor", "peft", "scipy", "sympy", "torch._refs")
print(json.dumps({
    "code": code,
    "real": [name for name in names if not isinstance(sys.modules[name], start.StandIn)],
    "heavy": [name for name in heavy if sys.modules.get(name)],
    "all models": "_completed" in vars(sys.modules["transformers"]),
}), file=sys.stderr)
"""
COMPILED = """
import json, sys
from trainer import quick_start
quick_start.prepare()
import torch
from diffusers import UNet2DConditionModel
standing = sys.modules["torch._dynamo"]
before = type(standing).__name__
import torch._dynamo.config as config
import torch._dynamo
double = torch.compile(lambda x: x.shape[0] * x, backend="eager", dynamic=True)
crowd = sys.modules["diffusers.models.unets"]
from diffusers.models.unets import UNet1DModel
from transformers import CLIPTextModel
import transformers
listed = hasattr(transformers, "nothing_of_this_name")
from transformers import BertConfig
with torch.device("meta"):
    shape = torch.nn.functional.scaled_dot_product_attention(*[torch.empty(1, 2, 16, 8)] * 3).shape
import importlib.metadata
packages = importlib.metadata.packages_distributions()
print(json.dumps({
    "before": before,
    "one": torch._dynamo.config is config and standing.config is config,
    "counted": double(torch.ones(2)).tolist(),
    "crowd": type(crowd).__name__,
    "package": type(sys.modules["diffusers.models.unets"]).__name__,
    "same": UNet2DConditionModel is sys.modules["diffusers.models.unets"].UNet2DConditionModel,
    "text": CLIPTextModel.__name__,
    "model of ours": CLIPTextModel is transformers.CLIPTextModel,
    "model of others": BertConfig.__name__,
    "nothing": listed,
    "shape": list(shape),
    "drawn": torch.rand(1, generator=torch.Generator().manual_seed(1)).shape[0],
    "from": packages["torch"],
    "other": packages.get("no such module"),
}), file=sys.stderr)
"""


LOADED = """
import json, sys
from pathlib import Path
from trainer import quick_start
quick_start.prepare()
import torch
from trainer.families import family_of
from trainer.families.family import Model
found = {}
for name, path in zip(("sdxl", "qwen"), sys.argv[1:]):
    family = family_of(name)
    model = Model(path=Path(path), dtype=torch.float32, device=torch.device("cpu"))
    for load in (family.load_text, family.load_vae, family.load_denoiser):
        load(model)
    found[name] = (
        bool(family.encode_prompts(model, ["mochix person"])),
        isinstance(sys.modules[quick_start.SHAPES], quick_start.StandIn),
    )
print(json.dumps(found), file=sys.stderr)
"""


def told(script: str, *arguments: str) -> dict[str, Any]:
    """The last line of a process of its own; the stand-ins stay for as long as it lives."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 1e-2), ("prodigy", 1.0)])
def test_a_run_needs_none_of_it(tmp_path: Path, optimizer: str, rate: float) -> None:
    random_base.make(tmp_path / "base")
    spec = spec_for(
        "sd15",
        tmp_path / "base",
        dataset_of(tmp_path / "pictures"),
        tmp_path / "run",
        max_steps=4,
        learning_rate=rate,
        optimizer=optimizer,
    )
    (tmp_path / "run.json").write_text(spec.to_json())
    found = told(AFTERWARDS, str(tmp_path / "run.json"))
    assert found == {"code": 0, "real": [], "heavy": [], "all models": False}


def test_whatever_is_asked_for_is_the_real_one() -> None:
    assert told(COMPILED) == {
        "before": "StandIn",
        "one": True,
        "counted": [2.0, 2.0],
        "crowd": "StandIn",
        "package": "module",
        "same": True,
        "text": "CLIPTextModel",
        "model of ours": True,
        "model of others": "BertConfig",
        "nothing": False,
        "shape": [1, 2, 16, 8],
        "drawn": 1,
        "from": ["torch"],
        "other": None,
    }


def test_families_whose_networks_compute_while_they_are_built_get_the_shapes(
    tmp_path: Path,
) -> None:
    tiny_sdxl.make(tmp_path / "sdxl")
    tiny_qwen.make_qwen(tmp_path / "qwen")
    found = told(LOADED, str(tmp_path / "sdxl"), str(tmp_path / "qwen"))
    assert found == {"sdxl": [True, True], "qwen": [True, False]}
