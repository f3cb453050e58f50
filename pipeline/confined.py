"""``python -m pipeline.confined PARENT REACH NETWORK COMMAND ...``: COMMAND dies with its parent,
PARENT, and may do less than it: no network (unless NETWORK is ``network``), no new rights, no core
file, and no other files than REACH has (a `Reach` as text; empty: it opens what its parent may).

On Linux a network namespace of its own has a loopback and nothing else. Root makes one; others
need a user namespace for it, which some systems and most containers forbid. Then the kernel may at
least forbid TCP (also on the loopback, so not to a command of several processes that talk with each
other: NETWORK is ``together``). Else only the libraries' own switches keep the command quiet, and
`doctor` says so.
"""

import ctypes
import fcntl
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pipeline.reach import OURS, Reach, rules
from storage import landlock
from storage.die_with_parent import tie

NETWORK, ALONE, TOGETHER = "network", "alone", "together"
TRY = "--try"
# <linux/sched.h>, <linux/prctl.h>, <linux/sockios.h>, <linux/if.h>
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
# <linux/capability.h>. What root's trainer keeps is about files; with the others it could come
# back to the network that it has left.
KEPT = frozenset({0, 1, 2, 3, 4, 5, 14, 23, 24})
LAST_CAPABILITY = 63
GPU_HERE, GPU_READY = Path("/proc/driver/nvidia/version"), Path("/dev/nvidia-uvm")


def command(
    argv: list[str], *, network: bool = False, together: bool = False, reach: Reach | None = None
) -> list[str]:
    """The command line that runs ``argv`` as a child of this process."""
    own = [sys.executable, "-m", "pipeline.confined", str(os.getpid())]
    own.append("" if reach is None else reach.to_text())
    return [*own, NETWORK if network else TOGETHER if together else ALONE, *argv]


def is_possible() -> bool:
    """Whether this system lets a child of ours leave the network."""
    tried = subprocess.run([*command([])[:-1], TRY], check=False, capture_output=True, timeout=30)
    return tried.returncode == 0


def leave_network() -> bool:
    """From now on there is a loopback, and nothing else. False: not allowed here."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        user, group = os.geteuid(), os.getegid()
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        # The same names for the same people: files keep their owner.
        with suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    with suppress(OSError):
        _raise_loopback()
    return True


def _raise_loopback() -> None:
    """Processes of one training on several GPUs speak with each other over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        asked = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(one, SIOCGIFFLAGS, asked)[:18])[1]
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def give_up_rights() -> None:
    """No program that it starts can have more rights; nothing it holds is written to a core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        for number in range(LAST_CAPABILITY + 1):
            if number not in KEPT:
                libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def import_from(reach: Reach) -> None:
    """Our package, from a folder that has nothing else in it."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [one for one in path if one and Path(one).resolve() != OURS]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(reach.modules), *others])


def wake_gpu() -> None:
    """NVIDIA's library makes its device files by a program with root's rights, which comes to
    nothing later; so it is started now, where they are missing.
    """
    helper = shutil.which("nvidia-modprobe")
    if helper is not None and GPU_HERE.exists() and not GPU_READY.exists():
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([helper, "-u", "-c", "0"], check=False, timeout=20)


def main() -> None:
    parent, text, network, argv = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    if network == TRY:
        sys.exit(0 if leave_network() else 1)
    wake_gpu()
    left = network != NETWORK and leave_network()
    give_up_rights()
    reach = Reach.from_text(text) if text else None
    granted = None if reach is None else rules(reach, os.environ)
    if reach is not None:
        import_from(reach)
    landlock.restrict(granted, tcp=left or network != ALONE)
    # The last: a change of rights forgets it.
    tie(parent)
    os.execvp(argv[0], argv)  # noqa: S606  it becomes the command


if __name__ == "__main__":
    main()
