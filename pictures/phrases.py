"""The lint in running text: what describes the subject goes, the rest stays a sentence. Pure.

The text is a stranger's. Repetitions are possessive (``*+``): a word is read in one way only, so
that no text, however odd, takes much longer than its length.
"""

import re
from functools import cache

from pictures.leaks import (
    AGES,
    BEAUTY,
    BUILDS,
    COLOURS,
    LOOKS,
    MARKS,
    MEDIA,
    PEOPLE,
    PEOPLES,
    SHAPES,
    SKINS,
)

Rules = tuple[tuple[re.Pattern[str], str], ...]

CUT = "\0"  # where something was taken out, until the article before it is right again
_AND = r"(?:, and|,| and)"
_DEGREE = r"(?:(?:very|quite|slightly|so|somewhat) )*+"
_TRAIT = f"(?:{COLOURS}|{SHAPES}|{SKINS}|{BEAUTY}|trimmed|full|bushy|well-groomed)"
_TRAITS = rf"(?:{_DEGREE}{_TRAIT}\b{_AND}?[ -])++"
_OWN = r"(?:(?:an?|his|her|their|its) )?"
_BODY = "hair|eyes?|eyebrows|eyelashes|skin|complexion|face|features|lips|jaw"
_FIGURE = rf"(?:{BUILDS})(?:{_AND} (?:{BUILDS}))? (?:build|figure|physique|body|frame)"
# What is in the hair or on the face is worn, and stays.
_WORN = (
    r"(?![\w'-]|[ -](?:clips?|ties?|bands?|bows?|pins?|nets?|ribbons?|ornaments?|flowers?|paint"
    r"|masks?|shields?|accessor|contact|shadow|liner|make-?up|patch|dryer))"
)
_WHERE = (
    r"(?: (?:down|over|past|on|to|across|around) (?:(?:his|her|their|the) )?"
    r"(?:back|shoulders?|waist|face|cheeks?|nose|chin|forehead)\b)?"
)
_FEATURE = rf"{_OWN}(?:{_TRAITS}(?:{_BODY}|{MARKS})|(?:{MARKS})|{_FIGURE}){_WORN}{_WHERE}"
_FEATURES = rf"{_FEATURE}(?:{_AND} {_FEATURE})*+"
# How the hair is worn and where the eyes look does not say who somebody is.
_STATE = (
    r" (?:is |are )?(?:tied|pulled|pinned|styled|worn|swept|braided|gathered|blowing|flowing"
    r"|falling|hanging|loose|wet|down\b(?! (?:his|her|their|the))|up\b|covered|closed|open|shut"
    r"|half-closed|looking|gazing|turned|lit|falls|flows|hangs|blows|frames|in (?:an? |two )?"
    r"(?:[\w-]+ )?(?:ponytail|bun|braids?|pigtails|plait))"
)
# Before these no noun follows that "with" could lead to.
_NOUN_NEXT = (
    r"(?=(?!\w+ing\b|(?:is|are|was|has|wears|stands|sits|looks|smiles|holds|walks|leans|poses|in|on"
    r"|at|by|while|who|which|she|he|they|against|under|beside|behind|near|with)\b)\w)"
)
_OF_LOOK = r"(?!wide|starry|teary|misty)[\w-]+-(?:haired|eyed|skinned)"
_YEARS = r"\d{1,3}[- ]years?[- ]old"
_ADJECTIVE = (
    rf"(?:{_DEGREE}(?:{AGES}|{BEAUTY}|{PEOPLES}|{BUILDS}|black|white|blonde?|brunette|redhead(?:ed)?"
    rf"|bald(?:ing)?|bearded|freckled|pale|tan(?:ned)?|short|fair|curly|{_OF_LOOK}|{_YEARS})\b)"
)
_SOMEBODY = "blonde|brunette|redhead|teenager|toddler|adult"
_GOES_ON = r"(?:in|with|who|at|on|is|wearing|\w+ing)"
_END = r"(?=[,.;]|$)"
_DECADE = "(?:teens|twenties|thirties|forties|fifties|sixties|seventies|eighties|[1-9]0s)"


def _rules(*pairs: tuple[str, str]) -> Rules:
    return tuple((re.compile(find, re.IGNORECASE), instead) for find, instead in pairs)


