"""An album of ten photos in Telegram, each 300 ms to download: how soon does the chat count ten?

``python -m bench.telegram_album [runs]`` starts the real bot against a Bot API server on this
machine. One by one the downloads alone would take three seconds.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.machine import write
from tests.bot_api import BotApi
from tests.bot_api.adapter import start_process, up_to_the_photos
from tests.drawn import photo

ALBUM = 10
DOWNLOAD_S = 0.3
SIZE = (960, 1280)  # as Telegram keeps a photo


async def one_album(pictures: list[bytes]) -> dict[str, Any]:
    """``first_s`` until the chat says anything of the album, ``all_s`` until it counts all ten."""
    with tempfile.TemporaryDirectory() as folder:
        async with BotApi() as api:
            api.files.download_s = DOWNLOAD_S
            bot = await start_process(api, Path(folder))
            try:
                ada = api.person("Ada")
                await up_to_the_photos(ada)
                before = Counter(api.calls)
                began = time.perf_counter()
                await ada.sends_photos(pictures)
                await ada.reads("of up to 25")
                first = time.perf_counter() - began
                await ada.reads(f"{ALBUM} photos")
                whole = time.perf_counter() - began
                await asyncio.sleep(1)  # an edit that comes later counts too
                calls = api.calls - before
            finally:
                bot.terminate()
                await bot.wait()
    return {
        "first_s": round(first, 3),
        "all_s": round(whole, 3),
        "sends": calls["sendmessage"],
        "edits": calls["editmessagetext"],
        "downloads_at_once": api.files.most_at_once,
    }


async def main(runs: int) -> None:
    pictures = [photo(seed, SIZE, "JPEG") for seed in range(ALBUM)]
    measured = [await one_album(pictures) for _ in range(runs)]
    write(
        "telegram_album",
        {
            "album": ALBUM,
            "download_s": DOWNLOAD_S,
            "one_by_one_s": ALBUM * DOWNLOAD_S,
            "median_all_s": statistics.median(one["all_s"] for one in measured),
            "slowest_all_s": max(one["all_s"] for one in measured),
            "runs": measured,
        },
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
