"""Captions: the trigger first, what it is to carry left out, and what the person wants kept."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictures.captions import (
    CAPTION_CHARS,
    MOST_WORDS,
    SENTENCE,
    TAGS,
    WORD_CHARS,
    Described,
    Plan,
    Wishes,
    clean_word,
    compose,
    pruned,
)

BOORU = Plan("mochix", "woman", "person", TAGS)
PLAIN = replace(BOORU, style=SENTENCE)
STYLE = Plan("mochix", "style", "style", SENTENCE)
MUG = Plan("mochix", "mug", "thing", SENTENCE)
NONE = Wishes()


def tagged(*names: str) -> Described:
    return Described(tags=tuple((name, 0.9) for name in names))


def said(sentence: str) -> Described:
    return Described(sentence=sentence)


def one(plan: Plan, described: Described, wishes: Wishes = NONE, own: str = "") -> str:
    (text,) = compose(plan, wishes, (described,), (own,))
    return text


# --- tags ----------------------------------------------------------------------------------------


def test_a_booru_base_gets_tags_after_trigger_and_class_word() -> None:
    assert one(BOORU, tagged("1girl", "smile", "outdoors")) == (
        "mochix, woman, 1girl, smile, outdoors"
    )


def test_other_bases_get_a_phrase_without_booru_s_own_words() -> None:
    seen = tagged("1girl", "solo", "looking at viewer", "red shirt", "cowboy shot", "no humans")
    assert one(PLAIN, seen) == ("mochix woman, looking at the camera, red shirt, from the knees up")


def test_the_most_probable_tags_come_first() -> None:
    seen = Described(tags=(("tree", 0.4), ("smile", 0.9), ("hat", 0.6)))
    assert one(BOORU, seen) == "mochix, woman, smile, hat, tree"


def test_nothing_known_is_trigger_and_class_word() -> None:
    assert one(BOORU, Described()) == "mochix, woman"
    assert one(PLAIN, Described()) == "mochix woman"


def test_a_tag_that_is_the_class_word_or_the_trigger_is_not_said_twice() -> None:
    assert one(STYLE, tagged("style", "mochix", "Tree", "tree")) == "mochix style, Tree"


def test_the_lint_can_be_switched_off() -> None:
    wishes = Wishes(keep_identity=True)
    assert one(BOORU, tagged("blue eyes"), wishes) == "mochix, woman, blue eyes"
    assert "long brown hair" in one(PLAIN, said("A woman with long brown hair"), wishes)
    both = (tagged("blue eyes"), said("A woman with a beard"))
    assert pruned(PLAIN, wishes, both) == ()


def test_what_was_pruned_can_be_told() -> None:
    seen = (tagged("blue eyes", "hat"), tagged("blue eyes"), said("A young woman in a hat"))
    assert pruned(PLAIN, NONE, seen) == ("blue eyes", "young")
    assert pruned(BOORU, NONE, seen) == ("blue eyes",)


# --- sentences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "caption"),
    [
        ("A woman smiling in a garden.", "mochix woman, smiling in a garden"),
        ("A smiling woman in a garden", "mochix woman, smiling, in a garden"),
        ("The man is sitting at a desk", "mochix woman, sitting at a desk"),
        ("A close-up portrait of a woman laughing", "mochix woman, laughing, close-up portrait"),
        ("A photo of a woman in a suit", "mochix woman, in a suit"),
        ("In a park, the woman's hands up", "mochix woman, in a park, their hands up"),
        ("On a road, the woman runs", "mochix woman, on a road, the subject runs"),
        ("A woman and a man dance", "mochix woman, a woman and a man dance"),
        ("mochix, a woman in a coat", "mochix woman, in a coat"),
        ("USB cables on a desk", "mochix woman, USB cables on a desk"),
        ("A young woman", "mochix woman"),
    ],
)
def test_a_sentence_goes_on_after_the_class_word(sentence: str, caption: str) -> None:
    assert one(PLAIN, said(sentence)) == caption


def test_a_thing_is_named_once() -> None:
    assert one(MUG, said("A close-up of a red mug on a table; the mug is full")) == (
        "mochix mug, on a table; it is full, close-up"
    )


def test_a_booru_base_gets_tags_even_where_there_is_a_sentence() -> None:
    seen = Described(tags=(("hat", 0.9),), sentence="A woman in a hat")
    assert one(BOORU, seen) == "mochix, woman, hat"
    assert one(PLAIN, seen) == "mochix woman, in a hat"


# --- wishes --------------------------------------------------------------------------------------


def test_an_added_word_is_in_every_caption_that_is_not_the_person_s_own() -> None:
    wishes = Wishes(added=("studio",))
    own = ("", "by the sea")
    assert compose(PLAIN, wishes, (tagged("hat"), tagged("hat")), own) == (
        "mochix woman, hat, studio",
        "mochix by the sea",
    )


def test_an_added_word_survives_the_longest_caption_and_the_lint() -> None:
    long = tagged(*(f"a tag of some six words {number}" for number in range(20)), "blue eyes")
    assert one(BOORU, long, Wishes(added=("blue eyes",))).endswith(", blue eyes")


def test_a_removed_word_takes_its_tag_along() -> None:
    seen = tagged("red hat", "hatch", "Hat", "tree")
    assert one(BOORU, seen, Wishes(removed=("hat",))) == "mochix, woman, hatch, tree"


def test_a_removed_word_goes_out_of_a_sentence() -> None:
    wishes = Wishes(removed=("a b", "garden, sunny"))
    assert one(PLAIN, said("A woman in a a b b sunny garden"), wishes) == "mochix woman, in"


def test_trigger_and_class_word_cannot_be_removed() -> None:
    wishes = Wishes(removed=("mochix", "woman"))
    assert one(PLAIN, tagged("hat"), wishes) == "mochix woman, hat"


def test_a_word_added_after_it_was_removed_is_there() -> None:
    wishes = Wishes(added=("hat",), removed=("hat",))
    assert one(PLAIN, tagged("red hat"), wishes) == "mochix woman, hat"


# --- the person's own ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "caption"),
    [
        ("young, with blue eyes", "mochix young, with blue eyes"),
        ("mochix at home", "mochix at home"),
        ("mochix, at home", "mochix, at home"),
        ("Mochix's hat", "mochix's hat"),
        ("mochixx at home", "mochix mochixx at home"),
        ("at home with mochix", "mochix at home with mochix"),
        ("  ", "mochix woman, hat"),
    ],
)
def test_the_person_s_own_caption_is_used_behind_the_trigger(own: str, caption: str) -> None:
    assert one(PLAIN, tagged("hat"), Wishes(added=(), removed=("blue",)), own) == caption


def test_fewer_own_captions_than_pictures_are_fine() -> None:
    assert compose(PLAIN, NONE, (tagged("hat"),) * 2, ("x",)) == ("mochix x", "mochix woman, hat")


# --- length --------------------------------------------------------------------------------------


def test_a_caption_is_as_long_as_an_encoder_reads() -> None:
    tags = tagged(*(f"some tag of five words{number}" for number in range(30)))
    words = one(BOORU, tags).split()
    assert MOST_WORDS - 5 < len(words) <= MOST_WORDS
    assert words[-1].startswith("words")


def test_a_long_sentence_is_cut_where_it_can_end() -> None:
    text = "standing " + "and looking " * 25 + "in the " * 3
    assert one(PLAIN, said(text)).endswith("looking")


# --- JSON and what is typed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        *(None, [], 5, "text", {}, {"tags": 5, "says": []}, {"tags": [5, [], ["a"], [1, 2]]}),
        *({"tags": [["a", "b"]]}, {"tags": [["a", 10**400]]}, {"tags": [["a", float("nan")]]}),
        {"tags": [["", 0.5], ["a", float("inf")], ["a", 0.5, 1]]},
    ],
)
def test_what_cannot_be_read_of_a_description_is_left_out(raw: object) -> None:
    assert Described.from_json(raw) == Described()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "[" * 100_000, '{"added": 5, "removed": [1, "\\u0007", "  "]}']
)
def test_what_cannot_be_read_of_wishes_is_left_out(text: str) -> None:
    assert Wishes.from_text(text) == Wishes()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  red   hat, ", "red hat"),
        ("two\nlines", "two lines"),
        ("größer 帽子 🎩", "größer 帽子 🎩"),
        ("", None),
        (" , ", None),
        ("be\u0007ll", None),
        ("right\u202eleft", None),
        ("half \ud800", None),
        ("x" * WORD_CHARS, "x" * WORD_CHARS),
        ("x" * (WORD_CHARS + 1), None),
    ],
)
def test_what_is_typed_becomes_one_clean_line_or_nothing(text: str, cleaned: str | None) -> None:
    assert clean_word(text) == cleaned


def test_a_caption_may_be_longer_than_a_word() -> None:
    text = "x " * (CAPTION_CHARS // 2 - 1) + "xx"
    assert clean_word(text) is None
    assert clean_word(text, CAPTION_CHARS) == text


# --- for any input -------------------------------------------------------------------------------

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
names = st.one_of(
    st.sampled_from(("blue eyes", "1girl", "red hat", "smile", "ponytail", "red mug", "sketch")),
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3).map(" ".join),
)
tags = st.lists(st.tuples(names, st.floats(0, 1)), max_size=40).map(tuple)
descriptions = st.builds(Described, tags, st.one_of(sentences, st.text(max_size=80)))
plans = st.builds(
    Plan,
    st.just("mochix"),
    st.sampled_from(("woman", "person", "mug", "style")),
    st.sampled_from(("person", "character", "style", "thing")),
    st.sampled_from((TAGS, SENTENCE)),
)
words = st.text(max_size=20).map(clean_word).filter(bool) | st.sampled_from(VOCABULARY)
wishes_for_all = st.builds(
    Wishes,
    st.lists(words, max_size=5).map(tuple),
    st.lists(words, max_size=5).map(tuple),
    st.booleans(),
)
sets = st.lists(descriptions, max_size=6)


def occurs(word: str, caption: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", caption, re.IGNORECASE))


@in_any_time
@given(plans, wishes_for_all, sets, st.lists(st.text(max_size=30), max_size=6))
def test_the_trigger_is_always_first(
    plan: Plan, wishes: Wishes, seen: list[Described], own: list[str]
) -> None:
    captions = compose(plan, wishes, seen, own)
    assert len(captions) == len(seen)
    assert all(re.match(r"mochix(?![\w-])", caption) for caption in captions)


@in_any_time
@given(plans, wishes_for_all, sets)
def test_class_word_second_on_one_line_and_the_same_each_time(
    plan: Plan, wishes: Wishes, seen: list[Described]
) -> None:
    captions = compose(plan, wishes, seen)
    assert captions == compose(plan, wishes, seen)
    joint = ", " if plan.style == TAGS else " "
    assert all(one.startswith(f"mochix{joint}{plan.class_word}") for one in captions)
    assert all(", ," not in one and not one.endswith(",") for one in captions)


@in_any_time
@given(plans, wishes_for_all, sets)
def test_added_words_are_in_every_caption(
    plan: Plan, wishes: Wishes, seen: list[Described]
) -> None:
    for caption in compose(plan, wishes, seen):
        assert all(word.casefold() in caption.casefold() for word in wishes.added)


@in_any_time
@given(plans, wishes_for_all, sets)
def test_removed_words_are_in_no_caption(plan: Plan, wishes: Wishes, seen: list[Described]) -> None:
    wishes = replace(wishes, added=())
    head = f"mochix {plan.class_word}"
    for caption in compose(plan, wishes, seen):
        rest = caption.removeprefix(head).removeprefix(f"mochix, {plan.class_word}")
        assert not any(occurs(word, rest.removeprefix(", ")) for word in wishes.removed)


@in_any_time
@given(plans, sets)
def test_no_caption_is_too_long(plan: Plan, seen: list[Described]) -> None:
    assert all(len(one.split()) <= MOST_WORDS for one in compose(plan, NONE, seen))


@in_any_time
@given(plans, sets)
def test_what_is_pruned_from_tags_is_in_no_caption(plan: Plan, seen: list[Described]) -> None:
    plan = replace(plan, style=TAGS)
    gone = set(pruned(plan, NONE, seen))
    for caption in compose(plan, NONE, seen):
        assert not gone & set(caption.split(", ")[2:])


@in_any_time
@given(descriptions, wishes_for_all)
def test_both_travel_as_json(described: Described, wishes: Wishes) -> None:
    again = Described.from_json(described.to_json())
    assert [name for name, _ in again.tags] == [name for name, _ in described.tags]
    assert again.sentence == described.sentence
    assert Wishes.from_json(wishes.to_json()) == wishes
