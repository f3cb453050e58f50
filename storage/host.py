"""Which machine and which process this is, so that a dead owner can be told from a living one."""

import os
import socket
from functools import cache
from pathlib import Path

from storage.job_store import Owner

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NUMBERING = Path("/proc/self/ns/pid")
STARTED_FIELD = 19  # of /proc/<pid>/stat after the name: the start time in clock ticks


@cache
def boot_id() -> str:
    """Another after each start of the machine; empty where the system has none."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""


def started(pid: int) -> int:
    """When the process began, in the kernel's ticks; 0 where that cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[STARTED_FIELD])


def alive(pid: int, began: int) -> bool:
    """That very process still runs: pids are used again, start times are not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not began or started(pid) == began


@cache
def numbering() -> str:
    """Within which processes have their numbers, as each container has its own; empty: unknown."""
    try:
        return str(NUMBERING.readlink())
    except OSError:
        return ""


def this_process() -> Owner:
    pid, host = os.getpid(), socket.gethostname()
    boot = f"{boot_id()} {numbering()}".strip()
    return Owner(name=f"{host}:{pid}", host=host, boot_id=boot, pid=pid, started=started(pid))
