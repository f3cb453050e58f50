"""A part of a base model that is not whole is said to be so."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer, Qwen2Tokenizer, T5Tokenizer

from bench.random_base import write_tokenizer
from trainer import folder
from trainer.families.family import BaseError, Model


def model_in(path: Path) -> Model:
    return Model(path=path, dtype=torch.float32, device=torch.device("cpu"))


@pytest.mark.parametrize("kind", [CLIPTokenizer, T5Tokenizer, Qwen2Tokenizer])
def test_a_tokenizer_without_its_files_is_refused(tmp_path: Path, kind: type) -> None:
    """The library would make one that reads every caption as the same."""
    (tmp_path / "tokenizer").mkdir()
    with pytest.raises(BaseError, match=f"{tmp_path.name}: its tokenizer"):
        folder.tokenizer(model_in(tmp_path), "tokenizer", kind)


def test_a_whole_tokenizer_is_read(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    found = folder.tokenizer(model_in(tmp_path), "tokenizer", CLIPTokenizer)
    assert found("red").input_ids != found("blue").input_ids
