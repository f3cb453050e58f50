"""Which files a trainer can open: the real launcher, on real files, asked from inside."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from lorabot.doctor_security import trainer_files, trainer_network
from lorabot.finding import Health
from pipeline import confined, grants, worker
from pipeline.crew import Crew, Place, dismiss, spawn
from pipeline.reach import OURS, Reach
from storage import bases, landlock
from storage.database import Database
from storage.job import JobState
from storage.redis_server import RedisServer
from storage.settings import Settings
from tests.drawn import photos
from tests.integration.test_worker import Place as Worker
from trainer.run import Message, RunSpec, from_line

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
SECRET = "what nobody else may read"
# What a program can do with a file; each says how it went.
THIEF = """
import json, os, subprocess, sys
def tried(do, *paths):
    try:
        do(*paths)
        return "done"
    except OSError as error:
        return type(error).__name__
def opened(path, how):
    with open(path, how) as file:
        file.read(1) if how == "rb" else file.write(b"x" if how == "ab" else b"")
DO = {"read": lambda one: opened(one, "rb"), "append": lambda one: opened(one, "ab"),
      "make": lambda one: opened(one, "xb"), "truncate": lambda one: os.truncate(one, 0),
      "signal": lambda one: os.kill(int(one), 0), "list": os.listdir,
      "folder": os.mkdir, "delete": os.unlink,
      "rename": os.rename, "link": os.link, "symlink": os.symlink}
line = sys.stdin.readline()
said = {"own": [tried(DO[name], *paths) for name, *paths in json.loads(line)]}
if len(sys.argv) < 2:
    command = [sys.executable, __file__, "grandchild"]
    below = subprocess.run(command, input=line, text=True, capture_output=True, check=True)
    said["grandchild"] = json.loads(below.stdout)["own"]
print(json.dumps(said))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder as a service has it, a job's folder in it, and `.env` beside it."""
    data = tmp_path / "data"
    for name in ("lorabot.db", "secret.key", "blobs/photos/ab/theirs", "work/other/dataset/1.png"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(SECRET)
    (tmp_path / ".env").write_text(SECRET)
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "theirs.safetensors").write_text(SECRET)
    (data / "work" / "mine" / "dataset").mkdir(parents=True)
    (data / "work" / "mine" / "dataset" / "1.png").write_text("a photo")
    return data / "work" / "mine"


def settings_of(home: Path, **more: object) -> Settings:
    return Settings(data_dir=home.parents[1], **more)  # type: ignore[arg-type]


def reach_of(home: Path) -> Reach:
    reach = grants.of_bases(settings_of(home), [bases.demo()])
    assert reach is not None
    return reach.writing(home)


async def answers(place: Place, script: Path, asked: list[list[str]]) -> dict[str, list[str]]:
    """What a program in the trainer's place hears when it asks for these."""
    child = await spawn([sys.executable, str(script)], place=place, spoken_to=True)
    out, err = await child.communicate(json.dumps(asked).encode() + b"\n")
    assert child.returncode == 0, err.decode()
    said: dict[str, list[str]] = json.loads(out)
    return said


@pytest.fixture
def thief(tmp_path: Path) -> Path:
    script = tmp_path / "thief.py"
    script.write_text(THIEF)
    return script


@needs_landlock
async def test_a_trainer_opens_nothing_of_others(home: Path, thief: Path) -> None:
    data, outside = home.parents[1], home.parents[2]
    theirs = [
        *(data / "lorabot.db", data / "secret.key", data / "blobs/photos/ab/theirs"),
        *(data / "work/other/dataset/1.png", outside / ".env"),
        outside / "loras/theirs.safetensors",
    ]
    how = ("read", "append", "truncate", "delete")
    asked = [[one, str(path)] for path in theirs for one in how]
    asked += [["list", str(path)] for path in (data, data / "work", outside / "loras", OURS)]
    asked += [["make", str(folder / "new")] for folder in (data, outside / "loras", Path("/tmp"))]
    asked += [["read", "/proc/1/environ"], ["read", f"/proc/{os.getpid()}/environ"]]
    asked += [["append", str(home.parents[1] / "trainer" / "modules" / "x.py")]]
    asked += [[one, str(theirs[0]), str(home / "db")] for one in ("rename", "link")]
    said = await answers(Place(folder=home, reach=reach_of(home)), thief, asked)
    for who in ("own", "grandchild"):
        got = {tuple(one): answer for one, answer in zip(asked, said[who], strict=True)}
        assert not [one for one, answer in got.items() if answer == "done"], who
        assert set(got.values()) <= {"PermissionError", "OSError"}
    assert all(path.read_text() == SECRET for path in theirs)


