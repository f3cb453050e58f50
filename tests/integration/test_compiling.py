"""Compiled blocks in a real run on a tiny base: when, and that they train the same."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from safetensors.torch import load_file

from tests.families import dataset_of, loaded, same_tensors, spec_for, train_here
from tests.jobs import PARAMS
from trainer import compiling, loop
from trainer.families.family import Model
from trainer.run import Prompt, RunSpec

pytestmark = [
    pytest.mark.timeout(300),
    # The tracer asks every tensor for it.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    # The real compiler's own imports.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]
GPU = torch.device("cuda")
KINDS = (
    UNet2DConditionModel,
    FluxTransformer2DModel,
    Flux2Transformer2DModel,
    ZImageTransformer2DModel,
    QwenImageTransformer2DModel,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("pictures"), ((64, 64), (96, 64)))


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch._dynamo.reset()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A compiler that runs what it gets as it is; how many operations each piece had."""
    seen: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        seen.append(len(graph.graph.nodes))
        return graph.forward

    monkeypatch.setattr(compiling, "BACKEND", backend)
    return seen


def spec_of(base: Path, pictures: Path, folder: Path, **changes: Any) -> RunSpec:
    wanted: dict[str, Any] = {"max_steps": 4, "learning_rate": 1e-3, "compile": "always"}
    return spec_for("sd15", base, pictures, folder, **(wanted | changes))


def test_compiled_blocks_learn_what_the_others_do(
    base: Path, pictures: Path, tmp_path: Path, traced: list[int]
) -> None:
    compiled = spec_of(base, pictures, tmp_path / "compiled")
    plain = spec_of(base, pictures, tmp_path / "plain", compile="never")
    train_here(compiled)
    count = len(traced)
    assert count >= 2  # for each size of pictures
    train_here(plain)
    assert len(traced) == count
    one, other = load_file(compiled.output), load_file(plain.output)
    assert all(torch.allclose(one[name], other[name], atol=2e-3) for name in one)


@pytest.mark.long
def test_what_stays_loaded_keeps_its_compiled_code_and_samples_need_none(
    base: Path, pictures: Path, tmp_path: Path, traced: list[int]
) -> None:
    first = spec_of(base, pictures, tmp_path / "first")
    first = replace(first, prompts=(Prompt(text="mochix person"),))
    model = loop.new_model(loop.settled(first))
    counts = []
    for name in ("first", "second"):
        spec = replace(first, work=tmp_path / name, output=tmp_path / f"{name}.safetensors")
        spec.work.mkdir(exist_ok=True)
        loop.train(spec, lambda _: None, lambda: False, model)
        counts.append(len(traced))
        assert not compiling.is_on(model)
    assert counts[0] == counts[1]
    assert same_tensors(tmp_path / "first.safetensors", tmp_path / "second.safetensors")


def test_a_run_with_compiled_blocks_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path, traced: list[int]
) -> None:
    whole, parted = (spec_of(base, pictures, tmp_path / name) for name in ("whole", "parted"))
    train_here(whole)
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=2)
    train_here(parted)
    assert traced
    assert same_tensors(whole.output, parted.output)


def test_a_compiler_that_fails_costs_a_line_in_the_log_and_nothing_else(
    base: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def backend(*_: Any) -> Any:
        raise OSError("no compiler here")

    monkeypatch.setattr(compiling, "BACKEND", backend)
    failing = spec_of(base, pictures, tmp_path / "failing")
    plain = spec_of(base, pictures, tmp_path / "plain", compile="never")
    with caplog.at_level(logging.WARNING, logger="trainer"):
        train_here(failing)
    train_here(plain)
    assert [line.name for line in caplog.records if line.name.startswith("trainer")] == [
        "trainer.compiling"
    ]
    assert same_tensors(failing.output, plain.output)


def test_compiling_has_to_be_paid_back() -> None:
    params = replace(PARAMS, max_steps=2000)
    gpu, cpu = (
        Model(path=Path("base"), dtype=torch.float32, device=device)
        for device in (GPU, torch.device("cpu"))
    )
    assert compiling.pays(params, gpu, 1, 2000, 4.0)
    for what, model, sizes, left, speed in (
        (params, cpu, 1, 2000, 4.0),
        (params, gpu, 1, 2000, None),
        (params, gpu, 1, 1000, 4.0),
        (params, gpu, 3, 2000, 4.0),
        (replace(params, gradient_checkpointing=True), gpu, 1, 2000, 4.0),
        (replace(params, compile="never"), gpu, 1, 2000, 4.0),
    ):
        assert not compiling.pays(what, model, sizes, left, speed)
    assert compiling.pays(replace(params, compile="always"), cpu, 9, 1, None)
    gpu.compiled = compiling.shapes(params)
    assert compiling.pays(params, gpu, 1, 10, None)
    assert not compiling.pays(replace(params, rank=8), gpu, 1, 10, None)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="the CPU's code is compiled by g++")
def test_code_for_the_cpu_is_compiled_and_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole, parted, plain = (
        spec_of(base, pictures, tmp_path / name, compile=how)
        for name, how in (("whole", "always"), ("parted", "always"), ("plain", "never"))
    )
    train_here(whole)
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=2)
    train_here(parted)
    train_here(plain)
    assert same_tensors(whole.output, parted.output)
    one, other = load_file(whole.output), load_file(plain.output)
    assert all(torch.allclose(one[name], other[name], atol=2e-3) for name in one)


@pytest.mark.usefixtures("traced")
def test_blocks_can_rest_for_a_while(base: Path, tmp_path: Path) -> None:
    spec = spec_of(base, tmp_path, tmp_path / "run")
    model = loaded(spec)
    compiling.put_on(model, spec.params)
    assert compiling.is_on(model)
    with compiling.resting(model):
        assert not compiling.is_on(model)
    assert compiling.is_on(model)
    compiling.take_off(model)
    assert not compiling.is_on(model)


@pytest.mark.parametrize("kind", KINDS)
def test_every_familys_denoiser_says_which_of_its_blocks_repeat(kind: Any) -> None:
    assert kind._repeated_blocks
