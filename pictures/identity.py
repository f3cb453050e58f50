"""Who is who in a set of photos: clusters, the person that the set is about, likeness to them.

Cosines are relative to the set: published face networks tell some peoples apart worse than others
(MR-ALL, model zoo of InsightFace), so the person who sends the photos always has the last word.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pictures.faces import Face
from pictures.limits import Limits

Cosines = NDArray[np.float32]
NOISE = -1
LEAST_CLUSTER = 2  # faces; one alone is no cluster
BEST = 2  # likenesses that are averaged: one good match may be chance


@dataclass(frozen=True, slots=True)
class Place:
    """A face: which photo, and which of its faces (0 is the largest)."""

    photo: int
    face: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """``likeness`` is the cosine to the subject by place; ``clusters`` numbers people from 0,
    NOISE where a face is alone; ``subject`` is the subject's places, empty if nobody prevails.
    """

    likeness: Mapping[Place, float]
    clusters: Mapping[Place, int]
    subject: frozenset[Place]

    @property
    def people(self) -> int:
        return len({number for number in self.clusters.values() if number != NOISE})


def recognise(
    photos: Sequence[Sequence[Face]], confirmed: Mapping[int, int], limits: Limits
) -> Who:
    """``confirmed`` are the photos, and the face in each, that the person vouched for."""
    places = [
        Place(photo, number)
        for photo, faces in enumerate(photos)
        for number, face in enumerate(faces)
        if face.embedding
    ]
    if not places:
        return Who(likeness={}, clusters={}, subject=frozenset())
    cosines = _cosines([photos[one.photo][one.face].embedding for one in places])
    labels = clusters(cosines, limits.same_person)
    vouched = [at for at, one in enumerate(places) if confirmed.get(one.photo) == one.face]
    references = _references(places, labels, vouched, cosines)
    likeness = {
        one: _likeness(cosines[at], places, references, one.photo)
        for at, one in enumerate(places)
        if references
    }
    return Who(
        likeness=likeness,
        clusters=dict(zip(places, labels, strict=True)),
        subject=frozenset(places[at] for at in references),
    )


def _cosines(embeddings: Sequence[bytes]) -> Cosines:
    rows = np.stack([np.frombuffer(one, np.float16).astype(np.float32) for one in embeddings])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    cosines: Cosines = np.clip(rows @ rows.T, -1.0, 1.0)
    return cosines


def clusters(cosines: Cosines, same: float, least: int = LEAST_CLUSTER) -> list[int]:
    """DBSCAN (Ester et al., KDD 1996) with the cosine as nearness: a label for each row.

    Thirty lines here spare the chat process a library of 130 MB; the tests hold it to that one.
    """
    near = [np.flatnonzero(row >= same).tolist() for row in cosines]
    labels = [NOISE] * len(near)
    number = 0
    for start, neighbours in enumerate(near):
        if labels[start] != NOISE or len(neighbours) < least:
            continue
        labels[start] = number
        waiting = list(neighbours)
        while waiting:
            at = waiting.pop()
            if labels[at] != NOISE:
                continue
            labels[at] = number
            if len(near[at]) >= least:
                waiting += near[at]
        number += 1
    return labels


def _references(
    places: Sequence[Place], labels: Sequence[int], vouched: Sequence[int], cosines: Cosines
) -> list[int]:
    """Rows of the subject: the cluster in most photos, or the one that the person vouched for."""
    photos_of = {
        number: {places[at].photo for at, label in enumerate(labels) if label == number}
        for number in set(labels) - {NOISE}
    }
    if vouched:
        votes = Counter(labels[at] for at in vouched if labels[at] != NOISE)
        best = votes.most_common(1)[0][0] if votes else None
    else:
        best = _prevailing(photos_of)
    members = [at for at, label in enumerate(labels) if label == best and best is not None]
    members = _one_a_photo(members, places, cosines)
    return sorted({*members, *vouched})


def _prevailing(photos_of: Mapping[int, set[int]]) -> int | None:
    """The cluster in most photos; nobody where two are in equally many."""
    ranked = sorted(photos_of, key=lambda number: -len(photos_of[number]))
    if not ranked:
        return None
    if len(ranked) > 1 and len(photos_of[ranked[0]]) == len(photos_of[ranked[1]]):
        return None
    return ranked[0]


def _one_a_photo(members: Sequence[int], places: Sequence[Place], cosines: Cosines) -> list[int]:
    """Nobody is twice in a photo: of two, the one that is liker to the rest."""
    best: dict[int, int] = {}
    total = {at: float(cosines[at, list(members)].sum()) for at in members}
    for at in members:
        photo = places[at].photo
        if photo not in best or total[at] > total[best[photo]]:
            best[photo] = at
    return list(best.values())


def _likeness(
    row: NDArray[np.float32], places: Sequence[Place], references: Sequence[int], photo: int
) -> float:
    """Mean of the best two cosines to the references in other photos: a bad reference must not
    vouch for itself.
    """
    others = [float(row[at]) for at in references if places[at].photo != photo]
    return float(np.mean(sorted(others)[-BEST:])) if others else 1.0
