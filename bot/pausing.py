"""What people read while no new training begins. Pure."""

from bot.clock import clock
from bot.screen import Line
from storage.access import Pause


def paused(pause: Pause) -> Line:
    """With the time, where it is known, and the reason, where there is one."""
    args: dict[str, str | int | float] = {"reason": pause.reason}
    if pause.until is not None:
        args["time"] = clock(pause.until, pause.since)
        return Line(key="paused.until_why" if pause.reason else "paused.until", args=args)
    return Line(key="paused.why" if pause.reason else "paused.now", args=args)
