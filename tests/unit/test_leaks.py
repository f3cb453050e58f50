"""The lint: who somebody is goes out of tags and sentences, what is done and worn stays."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictures.captions import SENTENCE, TAGS, Described, Plan, Wishes, compose, pruned
from pictures.phrases import without_leaks

BOORU = Plan("mochix", "woman", "person", TAGS)
STYLE = Plan("mochix", "style", "style", SENTENCE)
MUG = Plan("mochix", "mug", "thing", SENTENCE)
NONE = Wishes()


def tagged(*names: str) -> Described:
    return Described(tags=tuple((name, 0.9) for name in names))


def one(plan: Plan, described: Described) -> str:
    (text,) = compose(plan, NONE, (described,))
    return text


def linted(sentence: str, kind: str = "person", class_word: str = "woman") -> str:
    return without_leaks(sentence, kind, class_word)[0]


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "blue eyes",
            "long hair",
            "very long hair",
            "light brown hair",
            "blonde hair",
            "dark skin",
        ),
        *("dark-skinned female", "beard", "full beard", "freckles", "mole under eye", "bald male"),
        *("mature female", "old man", "teenage", "asian", "beautiful", "medium breasts", "bangs"),
        *("bob cut", "heterochromia", "facial hair", "muscular male", "streaked hair", "redhead"),
        *("scar on face", "wrinkles", "tall woman", "grey hair", "woman", "aged down"),
    ],
)
def test_what_a_person_looks_like_is_pruned(tag: str) -> None:
    assert one(BOORU, tagged(tag, "hat")) == "mochix, woman, hat"
    assert pruned(BOORU, NONE, (tagged(tag, "hat"),)) == (tag,)


@pytest.mark.parametrize(
    "tag",
    [
        *("glasses", "hair ribbon", "black hair ribbon", "hairclip", "closed eyes", "wet hair"),
        *("red dress", "long sleeves", "black jacket", "standing", "outdoors", "dark", "lipstick"),
        *("smile", "looking at viewer", "white background", "eyewear on head", "arms up", "makeup"),
        *("short shorts", "eye contact", "ear piercing", "backlighting", "brown coat", "skirt"),
    ],
)
def test_clothes_pose_light_and_expression_are_kept(tag: str) -> None:
    assert one(BOORU, tagged(tag)) == f"mochix, woman, {tag}"


def test_a_hairstyle_is_pruned_only_where_the_subject_always_has_it() -> None:
    often = [tagged("ponytail", "hat")] * 4 + [tagged("hat")]
    assert "ponytail" not in " ".join(compose(BOORU, NONE, often))
    seldom = [tagged("ponytail", "hat")] * 3 + [tagged("hat")] * 2
    assert "ponytail" in compose(BOORU, NONE, seldom)[0]


def test_of_few_pictures_nothing_is_common() -> None:
    assert "ponytail" in compose(BOORU, NONE, [tagged("ponytail")] * 3)[0]


def test_a_hat_on_every_picture_is_still_clothes() -> None:
    assert "hat" in compose(BOORU, NONE, [tagged("hat")] * 10)[0]


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "monochrome",
            "watercolor (medium)",
            "oil painting",
            "sketch",
            "anime style",
            "realistic",
        ),
        *("traditional media", "retro artstyle", "1980s (style)", "lineart", "digital art"),
    ],
)
def test_for_a_style_the_style_is_pruned_and_the_content_kept(tag: str) -> None:
    plan = replace(STYLE, style=TAGS)
    assert one(plan, tagged(tag, "long hair", "tree")) == "mochix, style, long hair, tree"


def test_a_thing_s_colour_is_pruned_with_its_noun() -> None:
    assert one(MUG, tagged("red mug", "small red mugs", "red table", "mug rack")) == (
        "mochix mug, red table, mug rack"
    )


def test_what_names_the_thing_on_all_pictures_is_part_of_it() -> None:
    seen = [tagged("mug with handle", "table")] * 5
    assert set(compose(MUG, NONE, seen)) == {"mochix mug, table"}


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("a woman with long brown hair wearing a red coat", "a woman wearing a red coat"),
        ("a man with a full beard and glasses, sitting", "a man with glasses, sitting"),
        ("a woman with glasses and long hair", "a woman with glasses"),
        ("a woman with freckles on her cheeks, blue eyes and a smile", "a woman with a smile"),
        ("a man has a short beard and wears a hat", "a man wears a hat"),
        ("a beautiful young Asian woman by an old house", "a woman by an old house"),
        ("an elderly man with wrinkles", "a man"),
        ("a tall, slim, dark-haired man", "a man"),
        ("a young smiling woman", "a smiling woman"),
        ("a 30-year-old man in his thirties, aged 31", "a man"),
        ("a blonde smiling in the sun", "a person smiling in the sun"),
        ("her long brown hair tied back", "her hair tied back"),
        ("a woman with dark hair down her back, on a beach", "a woman, on a beach"),
        ("brown hair, blue eyes, a woman smiling", "a woman smiling"),
        ("the woman is young and beautiful, standing", "the woman, standing"),
        ("a man with dark skin and a slim build, running", "a man, running"),
        ("a woman of Asian descent in a park", "a woman in a park"),
        ("a woman in a uniform with pale skin", "a woman in a uniform"),
        ("a lovely, sunlit garden", "a sunlit garden"),
    ],
)
def test_a_sentence_stays_one_without_who_it_is(sentence: str, left: str) -> None:
    assert linted(sentence) == left


@pytest.mark.parametrize(
    "sentence",
    [
        *("a woman with her eyes closed", "a woman with hair clips", "a man with face paint"),
        *("a woman with wet hair and closed eyes", "a man in a dark blue shirt by a white wall"),
        *("a woman wearing a white face mask", "a wide-eyed woman", "an old house in short grass"),
        *("a man eating Indian food", "a white cat on an orange sofa", "a woman in a uniform"),
        *("a person in a pale yellow dress", "the wall is white, the tree is tall"),
        *("a man with round glasses and a warm smile", "a woman with a blue hair ribbon"),
    ],
)
def test_what_is_worn_done_or_behind_stays_in_a_sentence(sentence: str) -> None:
    assert without_leaks(sentence, "person", "woman") == (sentence, ())


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("A watercolor painting of a cat, in pastel colors", "a cat"),
        ("a digital illustration, in the style of Monet, of a boat", "a boat"),
        ("a sketched house in a cartoon style", "a house"),
        ("a monochrome orchid in ink", "an orchid"),
        ("a cat next to a painting of a dog", "a cat next to a painting of a dog"),
        ("a woman with long hair in black and white clothes", None),
    ],
)
def test_a_style_s_sentence_keeps_its_content(sentence: str, left: str | None) -> None:
    assert linted(sentence, "style", "style") == (sentence if left is None else left)


def test_a_thing_s_sentence_loses_its_colour_and_gets_the_right_article() -> None:
    assert linted("an orange mug by a red wall", "thing", "mug") == "a mug by a red wall"
    assert linted("a small round egg", "thing", "egg") == "an egg"


@pytest.mark.parametrize(
    "words", ["dark ", "very dark ", "with long hair and ", "young ", "beautiful and ", "a dark-"]
)
@pytest.mark.parametrize("kind", ["person", "style", "thing"])
@pytest.mark.timeout(5)
def test_no_text_holds_the_lint_up(words: str, kind: str) -> None:
    text = f"a man {words * 60}x"
    plan = Plan("mochix", "man", kind, SENTENCE)
    assert compose(plan, NONE, (Described(((text, 0.5),), text),))[0].startswith("mochix man")


in_any_time = settings(deadline=None)  # a busy machine is no counterexample
TEXT = """
a an the woman man mug style with and of in wearing is has long brown hair blue eyes young old one
beautiful beard red hat garden painting watercolor portrait photo smiling tied her black white very
dark pale skin mochix asian blonde close-up 30-year-old aged 31
"""
VOCABULARY = re.findall(r"\S+", TEXT)
sentences = st.lists(st.sampled_from([*VOCABULARY, ",", ".", "hair,", "her,"]), max_size=40).map(
    " ".join
)


@in_any_time
@given(sentences | st.text(), st.sampled_from(("person", "style", "thing")))
def test_linted_twice_is_linted_once(sentence: str, kind: str) -> None:
    once, _ = without_leaks(sentence, kind, "mug")
    assert without_leaks(once, kind, "mug") == (once, ())
