"""What is true afterwards, from the database, the files, and what each chat last saw."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from storage import job_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import FINAL, Job, JobState
from storage.schema import jobs
from tests.bot_api import Person, Shown
from tests.torture.blows import Blow, Kind
from tests.torture.crowd import Crowd
from tests.torture.watch import Watch
from tests.torture.wounds import summary

SPARE_S = 5.0  # a job that was hit runs again within a lease and this
BOUND = (Kind.WORKER_KILL,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    database: Database
    folder: Path
    crowd: Crowd
    watch: Watch
    struck: list[Blow]
    journal: Path
    codes: dict[str, int]
    odd_ends: dict[str, list[int]]
    left_over: list[str]
    took_s: float
    away_s: dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Lists name the jobs or chats; all empty is well. ``recovery`` is count, median, maximum in
    seconds by kind of blow; ``beside`` counts trainers that began while another one of the same
    job lived; ``in_both`` results that stand in the status message, too; ``litter`` files that
    claims published and lost. ``gap_s`` is the longest wait after a worker's kill, ``own_gap_s``
    without the time in which no other worker was free; ``own`` is like ``recovery``, without it,
    too. ``away`` is like it, of the database alone.
    """

    people: int
    ordered: int
    done: int
    stuck: dict[str, str]
    lost: list[str]
    failed: list[str]
    doubled: list[str]
    wrong_last: dict[str, list[str]]
    doubled_status: list[str]
    in_both: int
    left_over: list[str]
    bad_codes: dict[str, int]
    odd_ends: dict[str, list[int]]
    unhealed: list[str]
    blows: dict[str, int]
    recovery: dict[str, tuple[int, float, float]]
    attempts: dict[int, int]
    beside: int
    litter: int
    took_s: float
    folder: str
    gap_s: float
    own_gap_s: float
    own: dict[str, tuple[int, float, float]]
    away: dict[str, tuple[int, float, float]]

    def faults(self, lease_s: float) -> list[str]:
        """Sentences; none is well."""
        named = {
            "never got through the conversation": self.stuck,
            "lost": self.lost,
            "failed": self.failed,
            "doubled": self.doubled,
            "with a wrong last message": self.wrong_last,
            "with two status messages": self.doubled_status,
            "left over": self.left_over,
            "ended badly on SIGTERM": self.bad_codes,
            "ended without a cause": {name: ends for name, ends in self.odd_ends.items() if ends},
            "never ran again": self.unhealed,
        }
        found = [f"{len(what)} {words}: {what}" for words, what in named.items() if what]
        if self.ordered < self.people:
            found.append(f"only {self.ordered} of {self.people} people could order")
        if self.own_gap_s > lease_s + SPARE_S:
            found.append(f"a killed worker's job waited {self.own_gap_s:.1f} s beside a free one")
        return found


async def judge(evidence: Evidence) -> Verdict:
    async with evidence.database.read() as tx:
        found = await job_store.many(tx, sa.select(jobs))
    by_chat: dict[str, list[Job]] = {}
    for job in found:
        by_chat.setdefault(job.chat, []).append(job)
    crowd, wounds = evidence.crowd, evidence.watch.wounds
    blobs = LocalBlobs(evidence.folder / "data" / "blobs")
    lost: list[str] = []
    doubled: list[str] = []
    wrong: dict[str, list[str]] = {}
    twice: list[str] = []
    both = 0
    for number, person in enumerate(crowd.people):
        own = by_chat.get(person.name, [])
        if not own and person.name not in crowd.through:
            continue
        name = crowd.lora(number)
        if len(own) != 1 or own[0].state not in FINAL or own[0].name != name:
            (lost if len(own) < 2 else doubled).append(name)
            continue
        if own[0].state is JobState.DONE:
            doubled += extra_files(own[0], evidence.folder / "loras", blobs)
            if said := wrong_words(own[0], person):
                wrong[name] = said
            both += in_both(own[0], person)
            if len(status_messages(name, person)) > 1:
                twice.append(name)
    kinds = sorted({one.kind for one in wounds.healed})
    recovery = {kind.value: _figures(wounds.gaps([kind])) for kind in kinds}
    recovery |= {kind.value: _figures(gaps) for kind, gaps in evidence.watch.others.items()}
    return Verdict(
        people=len(crowd.people),
        ordered=crowd.ordered,
        done=sum(job.state is JobState.DONE for job in found),
        stuck=crowd.stuck,
        lost=lost,
        failed=[f"{job.name}: {job.failure}" for job in found if job.state is JobState.FAILED],
        doubled=doubled + strangers(evidence.folder / "loras", found),
        wrong_last=wrong,
        doubled_status=twice,
        in_both=both,
        left_over=evidence.left_over,
        bad_codes={name: code for name, code in evidence.codes.items() if code},
        odd_ends=evidence.odd_ends,
        unhealed=[f"{one.job} after {one.kind}" for one in wounds.open],
        blows=dict(Counter(blow.kind.value for blow in evidence.struck)),
        recovery=recovery,
        attempts=dict(sorted(Counter(job.fence for job in found).items())),
        beside=_beside(evidence.journal),
        litter=sum(len(fences(job, blobs)) - 1 for job in found if job.artifact),
        took_s=evidence.took_s,
        folder=str(evidence.folder),
        gap_s=summary(wounds.gaps(BOUND))[1],
        own_gap_s=summary(wounds.own_gaps(BOUND))[1],
        own={kind.value: _figures(wounds.own_gaps([kind])) for kind in kinds},
        away={kind: _figures(some) for kind, some in evidence.away_s.items()},
    )


