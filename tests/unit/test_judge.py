"""What is said of samples without a network, held to the drawn world, where truth is known."""

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bench.drawn.creatures import NEW, Creature, creature, scene
from bench.drawn.draw import draw
from trainer import judge


def drawings(one: Creature, count: int, seed: int) -> list[Image.Image]:
    dice = random.Random(seed)
    return [draw(one, scene(dice), 96) for _ in range(count)]


def test_other_pictures_of_the_same_creature_are_nearer_than_of_others() -> None:
    """Ten creatures, each against nine others, in scenes that were not among the references."""
    dice = random.Random(5)
    known = [*NEW.values(), *(creature(dice) for _ in range(7))]
    embedded = [[judge.embed(p) for p in drawings(one, 12, seed)] for seed, one in enumerate(known)]
    samples = [[judge.embed(p) for p in drawings(one, 4, 99 + n)] for n, one in enumerate(known)]
    right = sum(
        judge.likeness(samples[own], embedded[own]) > judge.likeness(samples[own], embedded[other])
        for own in range(len(known))
        for other in range(len(known))
        if other != own
    )
    assert right / (len(known) * (len(known) - 1)) > 0.9


def test_likeness_is_one_for_the_same_picture_and_less_for_noise() -> None:
    picture = drawings(NEW["mochi"], 1, 1)[0]
    own = judge.embed(picture)
    assert judge.likeness([own], [own]) == pytest.approx(1.0)
    assert judge.likeness([judge.embed(_noise())], [own]) < 0.9


def _noise() -> Image.Image:
    dice = np.random.default_rng(1)
    return Image.fromarray(dice.integers(0, 256, (128, 128, 3), dtype=np.uint8))


def test_drawings_are_pictures_and_noise_and_emptiness_are_not() -> None:
    dice = random.Random(3)
    for _ in range(40):
        assert not judge.is_spoilt(draw(creature(dice), scene(dice), 96))
    assert judge.is_spoilt(Image.new("RGB", (64, 64)))
    assert judge.is_spoilt(Image.new("RGB", (64, 64), (120, 130, 140)))
    small = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert judge.is_spoilt(Image.fromarray(small))


def test_a_blurred_drawing_is_still_a_picture() -> None:
    picture = drawings(NEW["puku"], 1, 4)[0]
    assert not judge.is_spoilt(picture.filter(ImageFilter.GaussianBlur(3)))


def test_burnt_colours_are_told_from_bright_ones() -> None:
    loud = Image.new("RGB", (64, 64), (255, 0, 4))
    assert judge.burnt(loud) == 1.0
    for calm in ((255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 120, 90), (240, 90, 70)):
        assert judge.burnt(Image.new("RGB", (64, 64), calm)) == 0.0