PERSON_RULES = _rules(
    # her long brown hair tied back -> her hair tied back
    (rf"\b{_TRAITS}(?=(?:{_BODY}|{MARKS}){_STATE})", ""),
    # with a beard and glasses -> with glasses
    (rf"\b(with|has|having) {_FEATURES}{_AND} {_NOUN_NEXT}", r"\1 "),
    # has a beard and wears glasses -> wears glasses
    (rf"\bhas {_FEATURES}{_AND} (?=\w)", ""),
    # with a beard, sitting -> sitting
    (rf"(?:{_AND}? )?\b(?:with|has|having) {_FEATURES}", ""),
    (rf"^{_FEATURES}{_AND} ", ""),
    (rf"{_AND} {_FEATURE}", ""),
    (rf"\b{_TRAITS}(?=(?:{_BODY}|{MARKS})\b{_WORN})", ""),
    # the woman is young, standing -> the woman, standing
    (rf"\b({PEOPLE}|she|he) (?:is|looks) {_ADJECTIVE}(?:{_AND} {_ADJECTIVE})*+{_END}", r"\1"),
    (rf"\b(?:{_ADJECTIVE}{_AND}? )++(?=(?:\w+ing )?(?:{PEOPLE}|people|couple|adult)\b)", ""),
    (rf"\b(an?|the) (?:{_SOMEBODY})(?= {_GOES_ON}\b|[,.;]|$)", rf"\1 {CUT}person"),
    (rf"\b(?:{_OF_LOOK}|{_YEARS}|{_DEGREE}(?:{BEAUTY})\b)(?:{_AND}? |{_END})", ""),
    (rf",? (?:in|of) (?:his|her|their) (?:(?:early|mid|late)[ -])?{_DECADE}\b", ""),
    (r",? aged? (?:about |around )?\d{1,3}\b", ""),
    (rf",? of (?:{PEOPLES}) (?:descent|ethnicity|origin|heritage|appearance)\b", ""),
)
_MADE = "(?:done |made |drawn |painted |rendered )?"
_MEDIUM = rf"(?:black and white|monochrome|sepia|ink|oil|acrylic|{MEDIA})s?"
_KIND_OF = r"(?:(?!(?:of|an?|the|in|on|with|at)\b)[\w-]+,? ){0,4}"
_DRAWN = (
    "sketched|hand-drawn|hand-painted|styli[sz]ed|impressionist(?:ic)?|watercolou?r"
    "|monochrom(?:e|atic)|pixelated|photorealistic|cartoon(?:ish)?|anime-style"
)
STYLE_RULES = _rules(
    (rf"^(?:(?:an?|the) )?{_KIND_OF}(?:{MEDIA}|photo(?:graph)?),? (?:of|showing|depicting) ", ""),
    (rf",? {_MADE}in the style of [^,.;]+", ""),
    (rf",? {_MADE}(?:in|with) (?:an? |the )?(?:[\w-]+ ){{1,3}}style\b", ""),
    (rf",? {_MADE}in {_MEDIUM}(?: colou?rs| tones| paint| ink)?{_END}", ""),
    (rf"\b(?:{_DRAWN}) (?=\w)", ""),
)


def without_leaks(sentence: str, kind: str, class_word: str) -> tuple[str, tuple[str, ...]]:
    """The sentence without what describes the subject, and what was taken out."""
    rules = {"style": STYLE_RULES, "thing": _of_thing(class_word)}.get(kind, PERSON_RULES)
    removed: list[str] = []
    before, after = "", tidy(sentence)
    # Words that were apart may meet, so again until nothing is found any more.
    while after != before:
        before = after
        for pattern, instead in rules:
            removed += [found.group().strip(" ,") for found in pattern.finditer(after)]
            after = _healed(pattern.sub(instead + CUT, after))
    return after, tuple(one for one in removed if one)


@cache
def _of_thing(class_word: str) -> Rules:
    # a small red mug -> a mug
    return _rules((rf"\b(?:{LOOKS}[ -])++(?={re.escape(class_word)}s?\b)", ""))


def tidy(sentence: str) -> str:
    """One line without doubled spaces or commas."""
    sentence = " ".join(sentence.replace(CUT, " ").split())
    sentence = re.sub(r" +([,.;])", r"\1", sentence)
    sentence = re.sub(r"([,;])(?:\s*[,;])+", r"\1", sentence)
    return sentence.strip(" ,;")


def _healed(sentence: str) -> str:
    """The article before a cut agrees with the word that follows now."""
    sentence = re.sub(
        rf"\b(a)n? [{CUT} ]*{CUT}[{CUT} ]*(\w*)",
        lambda found: f"{found[1]}{'n' if _sounds_open(found[2]) else ''} {found[2]}",
        sentence,
        flags=re.IGNORECASE,
    )
    return tidy(sentence)


def _sounds_open(word: str) -> bool:
    closed = re.match(r"uni|use|one\b|once|eu", word, re.IGNORECASE)
    return word[:1].lower() in set("aeiou") and closed is None
