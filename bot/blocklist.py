"""Pictures that the operator will not have here: by content, and by what they look like.

A line of the file is a sha256 (64 hex digits), or a difference hash of the picture (16 hex digits)
as `lorabot doctor` and other tools write them; what follows it is a comment.
"""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

from pictures.look import Look

log = logging.getLogger(__name__)

LINE = re.compile(r"([0-9a-f]{64}|[0-9a-f]{16})(?:\s.*)?", re.IGNORECASE)
NEAR = 4  # of 64 bits: another size or compression changes a few


@dataclass(slots=True)
class Blocklist:
    """Read again whenever the file changes. ``path`` may name nothing: then nothing is blocked."""

    path: Path
    _read_at: tuple[int, int] = (0, 0)
    _exact: frozenset[str] = frozenset()
    _alike: tuple[int, ...] = field(default=())

    def blocks(self, sha256: str, look: Look) -> bool:
        self._refresh()
        if sha256 in self._exact:
            return True
        return any(
            (one ^ known).bit_count() <= NEAR for one in look.hashes for known in self._alike
        )

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
            if (stamp := (status.st_mtime_ns, status.st_size)) == self._read_at:
                return
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            self._read_at, self._exact, self._alike = (0, 0), frozenset(), ()
            return
        # A list that cannot be read raises: to go on without it would be to let everything in.
        found = [match[1].lower() for line in lines if (match := LINE.fullmatch(line.strip()))]
        wrong = sum(1 for line in lines if line.strip() and not line.startswith("#")) - len(found)
        if wrong:
            log.warning("the block list has %d lines that are no hashes", wrong)
        self._exact = frozenset(one for one in found if len(one) == 64)
        self._alike = tuple(int(one, 16) for one in found if len(one) == 16)
        self._read_at = stamp
