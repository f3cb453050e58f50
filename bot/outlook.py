"""What a waiting job's chat shows that does not stand in the job's own row. Pure."""

from dataclasses import dataclass

from bot import job_screens
from bot.facts import Board
from bot.screen import Line
from storage.access import Pause
from storage.line import Entry

WAIT_FOR_WORKER_S = 20.0  # a worker that starts again needs a moment before it counts as gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``place`` from 1, 0: it does not wait; ``online`` computers; ``able``: one of them can."""

    place: int = 0
    starts_in_s: float = 0.0
    online: int = 1
    pause: Pause | None = None
    able: bool = True

    @property
    def shown(self) -> tuple[int, Line]:
        """All that can be read of it: in minutes, where it knows seconds."""
        soon = job_screens.outlook(self.starts_in_s, self.online, self.pause, able=self.able)
        return self.place, soon


def outlook(one: Entry, board: Board, now: float) -> Outlook:
    starting = now - one.created_at < WAIT_FOR_WORKER_S
    return Outlook(
        place=board.place(one.id),
        starts_in_s=board.starts_in.get(one.id, 0.0),
        online=max(board.online, int(starting)),
        pause=board.pause,
        able=starting or board.can_train(one.base_model),
    )
