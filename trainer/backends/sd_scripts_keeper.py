"""``sd_scripts_keeper.py COMMAND ...``: COMMAND in a group that ends with whoever started it.

Its standard input is a pipe that its parent holds open. When the parent is gone, however it went,
the pipe ends, and so does the group: the command and all that it has started. It stands alone.
"""

import os
import signal
import subprocess
import sys
import threading

KILLED = 128  # and the signal's number, as shells say it


def watch() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    if os.getpgrp() != os.getpid():
        os.setsid()
    threading.Thread(target=watch, daemon=True).start()
    # Whatever was handed to us is handed on: a lock lasts as long as the command does.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    code = child.wait()
    return code if code >= 0 else KILLED - code


if __name__ == "__main__":
    # Not by way of the interpreter's end: the other thread is in a read.
    os._exit(main(sys.argv[1:]))
