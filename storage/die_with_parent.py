"""``python -m storage.die_with_parent COMMAND ...``: the command dies with whoever started it.

Linux only; elsewhere the command runs as it is, and its parent has to clean up. A program of its
own, because code between fork and exec must not run in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent = os.getppid()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the signal was asked for.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  it becomes the command


if __name__ == "__main__":
    main()