@needs_landlock
async def test_a_link_leads_a_trainer_nowhere(home: Path, thief: Path) -> None:
    link = home / "link"
    link.symlink_to(home.parents[1] / "lorabot.db")
    said = await answers(Place(folder=home, reach=reach_of(home)), thief, [["read", str(link)]])
    assert said["own"] == ["PermissionError"]


@needs_landlock
async def test_a_trainer_signals_nobody_outside(home: Path, thief: Path) -> None:
    if landlock.version() < landlock.SCOPES_SINCE:
        pytest.skip("this kernel guards files alone")
    asked = [["signal", str(os.getpid())]]
    kept = await answers(Place(folder=home, reach=reach_of(home)), thief, asked)
    assert kept == {"own": ["PermissionError"], "grandchild": ["PermissionError"]}
    assert (await answers(Place(folder=home), thief, asked))["own"] == ["done"]


@needs_landlock
async def test_a_trainer_has_what_its_work_needs(home: Path, thief: Path) -> None:
    (home / "out").mkdir()
    demo = bases.demo().path
    asked = [
        ["read", str(home / "dataset" / "1.png")],
        ["make", str(home / "out" / ".making")],
        ["rename", str(home / "out" / ".making"), str(home / "dataset" / "made")],
        ["truncate", str(home / "dataset" / "made")],
        ["delete", str(home / "dataset" / "made")],
        ["folder", str(home / "run")],
        ["symlink", str(home / "dataset" / "1.png"), str(home / "run" / "1.png")],
        ["read", str(home / "run" / "1.png")],
        ["list", str(demo)],
        ["read", str(demo / "model_index.json")],
        ["append", "/dev/null"],
        *(["read", path] for path in ("/dev/urandom", "/proc/self/status", "/proc/meminfo")),
        ["list", "/sys/devices/system/cpu"],
        ["make", f"/dev/shm/lorabot-test-{os.getpid()}"],
        ["delete", f"/dev/shm/lorabot-test-{os.getpid()}"],
        ["make", str(home.parents[1] / "trainer" / "cache" / "kernel")],
        ["make", str(home.parents[1] / "trainer" / "tmp" / "scratch")],
    ]
    child = await answers(Place(folder=home, reach=reach_of(home)), thief, asked)
    wrong = [one for one, how in zip(asked, child["own"], strict=True) if how != "done"]
    assert not wrong


@needs_landlock
async def test_a_trainer_writes_into_no_base_model(home: Path, tmp_path: Path, thief: Path) -> None:
    base = tmp_path / "models" / "own.safetensors"
    base.parent.mkdir()
    for name in ("own.safetensors", "another.safetensors", "vae"):
        (base.parent / name).write_text(SECRET)
    own = replace(bases.demo(), path=base)
    reach = grants.of_bases(settings_of(home), [own])
    asked = [["read", str(base)], ["read", str(base.parent / "vae")], ["append", str(base)]]
    asked += [["read", str(base.parent / "another.safetensors")], ["list", str(base.parent)]]
    said = await answers(Place(folder=home, reach=reach), thief, asked)
    assert said["own"] == ["done", "done", *["PermissionError"] * 3]


