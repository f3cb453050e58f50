"""A smaller twin does in diffusers what the file did that it was made from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from trainer import resize

WHERE = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2")
RANK, TRUE_RANK, ALPHA = 8, 4, 2.0

pytestmark = pytest.mark.timeout(180)


def network() -> Any:
    torch.manual_seed(0)
    unet: Any = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    return unet.eval()


def lora(unet: Any) -> dict[str, Tensor]:
    """Of true rank 4, stored at rank 8; matrices and 1x1 and 3x3 convolutions."""
    draw = torch.Generator().manual_seed(1)
    tensors = {}
    for path, module in unet.named_modules():
        if not path.endswith(WHERE):
            continue
        out, *inner = module.weight.shape
        mix = torch.randn((TRUE_RANK, RANK), generator=draw)
        up = torch.randn((out, TRUE_RANK), generator=draw) @ mix
        name = "lora_unet_" + path.replace(".", "_")
        down = torch.randn((RANK, *inner), generator=draw)
        tensors[f"{name}.lora_down.weight"] = 0.2 * down
        tensors[f"{name}.lora_up.weight"] = 0.1 * up.reshape(out, RANK, *(1 for _ in inner[1:]))
        tensors[f"{name}.alpha"] = torch.tensor(ALPHA)
    return tensors


@torch.no_grad()
def answer(path: Path | None) -> Tensor:
    """What the network says with the file in it, in float32."""
    unet = network()
    if path is not None:
        state, alphas = StableDiffusionPipeline.lora_state_dict(
            str(path.parent), weight_name=path.name, unet_config=unet.config
        )
        StableDiffusionPipeline.load_lora_into_unet(state, network_alphas=alphas, unet=unet)
        assert unet.peft_config["default_0"].r
    draw = torch.Generator().manual_seed(2)
    noisy = torch.randn((1, 4, 8, 8), generator=draw)
    condition = torch.randn((1, 5, 16), generator=draw)
    said: Tensor = unet(noisy, torch.tensor([500]), condition).sample
    return said


def test_a_twin_of_the_true_rank_answers_as_its_source(tmp_path: Path) -> None:
    source, target, less = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c"))
    save_file(lora(network()), source)
    made = resize.resize(source, target, TRUE_RANK)
    assert (made.rank, made.error < 1e-6) == (TRUE_RANK, True)
    assert resize.resize(source, less, 1).error > 0.1
    plain, whole = answer(None), answer(source)
    change = float((whole - plain).norm())
    assert change > 0.1 * float(plain.norm())
    assert float((answer(target) - whole).norm()) < 2e-3 * change
    assert float((answer(less) - whole).norm()) > 0.02 * change
