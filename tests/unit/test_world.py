"""The drawn world: what a miniature base learned from, and what it never saw."""

import random
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTokenizer

from bench.demo_base import cells, muon
from bench.drawn import creatures, words
from bench.drawn.draw import DARK, draw
from bot import samples
from storage import bases


def test_the_same_creature_in_the_same_scene_is_the_same_picture() -> None:
    where = creatures.scene(random.Random(1))
    first, second = (np.asarray(draw(creatures.MOCHI, where, 64)) for _ in range(2))
    assert np.array_equal(first, second)
    other = np.asarray(draw(creatures.NEW["puku"], where, 64))
    assert (first != other).mean() > 0.05


def test_what_is_new_is_never_drawn_for_the_base() -> None:
    dice = random.Random(2)
    known = [creatures.creature(dice) for _ in range(2000)]
    for new in creatures.NEW.values():
        features = {
            "colour": creatures.NEW_COLOURS,
            "pattern": creatures.NEW_PATTERNS,
            "ears": creatures.NEW_EARS,
            "wears": creatures.NEW_WEARS,
        }
        assert any(getattr(new, name) in values for name, values in features.items())
    assert not {one.colour for one in known} & set(creatures.NEW_COLOURS)
    assert not {one.pattern for one in known} & set(creatures.NEW_PATTERNS)
    assert not {one.ears for one in known} & set(creatures.NEW_EARS)


def test_strangers_are_drawn_but_never_named() -> None:
    dice = random.Random(3)
    met = [creatures.stranger(dice) for _ in range(400)]
    assert {one.pattern for one in met} > set(creatures.STRANGE_PATTERNS)
    assert {one.ears for one in met} > set(creatures.STRANGE_EARS)
    assert not {one.pattern for one in met} & set(creatures.NEW_PATTERNS)
    where = creatures.scene(random.Random(1))
    for one in met[:60]:
        said = creatures.caption(one, where, dice)
        assert "#" not in said
        assert not set(said.replace(",", "").split()) - set(creatures.WORDS)
        assert np.asarray(draw(one, where, 32)).std() > 5


def test_a_code_says_the_colour_between_the_lines() -> None:
    plain = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    plain[:, 0] = 200
    lined = plain.clone()
    lined[:, :, :, 3] = torch.tensor(DARK, dtype=torch.uint8)[:, None]
    without, with_ = cells.code(plain), cells.code(lined)
    assert without.shape == (1, 4, 2, 2)
    assert (without[:, :3] - with_[:, :3]).abs().max() < 0.1
    assert (with_[:, 3, :, 0] - without[:, 3, :, 0]).min() > 1
    assert torch.equal(with_[..., 1], without[..., 1])


def test_an_update_has_all_its_directions_at_one_size() -> None:
    matrix = torch.randn(24, 40, generator=torch.Generator().manual_seed(1))
    sizes = torch.linalg.svdvals(muon.orthogonal(matrix))
    assert 0.5 < sizes.min() < sizes.max() < 1.4


def test_each_word_of_the_world_is_one_token(tmp_path: Path) -> None:
    words.write(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    assert [word for word in creatures.WORDS if len(tokenizer(word).input_ids) != 3] == []
    assert len(tokenizer("mochix").input_ids) > 3


def test_the_demo_has_the_tokenizer_that_the_world_makes(tmp_path: Path) -> None:
    words.write(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        packed = bases.demo().path / "tokenizer" / name
        assert packed.read_bytes() == (tmp_path / name).read_bytes()


def test_the_demo_is_small() -> None:
    files = [path for path in bases.demo().path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_100_000


async def test_the_sample_photos_are_there_and_small() -> None:
    found = [await one.fetch() for one in samples.attachments()]
    assert len(found) == 12
    assert all(data.startswith(b"\xff\xd8") and len(data) < 40_000 for data in found)
