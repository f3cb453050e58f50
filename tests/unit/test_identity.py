"""Who is who: groups of faces, the person that a set is about, and likeness to them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from pictures.box import Box
from pictures.faces import Face
from pictures.identity import NOISE, Place, clusters, recognise
from pictures.limits import DEFAULT


def directions(count: int, seed: int = 0) -> NDArray[np.float64]:
    """So many people, as unlike each other as can be."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(512, count)))[0].T


def face(person: NDArray[np.float64], alike: float, seed: int) -> Face:
    """A face whose cosine to the person is about ``alike``."""
    noise = np.random.default_rng(seed).normal(size=512)
    noise -= noise @ person * person
    vector = alike * person + np.sqrt(1 - alike**2) * noise / np.linalg.norm(noise)
    return Face(
        box=Box(0.3, 0.2, 0.6, 0.6),
        score=0.9,
        sharpness=30.0,
        embedding=vector.astype(np.float16).tobytes(),
    )


ADA, BOB, EVE = directions(3)


def photos(*people: NDArray[np.float64], alike: float = 0.85) -> list[tuple[Face, ...]]:
    return [(face(person, alike, seed),) for seed, person in enumerate(people)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("least", [2, 3])
def test_groups_are_those_of_dbscan(seed: int, least: int) -> None:
    dice = np.random.default_rng(seed)
    people = directions(4, seed)
    rows = np.stack(
        [people[dice.integers(4)] + dice.normal(0, 0.045, 512) for _ in range(30)]
    ).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.clip(rows @ rows.T, -1, 1)
    wanted = DBSCAN(eps=0.55, min_samples=least, metric="precomputed").fit_predict(1 - cosines)
    found = clusters(cosines, 0.45, least)
    assert [label == NOISE for label in found] == [label == NOISE for label in wanted]
    core = (cosines >= 0.45).sum(axis=1) >= least
    pairs = {(int(w), f) for w, f, c in zip(wanted, found, core, strict=True) if c}
    assert len(pairs) == len({w for w, _ in pairs}) == len({f for _, f in pairs})


def test_the_subject_is_who_is_on_most_photos() -> None:
    who = recognise(photos(ADA, BOB, ADA, ADA, EVE), {}, DEFAULT)
    assert who.subject == {Place(0, 0), Place(2, 0), Place(3, 0)}
    assert who.likeness[Place(0, 0)] > DEFAULT.same_person
    assert who.likeness[Place(1, 0)] < DEFAULT.other_person


def test_two_people_equally_often_are_nobody() -> None:
    who = recognise(photos(ADA, BOB, ADA, BOB), {}, DEFAULT)
    assert who.subject == frozenset()
    assert who.likeness == {}
    assert who.people == 2


def test_a_confirmed_photo_decides() -> None:
    who = recognise(photos(ADA, BOB, ADA, BOB), {1: 0}, DEFAULT)
    assert who.subject == {Place(1, 0), Place(3, 0)}
    assert who.likeness[Place(0, 0)] < DEFAULT.other_person


def test_a_bad_reference_does_not_vouch_for_itself() -> None:
    who = recognise(photos(ADA, ADA, ADA, EVE), {0: 0, 3: 0}, DEFAULT)
    assert Place(3, 0) in who.subject
    assert who.likeness[Place(3, 0)] < DEFAULT.other_person
    assert who.likeness[Place(1, 0)] > DEFAULT.same_person


def test_nobody_is_twice_on_a_photo() -> None:
    twin = (face(ADA, 0.9, 90), face(ADA, 0.75, 91))
    who = recognise([*photos(ADA, ADA, ADA), twin], {}, DEFAULT)
    assert sum(place.photo == 3 for place in who.subject) == 1
    assert Place(3, 0) in who.subject


def test_one_photo_alone_is_nobody_yet() -> None:
    assert recognise(photos(ADA), {}, DEFAULT).subject == frozenset()
    assert recognise([], {}, DEFAULT).people == 0
