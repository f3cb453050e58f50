"""A transformer out of one ``.safetensors`` that has it alone, or among others as ComfyUI saves
whole models.
"""

from collections.abc import Callable
from typing import Any

from safetensors import SafetensorError, safe_open

from trainer import single_file
from trainer.families.family import BaseError, Model
from trainer.single_file import Piece, Tensors

WHOLE = "model.diffusion_model."  # before every name where the file holds more than the transformer


def load(
    model: Model,
    kind: Any,
    config: dict[str, Any],
    convert: Callable[[Tensors], Tensors] = lambda tensors: tensors,
) -> Any:
    """Frozen, on the model's device. ``config`` is the real model's where it differs from what the
    class has itself; ``convert`` gives other programs' names those of diffusers.
    """

    def converted(tensors: Tensors, network: Any) -> Tensors:
        bare = {name.removeprefix(WHOLE): tensor for name, tensor in tensors.items()}
        # A file that diffusers wrote has its names already.
        return bare if bare.keys() <= network.state_dict().keys() else convert(bare)

    piece = Piece(
        kind=kind,
        folder="transformer",
        prefix=_prefix(model),
        config=config,
        build=kind.from_config,
        convert=converted,
    )
    found = single_file.load(model.path, piece, model.dtype)
    return found.requires_grad_(requires_grad=False).to(model.device)


def _prefix(model: Model) -> str:
    try:
        with safe_open(model.path, framework="pt") as file:
            return WHOLE if any(name.startswith(WHOLE) for name in file.keys()) else ""  # noqa: SIM118
    except SafetensorError as error:
        raise BaseError(
            f"{model.path.name} is no .safetensors, or not all of one: {error}"
        ) from error
