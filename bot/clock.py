"""Times as people say them. Pure."""

import math
import time

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 24 * 3600.0


def clock(at: float, now: float) -> str:
    """The server's own time of day, with its zone: readers may live in another one."""
    near = abs(at - now) < 0.8 * DAY_S
    return time.strftime("%H:%M %Z" if near else "%Y-%m-%d %H:%M %Z", time.localtime(at))


def span(seconds: float) -> str:
    """The same in every language: 45 s, 12 min, 3.5 h, 2.1 d."""
    if seconds < 2 * MINUTE_S:
        return f"{max(0, round(seconds))} s"
    if seconds < 2 * HOUR_S:
        return f"{math.ceil(seconds / MINUTE_S)} min"
    if seconds < 2 * DAY_S:
        return f"{seconds / HOUR_S:.1f} h"
    return f"{seconds / DAY_S:.1f} d"


def size(file_bytes: int) -> str:
    if file_bytes >= 1_000_000_000:
        return f"{file_bytes / 1e9:.1f} GB"
    return f"{file_bytes / 1e6:.1f} MB"
