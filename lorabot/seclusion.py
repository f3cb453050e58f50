"""What a long-lived process does first: its files and its memory are for its own user alone."""

import ctypes
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_DUMPABLE = 4  # <linux/prctl.h>
FILES = ("lorabot.db", "lorabot.db-wal", "lorabot.db-shm", "secret.key")
FOLDERS = ("blobs", "logs", "run", "work")


def seclude(data_dir: Path) -> None:
    """Also what an earlier version, or a restored backup, left open to others."""
    os.umask(0o077)
    for names, mode in ((FILES, 0o600), (FOLDERS, 0o700)):
        for path in (data_dir / name for name in names):
            with suppress(OSError):
                if path.stat().st_mode & 0o077:
                    path.chmod(mode)
    # Tokens are in this memory: no core file, and no look into it for programs of the same user,
    # like a trainer.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
