"""``python -m storage.die_with_parent PID COMMAND ...``: COMMAND dies with its parent, PID.

Linux only; elsewhere the command runs as it is, and its parent has to clean up. A program of its
own, because code between fork and exec must not run in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def under(command: list[str]) -> list[str]:
    """The command line that runs ``command`` as a child which dies with this process."""
    return [sys.executable, "-m", "storage.die_with_parent", str(os.getpid()), *command]


def tie(parent: int) -> None:
    """From now on this process dies with its parent; at once, where that one has died already."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    tie(parent)
    os.execvp(command[0], command)  # noqa: S606  it becomes the command


if __name__ == "__main__":
    main()
