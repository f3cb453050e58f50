"""``python -m pictures.cell PARENT HANDLE LIMITS``: opens strangers' bytes, and harms nobody.

A process of its own with no way to open files or connections, to write, or to take more memory
than allowed. (Threads it may start: some decoders need one.) It answers requests on its standard
input, one at a time, until that closes.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from pictures import decode
from pictures.box import Box
from pictures.child import Parent
from pictures.develop import develop
from pictures.frame import Shape
from pictures.limits import Limits
from pictures.order import View, Wanted, answer_to_json, wanted_from_json
from storage.die_with_parent import tie

OPEN_FILES = 3  # standard input, output, error: there is no fourth


def lock_up(memory_bytes: int) -> None:
    """From here on: no new file, no connection, nothing written, bounded memory."""
    if sys.platform.startswith("linux"):
        most = _data_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def _data_bytes() -> int:
    """What the imports take, so that the limit is for the picture alone."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    tie(int(sys.argv[1]))
    limits = Limits(**json.loads(sys.argv[3]))
    parent = Parent.reached_by(int(sys.argv[2]), sys.stdout.buffer)
    decode.prepare_decoders()
    _warm_up(limits)
    # What a library says about a stranger's bytes is nobody's business.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    lock_up(limits.memory_bytes)
    parent.say({"ready": True})
    while (asked := parent.hear()) is not None:
        _answer(parent, *asked, limits)
        # Its memory is for the next picture.
        del asked


def _answer(parent: Parent, head: dict[str, Any], data: bytes, limits: Limits) -> None:
    try:
        done = develop(data, wanted_from_json(head), limits)
        parent.say(answer_to_json(done), done.png, done.tile, done.view)
    except decode.RefusedError as error:
        parent.say({"refused": error.code, "args": error.args_of_text})
    except MemoryError:
        parent.say({"refused": "photo.pixels", "args": {}})


def _warm_up(limits: Limits) -> None:
    """Whatever is loaded on first use is loaded now: later there is no opening of files."""
    import io

    from PIL import Image, ImageCms

    out = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    drawn = Image.linear_gradient("L").convert("RGB")
    drawn.save(out, "PNG", icc_profile=profile)
    view = View(side=64, boxes=(Box(0.1, 0.1, 0.9, 0.9),))
    develop(out.getvalue(), Wanted(shape=Shape(resolution=64), view=view), limits)


if __name__ == "__main__":
    main()
