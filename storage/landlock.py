"""Linux's Landlock: from now on this process, and all that it starts, opens what it was granted.

No privileges are needed, and nothing takes it back. The rights that a kernel does not know yet are
left out, and so are files that are not there. Files that are open already stay open.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# <linux/landlock.h>; the three calls have the same numbers on every architecture that we run on.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1
PR_SET_NO_NEW_PRIVS = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = 1 << 8, 1 << 9, 1 << 10, 1 << 11
MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15
SCOPE_ABSTRACT_SOCKET, SCOPE_SIGNAL = 1 << 0, 1 << 1
FIRST = (1 << 13) - 1
SINCE = {2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}  # by version of the interface
SCOPES_SINCE = 6
TCP, TCP_SINCE = (1 << 0) | (1 << 1), 4  # to listen, and to connect
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
DEVICE = READ | WRITE_FILE | TRUNCATE | IOCTL_DEV
WRITE = (
    READ
    | (WRITE_FILE | TRUNCATE | REFER)
    | (REMOVE_DIR | REMOVE_FILE)
    | (MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM)
)

Rule = tuple[Path, int]


def version() -> int:
    """Of the kernel's interface; 0: there is none, or it is switched off."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _call(CREATE_RULESET, None, 0, ASK_VERSION))


def handled(known: int) -> int:
    """The rights that a kernel of this version takes away."""
    return FIRST | sum(rights for since, rights in SINCE.items() if since <= known)


def restrict(rules: Iterable[Rule] | None, *, tcp: bool = True) -> None:
    """What no rule grants is denied, for good. A rule holds for all beneath its path; without any
    (None) files stay as they are. Without ``tcp`` no such connection, where the kernel can do
    that. Raises OSError where the kernel will not.
    """
    known = version()
    rights = 0 if rules is None else handled(known)
    net = TCP if known >= TCP_SINCE and not tcp else 0
    if not rights and not net:
        return
    scopes = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL if rights and known >= SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", rights, net, scopes)
    ruleset = _checked(_call(CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for path, granted in rules or ():
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _add(ruleset, path, granted & rights)
        # Without it only root may; with it nothing can get its rights back.
        _checked(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_call(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: Path, granted: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            granted &= OF_FILES
        beneath = struct.pack("=Qi", granted, handle)
        _checked(_call(ADD_RULE, ruleset, PATH_BENEATH, beneath, 0))
    finally:
        os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Numbers go in the width of a register."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(_libc().syscall(ctypes.c_long(number), *wide))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