@needs_landlock
async def test_of_a_cache_of_models_a_trainer_sees_no_token(
    home: Path, thief: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "me" / ".cache" / "huggingface"
    for name in ("hub/models--a/x.json", "token", "stored_tokens"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(SECRET)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.delenv("HF_HOME", raising=False)
    asked = [["read", str(cache / one)] for one in ("hub/models--a/x.json", "token")]
    asked += [
        ["append", str(cache / "hub/models--a/x.json")],
        ["read", str(cache / "stored_tokens")],
    ]
    said = await answers(Place(folder=home, reach=reach_of(home)), thief, asked)
    assert said["own"] == ["done", *["PermissionError"] * 3]


@needs_landlock
async def test_the_doctor_sees_data_in_a_folder_that_trainers_read(home: Path) -> None:
    (home.parents[1] / "bases.toml").write_text('[own]\nfamily = "sd15"\npath = ".."\n')
    found = await trainer_files(settings_of(home))
    assert found.health is Health.WARN
    assert str(home.parents[2]) in found.said


@needs_landlock
async def test_an_operator_can_grant_more_or_all(home: Path, thief: Path, tmp_path: Path) -> None:
    more = settings_of(home, trainer_reads=str(tmp_path / "loras"))
    reach = grants.of_bases(more, [bases.demo()])
    lora = tmp_path / "loras" / "theirs.safetensors"
    asked = [["read", str(lora)], ["append", str(lora)]]
    said = await answers(Place(folder=home, reach=reach), thief, asked)
    assert said["own"] == ["done", "PermissionError"]
    assert grants.of_bases(settings_of(home, trainer_files=True), [bases.demo()]) is None


@dataclass(frozen=True)
class Curious:
    """A trainer that looks at a file, writes another one, and tells how that went."""

    reads: Path
    writes: Path

    def command(self, spec: RunSpec, _: Path) -> list[str]:
        paths = (str(self.reads), str(self.writes), str(spec.work))
        return [sys.executable, "-c", CURIOUS, *paths]

    def parse(self, line: str) -> Message | None:
        return from_line(line)


CURIOUS = """
import json, os, sys
from trainer.run import Failed, Failure, to_line
def tried(path, how):
    try:
        open(path, how).close()
        return "done"
    except OSError as error:
        return type(error).__name__
os.makedirs(sys.argv[3], exist_ok=True)
said = [tried(sys.argv[1], "rb"), tried(sys.argv[2], "wb"), tried(sys.argv[3] + "/own", "wb")]
print(to_line(Failed(code=Failure.INTERNAL, detail=" ".join(said))), flush=True)
"""


@needs_landlock
@pytest.mark.parametrize("free", [False, True])
async def test_a_workers_trainer_reads_no_database(tmp_path: Path, *, free: bool) -> None:
    """Through the whole worker, as its settings say."""
    settings = Settings(data_dir=tmp_path / "data", trainer_files=free)
    database = await Database.open(settings.database)
    place = Worker(settings, database, asyncio.Event())
    job = await place.order(photos(8))
    curious = Curious(tmp_path / "data" / "lorabot.db", tmp_path / "outside")
    stop = asyncio.Event()
    task = asyncio.create_task(worker.serve(settings, stop=stop, only_job=job.id, backend=curious))
    failed = await place.until(job, JobState.FAILED)
    stop.set()
    await task
    await database.close()
    said = "done" if free else "PermissionError"
    assert failed.failure is not None
    assert failed.failure.detail == f"{said} {said} done"


@needs_landlock
@pytest.mark.skipif(os.getuid() != 0, reason="another user is needed to be one")
async def test_nobody_needs_rights_to_give_theirs_up() -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom storage import landlock\n"
        "landlock.restrict([(Path('/usr'), landlock.RUN)])\nos.listdir('/usr')\n"
        "try:\n    open('/etc/passwd')\nexcept PermissionError:\n    print('refused')\n"
    )
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env={"PYTHONPATH": str(OURS), "PATH": os.environ["PATH"]},
        user=65534,
        group=65534,
        extra_groups=[],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    assert out == b"refused\n", err.decode()


@needs_landlock
async def test_where_a_base_was_replaced_another_trainer_begins(home: Path, tmp_path: Path) -> None:
    """A grant is for the file that was there."""
    base = tmp_path / "own.safetensors"
    base.write_text("a model")
    reach = grants.of_bases(settings_of(home), [replace(bases.demo(), path=base)])
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    crew = Crew([sys.executable, "-c", echo], Place(folder=home, reach=reach))
    first = await crew.fresh("one")
    try:
        crew.give_back(first)
        assert await crew.take("two") is first
        crew.give_back(first)
        other = tmp_path / "new"
        other.write_text("another model")
        other.replace(base)
        assert await crew.take("three") is None
        assert first.returncode is not None
    finally:
        await crew.close()
        await dismiss(first)


@pytest.mark.parametrize("known", range(1, 8))
@needs_landlock
def test_each_version_of_the_kernels_interface_closes_what_it_knows(
    known: int, tmp_path: Path
) -> None:
    """Asked of this kernel as an older one would be."""
    if known > landlock.version():
        pytest.skip("this kernel knows fewer")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "file").write_text(SECRET)
    code = (
        "import sys\nfrom pathlib import Path\nfrom storage import landlock\n"
        f"landlock.version = lambda: {known}\n"
        "landlock.restrict([(Path(sys.argv[1]), landlock.WRITE)])\n"
        "print(Path(sys.argv[1], 'file').read_text())\n"
        "Path(sys.argv[1], 'new').write_text('x')\n"
        "try:\n    Path(sys.argv[2], 'file').read_text()\n"
        "except PermissionError:\n    print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(inside), str(outside)],
        capture_output=True,
        text=True,
        check=False,
        cwd=OURS,
    )
    assert run.stdout.splitlines() == [SECRET, "refused"], run.stderr


