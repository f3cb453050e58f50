"""The dial between quick and thorough: what it sets, what it says, and where it is turned."""

from dataclasses import replace

import pytest

from bot import draft, screens
from bot.draft import Conversation, State
from bot.events import Choice
from bot.facts import Facts
from bot.screen import Screen
from bot.texts.catalog import Catalog
from storage.job import MIN_PHOTOS
from tests.unit.test_conversation import FACTS, REAL, WHOLE, play
from trainer.params import FAMILIES
from trainer.presets import PRESETS, Overrides, Quality, params_for, prompts_for, steps_for

ENGLISH = Catalog.load("en")
WORDS = ("mochix", "person")


def test_every_family_has_a_preset_that_passes_the_check() -> None:
    assert set(PRESETS) == set(FAMILIES)
    for family in FAMILIES:
        for photos in (8, 9, 10, 19, 20, 25):
            for quality in Quality:
                params = params_for("base", family, WORDS, photos, quality=quality)
                assert params.alpha <= params.rank
                assert params.max_steps == steps_for(family, photos, quality).steps


@pytest.mark.parametrize(
    ("family", "photos", "quality", "steps", "bound"),
    [
        ("sd15", 8, Quality.STANDARD, 1000, "least"),
        ("sd15", 13, Quality.STANDARD, 1300, ""),
        ("sd15", 25, Quality.STANDARD, 2000, "most"),
        ("sd15", 13, Quality.QUICK, 650, ""),
        ("sd15", 13, Quality.THOROUGH, 1950, ""),
        ("sdxl", 12, Quality.STANDARD, 1440, ""),
        ("flux", 8, Quality.STANDARD, 1500, "least"),
        ("flux2", 25, Quality.STANDARD, 1500, "most"),
    ],
)
def test_steps_follow_from_the_photos_within_bounds(
    family: str, photos: int, quality: Quality, steps: int, bound: str
) -> None:
    reason = steps_for(family, photos, quality)
    assert (reason.steps, reason.bound) == (steps, bound)


def test_a_better_quality_never_takes_fewer_steps_nor_a_lower_rank() -> None:
    for family in FAMILIES:
        for photos in range(8, 26):
            each = [params_for("b", family, WORDS, photos, quality=one) for one in Quality]
            assert [one.max_steps for one in each] == sorted(one.max_steps for one in each)
            assert [one.rank for one in each] == sorted(one.rank for one in each)


def test_some_families_learn_in_several_resolutions_up_to_the_operators() -> None:
    found = {name: params_for("b", name, WORDS, 12) for name in FAMILIES}
    assert {name: (*one.resolutions, one.resolution) for name, one in found.items()} == {
        "sd15": (512,),
        "sdxl": (1024,),
        "flux": (512, 768, 1024),
        "flux2": (768, 1024),
        "zimage": (768, 1024),
        "qwen": (768, 1024),
    }
    lower = params_for("b", "flux", WORDS, 12, Overrides(resolution=768))
    assert (lower.resolution, lower.resolutions) == (768, (512,))
    assert params_for("b", "flux", WORDS, 12, Overrides(resolutions=())).resolutions == ()


@pytest.mark.parametrize("wrong", [(100,), (1024,), (1280,), (24,)])
def test_another_resolution_is_smaller_and_in_whole_latents(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"resolution {wrong[0]} is"):
        params_for("b", "flux", WORDS, 12, Overrides(resolutions=wrong))


def test_what_the_operator_sets_stands() -> None:
    own = Overrides(steps=150, rank=4, optimizer="prodigy", learning_rate=1.0, hold_out=1)
    params = params_for("b", "sdxl", WORDS, 25, own)
    assert (params.max_steps, params.rank, params.alpha) == (150, 4, 4.0)
    assert (params.optimizer, params.learning_rate, params.hold_out) == ("prodigy", 1.0, 1)
    assert steps_for("sdxl", 25, Quality.QUICK, own).bound == "fixed"


def test_sdxl_learns_few_pictures_slower_and_many_at_a_higher_rank() -> None:
    few, some, many = (params_for("b", "sdxl", WORDS, photos) for photos in (9, 12, 20))
    assert (few.learning_rate, some.learning_rate) == (5e-5, 1e-4)
    assert [(one.rank, one.alpha) for one in (few, some, many)] == [(16, 16), (16, 16), (32, 16)]


def test_one_sample_shows_the_base_without_the_trigger() -> None:
    texts = [one.text for one in prompts_for(params_for("b", "sd15", WORDS, 12))]
    assert [text for text in texts if "mochix" not in text] == ["a person"]
    assert len({one.seed for one in prompts_for(params_for("b", "sd15", WORDS, 12))}) == 4


def test_the_dial_is_turned_in_the_summary_and_says_why() -> None:
    facts = replace(FACTS, bases=(REAL,))
    conversation, _ = play(*WHOLE, facts=facts)
    assert _marked(conversation, facts) == "● Standard · 15 min"
    conversation, actions = play(Choice("quality", "", "quick"), facts=facts, start=conversation)
    assert (conversation.quality, conversation.state, actions) == ("quick", State.SUMMARY, [])
    assert _marked(conversation, facts) == "● Quick · 6 min"
    lines = [line.key for line in _summary(conversation, facts).lines]
    assert "reason.least" in lines
    assert draft.from_json(draft.to_json(conversation)) == conversation


def test_a_quality_that_is_none_changes_nothing() -> None:
    conversation, _ = play(*WHOLE)
    after, _ = play(Choice("quality", "", "perfect"), start=conversation)
    assert after.quality == "standard"
    text = draft.to_json(conversation).replace('"standard"', '"perfect"')
    assert draft.from_json(text).quality == "standard"


def test_each_reason_has_its_sentence() -> None:
    catalog = ENGLISH
    args = {"photos": MIN_PHOTOS, "each": 100, "steps": 1000}
    for bound in ("photos", "least", "most", "fixed"):
        assert "1000 steps" in catalog.text(f"reason.{bound}", args)


def _summary(conversation: Conversation, facts: Facts) -> Screen:
    shown = screens.panel(conversation, facts)
    assert shown is not None
    return shown


def _marked(conversation: Conversation, facts: Facts) -> str:
    labels = [
        ENGLISH.text(button.label, button.args)
        for row in _summary(conversation, facts).buttons
        for button in row
        if button.verb == "quality"
    ]
    (marked,) = [label for label in labels if label.startswith("●")]
    return marked
