"""What is said of each photo, and that the person's choice wins."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pictures.box import Box
from pictures.faces import Face, Faces
from pictures.frame import Shape
from pictures.limits import DEFAULT
from pictures.look import THUMB, Look
from pictures.variety import variety
from pictures.verdict import Choice, Level, Shot, Verdict, cut_of, judge

SHAPE = Shape(resolution=512)
PEOPLE = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 4)))[0].T


def look(seed: int = 0, **changes: Any) -> Look:
    dice = np.random.default_rng(seed)
    good = Look(
        width=1200,
        height=1600,
        animated=False,
        content=Box(0, 0, 1, 1),
        sharpness=25.0,
        mean=120.0,
        black=0.02,
        white=0.02,
        hashes=(int(dice.integers(2**63)), int(dice.integers(2**63))),
        thumb=dice.integers(0, 255, THUMB * THUMB, dtype=np.uint8).tobytes(),
        focus=(0.5, 0.4),
    )
    return replace(good, **changes)


def face(
    person: int, *, alike: float = 0.9, side: float = 0.3, left: float = 0.3, **changes: float
) -> Face:
    noise = np.random.default_rng(person * 100 + int(left * 100)).normal(size=512)
    noise -= PEOPLE.T @ (PEOPLE @ noise)
    vector = alike * PEOPLE[person] + np.sqrt(1 - alike**2) * noise / np.linalg.norm(noise)
    box = Box(left, 0.2, left + side, 0.2 + side)
    embedding = vector.astype(np.float16).tobytes()
    return Face(box=box, score=0.9, sharpness=changes.get("sharpness", 30.0), embedding=embedding)


def shot(number: int, *faces: Face, **changes: Any) -> Shot:
    whole = Shot(number=number, look=look(number), faces=Faces(pack="p", faces=faces))
    return replace(whole, **changes)


def portraits(count: int = 5) -> list[Shot]:
    return [shot(number, face(0, left=0.1 + number / 50)) for number in range(1, count + 1)]


def said(shots: list[Shot], kind: str = "person") -> list[list[str]]:
    return [[one.code for one in verdict.remarks] for verdict in judge(shots, kind, SHAPE)]


def last(one: Shot, kind: str = "person") -> Verdict:
    return judge([*portraits(), one], kind, SHAPE)[-1]


@pytest.mark.parametrize(
    ("changes", "code", "used"),
    [
        ({"sharpness": 1.0}, "photo.blurred", False),
        ({"sharpness": 4.0}, "photo.blurry", True),
        ({"mean": 12.0}, "photo.black", False),
        ({"mean": 26.0}, "photo.dark", True),
        ({"black": 0.7}, "photo.dark", True),
        ({"mean": 233.0}, "photo.bright", True),
        ({"mean": 245.0}, "photo.white", False),
        ({"white": 0.7}, "photo.bright", True),
        ({"animated": True}, "photo.animated", True),
        ({"width": 300, "height": 380}, "photo.soft", True),
        ({"width": 180, "height": 240}, "photo.small", False),
    ],
)
def test_each_fault_of_a_picture_is_named(
    changes: dict[str, Any], code: str, *, used: bool
) -> None:
    (verdict,) = judge([Shot(number=1, look=look(0, **changes))], "style", SHAPE)
    assert [one.code for one in verdict.remarks] == [code]
    assert verdict.used is used


def test_a_good_photo_has_no_remark() -> None:
    assert said(portraits()) == [[]] * 5


def test_what_nobody_has_looked_at_is_used() -> None:
    (verdict,) = judge([Shot(number=1, look=None)], "person", SHAPE)
    assert verdict.used
    assert verdict.remarks == ()


def test_somebody_else_is_left_out_and_asked_about() -> None:
    verdict = last(shot(9, face(1)))
    assert [one.code for one in verdict.remarks] == ["photo.other"]
    assert not verdict.used
    assert verdict.is_open


def test_between_the_two_it_is_asked_and_used() -> None:
    verdict = last(shot(9, face(0, alike=0.42)))
    assert [one.code for one in verdict.remarks] == ["photo.maybe"]
    assert verdict.used


def test_of_several_faces_the_subjects_is_picked() -> None:
    verdict = last(shot(9, face(1, left=0.05), face(0, left=0.6)))
    assert [one.code for one in verdict.remarks] == ["photo.picked"]
    assert verdict.face == 1
    assert verdict.used


def test_several_faces_of_which_none_is_known_are_asked_about() -> None:
    shots = [shot(number, face(0), face(1, left=0.65)) for number in (1, 2, 3)]
    assert said(shots) == [["photo.faces"]] * 3


def test_the_chosen_face_is_the_subject_and_a_reference() -> None:
    shots = [shot(number, face(0), face(1, left=0.65)) for number in (1, 2, 3)]
    shots[0] = replace(shots[0], face=2, choice=Choice.USE)
    verdicts = judge(shots, "person", SHAPE)
    assert [verdict.face for verdict in verdicts] == [1, 1, 1]
    assert all(verdict.used for verdict in verdicts)


def test_bystanders_do_not_count() -> None:
    assert last(shot(9, face(0), face(1, side=0.06, left=0.8))).remarks == ()


def test_no_face_is_asked_about_for_people_alone() -> None:
    assert [one.code for one in last(shot(9)).remarks] == ["photo.noface"]
    assert last(shot(9), "style").remarks == ()


def test_a_face_out_of_focus_is_left_out_though_the_wall_is_sharp() -> None:
    verdict = last(shot(9, face(0, sharpness=1.0)))
    assert [one.code for one in verdict.remarks] == ["photo.face_blurred"]


def test_of_the_same_shot_the_better_one_is_kept() -> None:
    one = look(1)
    small = replace(one, width=700, height=900)
    verdicts = judge([Shot(number=1, look=small), Shot(number=2, look=one)], "style", SHAPE)
    assert [verdict.used for verdict in verdicts] == [False, True]
    assert verdicts[0].remarks[0].args == {"other": 2}


def test_both_are_used_where_the_person_wants_both() -> None:
    one = look(1)
    shots = [Shot(number=number, look=one, choice=Choice.USE) for number in (1, 2)]
    assert [verdict.used for verdict in judge(shots, "style", SHAPE)] == [True, True]


def test_one_that_is_left_out_takes_no_others_place() -> None:
    one = look(1)
    shots = [Shot(number=1, look=one, choice=Choice.LEAVE), Shot(number=2, look=one)]
    assert [verdict.used for verdict in judge(shots, "style", SHAPE)] == [False, True]


@pytest.mark.parametrize("choice", [Choice.USE, Choice.LEAVE])
@pytest.mark.parametrize(
    "one",
    [
        shot(9),
        shot(9, face(1)),
        shot(9, face(0)),
        shot(9, face(0), look=look(9, sharpness=0.5)),
        shot(9, face(0), look=look(9, width=180, height=240)),
        shot(9, face(1), face(2, left=0.65)),
    ],
)
def test_the_persons_choice_wins(one: Shot, choice: Choice) -> None:
    assert last(replace(one, choice=choice)).used is (choice is Choice.USE)


def test_only_a_wanted_photo_is_enlarged() -> None:
    tiny = Shot(number=1, look=look(width=180, height=240))
    (verdict,) = judge([tiny], "style", SHAPE)
    assert cut_of(tiny, verdict, SHAPE) is None
    wanted = replace(tiny, choice=Choice.USE)
    cut = cut_of(wanted, judge([wanted], "style", SHAPE)[0], SHAPE)
    assert cut is not None
    assert min(cut.size) >= 256


def test_the_cut_holds_the_subjects_face() -> None:
    one = shot(9, face(1, left=0.02, side=0.25), face(0, left=0.7, side=0.25))
    cut = cut_of(one, last(one), SHAPE)
    assert cut is not None
    wanted = one.faces.faces[1].box.scaled(1200, 1600) if one.faces else Box(0, 0, 0, 0)
    assert wanted.within(cut.box) == wanted


def test_remarks_are_worst_first() -> None:
    verdict = last(shot(9, face(1), look=look(9, animated=True, mean=10.0)))
    assert verdict.worst is not None
    assert verdict.worst.level is Level.OUT


def test_thresholds_are_settings() -> None:
    strict = replace(DEFAULT, blurred=50.0)
    assert not judge([Shot(number=1, look=look())], "style", SHAPE, strict)[0].used


def test_a_set_of_close_ups_is_advised_to_go_back() -> None:
    shots = portraits(8)
    found = variety(shots, judge(shots, "person", SHAPE), "person", SHAPE)
    assert (found.close, found.full) == (8, 0)
    assert found.advice == "advice.full"


def test_more_and_more_different_photos_get_a_better_grade() -> None:
    few = [Shot(number=1, look=look(1, width=300, height=400))]
    many = [
        shot(number, face(0, side=side), look=look(number, mean=60.0 + 60 * (number % 3)))
        for number, side in enumerate([0.4, 0.3, 0.15, 0.12, 0.08, 0.07] * 2, start=1)
    ]
    grades = [
        variety(shots, judge(shots, "person", SHAPE), "person", SHAPE).grade
        for shots in (few, many)
    ]
    assert grades == ["D", "A"]


def test_an_empty_set_has_no_grade_to_lose() -> None:
    assert variety([], [], "person", SHAPE).points == 0
