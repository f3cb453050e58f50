"""The drawn world's words as a CLIP tokenizer: byte-level BPE with just the merges that make each
word of the world one token. Any other word falls into pieces.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from bench.drawn.creatures import WORDS
from bench.random_base import MAX_TOKENS, byte_symbols

Merge = tuple[str, str]


def merges() -> list[Merge]:
    """Byte-pair encoding (arXiv:1508.07909) of the world's words, until each is whole."""
    words = [[*word[:-1], f"{word[-1]}</w>"] for word in WORDS]
    found: list[Merge] = []
    while pairs := Counter(pair for word in words for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        found.append(best)
        words = [_merged(word, best) for word in words]
    return found


def _merged(word: list[str], pair: Merge) -> list[str]:
    done: list[str] = []
    for symbol in word:
        if done and (done[-1], symbol) == pair:
            done[-1] += symbol
        else:
            done.append(symbol)
    return done


def write(folder: Path) -> int:
    """The tokenizer's files; the number of tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = byte_symbols()
    found = merges()
    tokens = [
        *symbols,
        *(f"{one}</w>" for one in symbols),
        *("".join(pair) for pair in found),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in found), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": MAX_TOKENS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return len(vocabulary)
