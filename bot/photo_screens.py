"""Panels about photos: the tally, one photo with a question, the contact sheet. Pure."""

from collections.abc import Sequence

from bot.draft import Conversation
from bot.facts import Facts
from bot.review import Review, review
from bot.screen import Button, Line, Picture, Tile
from pictures.verdict import PERSON, Choice, Level, Remark, Shot, Verdict
from storage.bases import DEMO
from storage.job import MAX_PHOTOS, MIN_PHOTOS, Args

MOST_LINES = 8  # about single photos; the contact sheet has them all
ROW = 5  # buttons

Buttons = tuple[tuple[Button, ...], ...]
Part = tuple[tuple[Line, ...], Buttons]


# --- the tally -----------------------------------------------------------------------------------


def tally(conversation: Conversation, facts: Facts) -> Part:
    name, draft = conversation.name, conversation.draft
    cancel = Button(label="button.cancel", verb="drop", draft=draft, danger=True)
    if not conversation.uploads:
        args: Args = {"name": name, "least": MIN_PHOTOS, "most": MAX_PHOTOS}
        own = Button(label="button.sample", verb="sample", draft=draft)
        rows = ((own,), (cancel,)) if conversation.base == DEMO else ((cancel,),)
        return (Line(key="ask.photos", args=args), where_photos_go(facts)), rows
    found = review(conversation, facts)
    count = len(conversation.photos)
    lines = [
        Line(key="panel.tally", args={"name": name, "most": MAX_PHOTOS}, n=count),
        Line(key="panel.bar", args={"bar": _bar(found.used)}),
    ]
    if found.waiting:
        lines.append(Line(key="panel.checking", n=found.waiting))
    lines += [*_remarks(found), *conversation.refused, *_of_the_set(conversation, facts, found)]
    return tuple(lines), (*_tally_buttons(conversation, found), (cancel,))


def where_photos_go(facts: Facts) -> Line:
    """Before the first photo everybody knows whether it stays here."""
    if facts.pictures_go_to:
        return Line(key="photos.leave", args={"host": facts.pictures_go_to})
    return Line(key="photos.stay")


def _bar(used: int) -> str:
    full = round(min(1.0, used / MAX_PHOTOS) * 20)
    return "▓" * full + "░" * (20 - full)


def _tally_buttons(conversation: Conversation, found: Review) -> Buttons:
    draft, missing = conversation.draft, MIN_PHOTOS - found.used
    first = (
        Button(label="button.more", args={"n": missing}, verb="more", draft=draft)
        if missing > 0
        else Button(label="button.done", args={"n": found.used}, verb="done", draft=draft)
    )
    second = []
    if found.undecided:
        numbers = ", ".join(f"#{number}" for number in found.undecided[:3])
        more = "…" if len(found.undecided) > 3 else ""
        args: Args = {"numbers": numbers + more}
        second.append(Button(label="button.look", args=args, verb="look", draft=draft))
    if conversation.photos:
        second.append(Button(label="button.sheet", verb="sheet", draft=draft))
    return ((first,), tuple(second)) if second else ((first,),)


def _remarks(found: Review) -> list[Line]:
    """Good ones are counted, the others told one by one, the worst first."""
    told = [
        (verdict, remark)
        for shot, verdict in zip(found.shots, found.verdicts, strict=True)
        for remark in verdict.remarks
        if remark is verdict.worst and shot.choice is Choice.OPEN
    ]
    chosen_out = [shot.number for shot in found.shots if shot.choice is Choice.LEAVE]
    troubled = {verdict.number for verdict, remark in told if remark.level is not Level.NOTE}
    good = [one for one in found.verdicts if one.used and one.number not in troubled]
    lines = [Line(key="panel.good", n=len(good))] if good else []
    told.sort(key=lambda pair: pair[1].level is not Level.OUT)
    remarks = _together(told)
    lines += remarks[:MOST_LINES]
    if len(remarks) > MOST_LINES:
        lines.append(Line(key="panel.rest", n=len(remarks) - MOST_LINES))
    if chosen_out:
        numbers = ", ".join(f"#{number}" for number in chosen_out)
        lines.append(Line(key="panel.left_out", args={"numbers": numbers}))
    return lines


def _together(told: Sequence[tuple[Verdict, Remark]]) -> list[Line]:
    """The same remark about several photos is one line."""
    found: dict[tuple[str, tuple[tuple[str, str | int | float], ...]], list[int]] = {}
    for verdict, remark in told:
        found.setdefault((remark.code, tuple(remark.args.items())), []).append(verdict.number)
    return [
        Line(
            key=code,
            args={**dict(args), "number": ", #".join(str(number) for number in numbers)},
            n=len(numbers),
        )
        for (code, args), numbers in found.items()
    ]


