"""Networks out of one ``.safetensors`` in the layout of the Stable Diffusion repositories, which
A1111 and ComfyUI load. Nothing is run and nothing is fetched: only the tensors of the network that
is asked for are read.

A folder beside the file, of the file's name without its ending and laid out as diffusers has it,
may say what the file does not: ``unet/config.json`` and its like, ``scheduler``, ``tokenizer``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import DDIMScheduler
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import CLIPTokenizer

from trainer.families.family import BaseError

Tensors = dict[str, Tensor]

CLIP = "openai/clip-vit-large-patch14"  # whose tokenizer all of them have
PAD = "!"  # what the second tokenizer fills up with
WORDS = 500  # of an error that names every tensor
VOCABULARY = "vocab.json"
# What every checkpoint of Stable Diffusion 1.x and XL was trained with, unless it says otherwise.
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
EDM = ("edm_mean", "edm_vpred.sigma_max")  # another noise schedule, which nothing here knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A network of a base model: ``kind`` is its class, ``folder`` where diffusers keeps it,
    ``prefix`` how its keys begin in one file. ``config`` is the real models' architecture;
    ``build`` makes the network from a config, ``convert`` its state from the file's tensors.
    """

    kind: Any
    folder: str
    prefix: str
    config: Mapping[str, Any]
    build: Callable[[dict[str, Any]], Any]
    convert: Callable[[Tensors, Any], Tensors]


def load(path: Path, piece: Piece, dtype: torch.dtype, device: torch.device | str = "cpu") -> Any:
    """The network with the file's weights, each of which goes straight to the device."""
    tensors = _tensors(path, piece, dtype, device)
    with init_empty_weights():
        network = piece.build(_config(path, piece))
    try:
        network.load_state_dict(piece.convert(tensors, network), assign=True)
    except (KeyError, RuntimeError) as error:
        raise BaseError(
            f"{path.name}: its {piece.folder} is not of the architecture that was expected: "
            f"{str(error)[:WORDS]}"
        ) from error
    return network.eval().to(device)


def scheduler(path: Path) -> Any:
    """The noise schedule. What the file says of itself counts more than the folder beside it."""
    folder = _beside(path) / "scheduler"
    config: dict[str, Any] = SCHEDULE
    if folder.is_dir():
        config = DDIMScheduler.load_config(folder, local_files_only=True)
    return DDIMScheduler.from_config({**config, **_marks(path)})


def tokenizer(path: Path, folder: str) -> Any:
    """From the folder beside the file, or the local cache of Hugging Face's hub."""
    beside = _beside(path)
    if (beside / folder).is_dir():
        return read_tokenizer(beside / folder)
    first = beside / "tokenizer"
    cached = try_to_load_from_cache(CLIP, VOCABULARY)
    if not first.is_dir() and not isinstance(cached, str):
        raise BaseError(
            f"{path.name} brings no tokenizer: put vocab.json, merges.txt and "
            f"tokenizer_config.json of {CLIP} into {first}, or all of it into the cache of "
            "Hugging Face's hub"
        )
    source = first if first.is_dir() else Path(str(cached)).parent
    return read_tokenizer(source, **({} if folder == first.name else {"pad_token": PAD}))


def read_tokenizer(folder: Path, **changes: str) -> Any:
    """Without its files the library makes an empty one, and says nothing."""
    if not any((folder / name).is_file() for name in (VOCABULARY, "tokenizer.json")):
        raise BaseError(f"{folder} has no {VOCABULARY}")
    arguments: dict[str, Any] = {"local_files_only": True, **changes}
    return CLIPTokenizer.from_pretrained(folder, **arguments)


def _beside(path: Path) -> Path:
    return path.with_suffix("")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, its header checked; the tensors stay where they are until one is asked for."""
    if path.suffix != ".safetensors":
        raise BaseError(f"{path.name}: only .safetensors is read; other formats can hold code")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise BaseError(f"{path.name} is no .safetensors, or not all of one: {error}") from error


def _tensors(path: Path, piece: Piece, dtype: torch.dtype, device: torch.device | str) -> Tensors:
    with _opened(path) as file:
        names = [name for name in file.keys() if name.startswith(piece.prefix)]  # noqa: SIM118
        if not names:
            raise BaseError(
                f"{path.name} holds no {piece.folder} (no {piece.prefix}…): "
                "it is of another family, or not whole"
            )
        return {name: file.get_tensor(name).to(device, dtype) for name in names}


def _config(path: Path, piece: Piece) -> dict[str, Any]:
    file = _beside(path) / piece.folder / "config.json"
    if not file.is_file():
        return dict(piece.config)
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return config


def _marks(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its schedule: by empty tensors that ComfyUI looks for, too, or in
    its metadata.
    """
    with _opened(path) as file:
        names, about = set(file.keys()), file.metadata() or {}
    if names.intersection(EDM):
        raise BaseError(f"{path.name} was trained with an EDM schedule, which is not supported")
    if "v_pred" in names:
        zero = {"rescale_betas_zero_snr": True} if "ztsnr" in names else {}
        return {"prediction_type": "v_prediction"} | zero
    if about.get("modelspec.prediction_type") in ("v", "v_prediction"):
        return {"prediction_type": "v_prediction"}
    return {}
