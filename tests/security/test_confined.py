"""What a trainer's process can see and do: real processes, looked at from inside and outside."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from pipeline import confined, crew
from pipeline.crew import Place, spawn
from pipeline.eyes import Eyes, EyesConfig
from storage import landlock
from tests.patience import PATIENCE_S

SECRETS = {
    "TELEGRAM_BOT_TOKEN": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "DISCORD_BOT_TOKEN": "made-up.discord.token",
    "SECRET_KEY": "a made-up key that signs",
    "DATABASE_URL": "postgresql://lora:pass@db/lora",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "HF_TOKEN": "hf_made_up",
    "LD_PRELOAD": "",
}
LOOK = """
import json, os, resource, socket, sys
def reach(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False
port = int(sys.argv[1])
me = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
own = socket.create_server(("127.0.0.1", 0))
print(json.dumps({
    "env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path,
    "outside": reach("127.0.0.1", port), "own": reach(*own.getsockname()),
    "privileges": me["NoNewPrivs"].strip(), "core": resource.getrlimit(resource.RLIMIT_CORE),
    "umask": me["Umask"].strip(), "capabilities": int(me["CapEff"], 16),
    "user": os.getuid(), "handles": sorted(os.listdir("/proc/self/fd")),
}))
"""
NET_ADMIN, SYS_ADMIN, SYS_PTRACE = 1 << 12, 1 << 21, 1 << 19

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


async def seen_from_inside(place: Place) -> dict[str, object]:
    """What a trainer finds. A server of this process listens meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        child = await spawn(
            [sys.executable, "-c", LOOK, str(outside.getsockname()[1])], place=place
        )
        out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    found: dict[str, object] = json.loads(out)
    return found


@linux
async def test_a_trainer_reaches_nobody_but_itself(tmp_path: Path) -> None:
    if not confined.is_possible():
        pytest.skip("this system forbids network namespaces; doctor says so")
    seen = await seen_from_inside(Place(folder=tmp_path))
    assert not seen["outside"]
    assert seen["own"], "processes of one training speak over the loopback"


async def test_a_trainer_has_the_network_where_the_operator_says_so(tmp_path: Path) -> None:
    assert (await seen_from_inside(Place(folder=tmp_path, network=True)))["outside"]


@pytest.mark.usefixtures("secrets")
async def test_a_trainer_sees_no_token(tmp_path: Path) -> None:
    env = (await seen_from_inside(Place(folder=tmp_path)))["env"]
    assert isinstance(env, dict)
    assert not set(SECRETS) & set(env)
    assert not {value for value in SECRETS.values() if value} & set(env.values())


async def test_a_trainer_works_in_its_own_folder_and_imports_nothing_from_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    seen = await seen_from_inside(Place(folder=tmp_path))
    assert seen["cwd"] == str(tmp_path)
    assert isinstance(seen["path"], list)
    assert not {"", ".", str(tmp_path)} & set(seen["path"])


@linux
async def test_a_trainer_gains_no_rights_and_leaves_no_core(tmp_path: Path) -> None:
    seen = await seen_from_inside(Place(folder=tmp_path))
    assert seen["privileges"] == "1"
    assert seen["core"] == [0, 0]
    assert seen["umask"] == "0077"
    assert seen["user"] == os.getuid(), "files keep their owner"
    assert isinstance(seen["capabilities"], int)
    assert not seen["capabilities"] & (NET_ADMIN | SYS_ADMIN | SYS_PTRACE)


@linux
@pytest.mark.skipif(os.getuid() != 0, reason="another user is needed to be one")
async def test_somebody_without_roots_rights_leaves_the_network_too() -> None:
    root = Path(confined.__file__).parents[1]
    command = [*confined.command([])[:-1], confined.TRY]
    tried = await asyncio.create_subprocess_exec(
        *command,
        env={"PYTHONPATH": str(root), "PATH": os.environ["PATH"]},
        user=65534,
        group=65534,
        extra_groups=[],
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await tried.communicate()
    if tried.returncode == 1 and not err:
        pytest.skip("this system forbids user namespaces; doctor says so")
    assert tried.returncode == 0, err.decode()


# A user namespace in which nobody can make another one: as in a container.
FORBIDDING = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
    sys.exit(77)
for name in ("/proc/sys/user/max_user_namespaces", "/proc/sys/user/max_net_namespaces"):
    with open(name, "w") as limit:
        limit.write("0")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@linux
@pytest.mark.parametrize("together", [False, True])
async def test_where_namespaces_are_forbidden_there_is_no_tcp(*, together: bool) -> None:
    if landlock.version() < landlock.TCP_SINCE:
        pytest.skip("this kernel cannot do it; doctor says so")
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = str(outside.getsockname()[1])
        look = LOOK if together else LOOK.replace("own = socket", "own = 0 and socket")
        look = look if together else look.replace("reach(*own.getsockname())", "False")
        command = confined.command([sys.executable, "-c", look, port], together=together)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FORBIDDING, *command[1:]),
            env=crew.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
    if child.returncode == 77:
        pytest.skip("this system forbids user namespaces altogether")
    assert child.returncode == 0, err.decode()
    assert json.loads(out)["outside"] is together


@linux
async def test_a_trainer_dies_with_whoever_started_it() -> None:
    """Leaving the network changes rights, which lets the kernel forget whose child it is."""
    script = (
        "import asyncio, sys\n"
        "from pipeline.crew import spawn\n"
        "async def main():\n"
        "    child = await spawn([sys.executable, '-c',"
        " 'import time; print(1, flush=True); time.sleep(600)'])\n"
        "    await child.stdout.readline()\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        env=crew.environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    number = int(await parent.stdout.readline())
    handle = os.pidfd_open(number)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, gone.set)
    try:
        parent.kill()
        await parent.wait()
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


@linux
@pytest.mark.usefixtures("secrets")
async def test_the_eyes_have_no_network_and_no_token() -> None:
    eyes = Eyes(EyesConfig())
    await eyes.see((8, 8), bytes(8 * 8 * 3))
    try:
        child = eyes._child
        assert child is not None
        place = Path(f"/proc/{child.process.pid}")
        env = (place / "environ").read_bytes().decode()
        assert not [value for value in SECRETS.values() if value and value in env]
        if confined.is_possible():
            assert (place / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    finally:
        await eyes.close()