def _figures(gaps: list[float]) -> tuple[int, float, float]:
    return (len(gaps), *summary(gaps))


def extra_files(job: Job, loras: Path, blobs: LocalBlobs) -> list[str]:
    """One artifact whose bytes are what was promised, and one file beside it with the same."""
    if job.artifact is None:
        return [f"{job.name}: done without an artifact"]
    path = blobs.path(job.artifact.key)
    if not path.is_file() or digest(path) != job.artifact.sha256:
        return [f"{job.name}: its artifact is not what was committed"]
    inside = [one for one in loras.iterdir() if one.name.startswith(job.name)]
    if [one.name for one in inside] != [job.copied_to] or digest(inside[0]) != job.artifact.sha256:
        return [f"{job.name}: {sorted(one.name for one in inside)} in the folder"]
    return []


def strangers(loras: Path, found: list[Job]) -> list[str]:
    """Files in the folder that no job says it copied; half copies, too."""
    known = {job.copied_to for job in found}
    return [f"{one.name} is nobody's" for one in loras.iterdir() if one.name not in known]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fences(job: Job, blobs: LocalBlobs) -> list[str]:
    """The claims that published something; only one of them was committed."""
    return [one.name for one in (blobs.root / "artifacts" / job.id).iterdir() if one.is_dir()]


def status_messages(name: str, person: Person) -> list[Shown]:
    return [one for one in person.sees if f"{name} · " in one.text]


def wrong_words(job: Job, person: Person) -> list[str]:
    """What a chat shows that is not so: an old stage, no result, or two."""
    assert job.artifact is not None
    said = [one.text for one in status_messages(job.name, person) if " · done" not in one.text]
    files = [one for one in person.sees if one.file_name.endswith(".safetensors")]
    if {hashlib.sha256(one.data).hexdigest() for one in files} != {job.artifact.sha256}:
        said.append(f"{len(files)} files, and not what was committed")
    # A bot that dies while it sends cannot know whether the result arrived: it then puts the file
    # into the status message, too, which is no second message.
    if len([one for one in files if str(one.message_id) != job.status_ref]) > 1:
        said.append("two messages with a result")
    if not any(f"{job.name} is ready" in one.text for one in person.sees):
        said.append("nothing says that it is ready")
    if said:
        said += [f"{one.message_id} {one.file_name} {one.text[:60]!r}" for one in person.sees]
        said.append(f"status {job.status_ref}, result {job.result_ref}")
    return said


def in_both(job: Job, person: Person) -> bool:
    """The file is in a message of its own and in the status message."""
    files = [one for one in person.sees if one.file_name.endswith(".safetensors")]
    return len(files) > 1 and any(str(one.message_id) == job.status_ref for one in files)


def _beside(journal: Path) -> int:
    lines = journal.read_text().splitlines() if journal.exists() else []
    return sum(line.split()[1] == "beside" for line in lines)