async def test_the_built_in_redis_writes_where_nobody_tells_it(tmp_path: Path) -> None:
    """A trainer can open its socket."""
    server = RedisServer(tmp_path / "redis.sock")
    socket = await server.start()
    if socket is None:
        pytest.skip("no server here")
    client = Redis(unix_socket_path=str(socket))
    try:
        for order in (("CONFIG", "SET", "dir", str(tmp_path)), ("MODULE", "LOAD", "/tmp/x.so")):
            with pytest.raises(ResponseError):
                await client.execute_command(*order)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()
        await server.stop()


def test_rights_that_a_kernel_does_not_know_are_not_asked_for() -> None:
    known = [landlock.handled(version) for version in range(1, 8)]
    assert known[0] == (1 << 13) - 1
    assert known[1] == known[0] | landlock.REFER
    assert known[2] == known[1] | landlock.TRUNCATE
    assert known[3] == known[2]
    assert known[4] == known[5] == known[6] == known[3] | landlock.IOCTL_DEV


def test_a_kernel_without_it_is_told_of_and_trains(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with caplog.at_level(logging.WARNING):
        assert grants.of_worker(settings_of(home), [bases.demo()]) is None
    assert [record.message for record in caplog.records if "Landlock" in record.message]
    found = asyncio.run(trainer_files(settings_of(home)))
    assert found.health is Health.WARN
    assert "Landlock" in found.fix


async def test_the_doctor_says_which_files_a_trainer_may_open(home: Path) -> None:
    found = await trainer_files(settings_of(home, trainer_files=True))
    assert found.health is Health.WARN
    assert "TRAINER_FILES" in found.said
    if landlock.version():
        assert (await trainer_files(settings_of(home))).health is Health.OK


def test_a_cache_of_models_is_granted_file_by_file(home: Path, tmp_path: Path) -> None:
    """As Hugging Face keeps them: a folder of links, and what they lead to beside it."""
    repo, other = tmp_path / "hub" / "models--a", tmp_path / "hub" / "models--b"
    for one in (repo, other):
        (one / "blobs").mkdir(parents=True)
        (one / "blobs" / "abc").write_text("{}")
    snapshot = repo / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").symlink_to("../../blobs/abc")
    reach = grants.of_bases(settings_of(home), [replace(bases.demo(), path=snapshot)])
    if reach is None:
        pytest.skip("this kernel has no Landlock")
    assert set(reach.read) == {snapshot, repo / "blobs"}


async def test_the_doctor_says_what_is_left_of_the_network(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where namespaces are forbidden, with a kernel that can take TCP, and with one that cannot."""
    monkeypatch.setattr(confined, "is_possible", lambda: False)
    said = []
    for known in (landlock.TCP_SINCE, 0):
        monkeypatch.setattr(landlock, "version", lambda known=known: known)
        found = await trainer_network(settings_of(home))
        assert found.health is Health.WARN
        said.append("no TCP" in found.said)
    assert said == [True, False]