def _remark(number: int, remark: Remark) -> Line:
    return Line(key=remark.code, args={**remark.args, "number": number})


def _of_the_set(conversation: Conversation, facts: Facts, found: Review) -> list[Line]:
    lines = []
    if conversation.kind == PERSON and not facts.sees_faces and conversation.photos:
        lines.append(Line(key="panel.blind"))
    missing = MIN_PHOTOS - found.used
    if missing > 0:
        return [*lines, Line(key="panel.missing", n=missing)]
    variety = found.variety
    args: Args = {"close": variety.close, "half": variety.half, "full": variety.full}
    if variety.close + variety.half + variety.full:
        lines.append(Line(key="panel.variety", args=args))
    lines.append(Line(key="panel.grade", args={"grade": variety.grade}))
    lines.append(Line(key=variety.advice or "panel.enough"))
    return lines


# --- one photo -----------------------------------------------------------------------------------


def one_photo(conversation: Conversation, facts: Facts) -> Part:
    found = review(conversation, facts).of(conversation.at)
    if found is None:
        return tally(conversation, facts)
    shot, verdict = found
    draft, number = conversation.draft, str(conversation.at)
    lines = [_remark(shot.number, remark) for remark in verdict.remarks]
    lines = lines or [Line(key="photo.good", args={"number": shot.number})]
    if _asks_who(shot, verdict):
        lines.append(Line(key="fix.who", args={"name": conversation.name}))
    use = Button(
        label="button.its" if _doubts_who(verdict) else "button.use",
        args={"name": conversation.name},
        verb="use",
        draft=draft,
        argument=number,
    )
    choice = (
        use,
        Button(label="button.leave", verb="out", draft=draft, argument=number),
    )
    rows = [*_faces(shot, verdict, draft)]
    rows.append(choice[1:] if _asks_who(shot, verdict) else choice)
    rows.append(
        (
            Button(label="button.next", verb="next", draft=draft),
            Button(label="button.back", verb="back", draft=draft),
        )
    )
    return tuple(lines), tuple(rows)


def _asks_who(shot: Shot, verdict: Verdict) -> bool:
    return any(one.code in {"photo.faces", "photo.picked"} for one in verdict.remarks) or (
        shot.face > 0
    )


def _doubts_who(verdict: Verdict) -> bool:
    return any(one.code in {"photo.other", "photo.maybe"} for one in verdict.remarks)


def _faces(shot: Shot, verdict: Verdict, draft: str) -> list[tuple[Button, ...]]:
    if shot.faces is None or not _asks_who(shot, verdict):
        return []
    buttons = [
        Button(
            label="button.word",
            args={"word": str(face)},
            verb="pick",
            draft=draft,
            argument=f"{shot.number}.{face}",
        )
        for face in range(1, min(len(shot.faces.faces), 2 * ROW) + 1)
    ]
    return in_rows(buttons)


def photo_picture(conversation: Conversation, facts: Facts) -> Picture | None:
    found = review(conversation, facts).of(conversation.at)
    key = next((one.sha256 for one in conversation.photos if one.number == conversation.at), "")
    if found is None:
        return None
    shot, verdict = found
    shown = shot.faces.faces if shot.faces and _asks_who(shot, verdict) else ()
    return Picture(
        draft=conversation.draft,
        tiles=(Tile(shot.number, key),),
        boxes=tuple(face.box for face in shown),
    )


# --- the contact sheet ---------------------------------------------------------------------------


def contact_sheet(conversation: Conversation, facts: Facts) -> Part:
    found = review(conversation, facts)
    draft = conversation.draft
    buttons = [
        Button(
            label="button.in" if verdict.used else "button.out",
            args={"number": verdict.number},
            verb="toggle",
            draft=draft,
            argument=str(verdict.number),
        )
        for verdict in found.verdicts
    ]
    last = (Button(label="button.back", verb="back", draft=draft),)
    lines = (Line(key="sheet.title", args={"count": len(found.shots)}, n=found.used),)
    return lines, (*in_rows(buttons), last)


def sheet_picture(conversation: Conversation, facts: Facts) -> Picture:
    found = review(conversation, facts)
    tiles = tuple(
        Tile(photo.number, photo.sha256, verdict.used, verdict.is_open)
        for photo, verdict in zip(conversation.photos, found.verdicts, strict=True)
    )
    return Picture(draft=conversation.draft, tiles=tiles, sheet=True)


def in_rows(buttons: Sequence[Button]) -> list[tuple[Button, ...]]:
    return [tuple(buttons[at : at + ROW]) for at in range(0, len(buttons), ROW)]
