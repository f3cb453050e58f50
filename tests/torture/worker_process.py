"""``python -m tests.torture.worker_process DEVICE SECONDS``: the whole worker, settings and all,
with a device of its own and a trainer that sleeps.
"""

import asyncio
import signal
import sys

from lorabot import logs
from pipeline import worker
from storage import settings as settings_module
from tests.torture.sleeper import Sleeper

JOURNAL = "journal"  # in the data folder


async def main(device: int, seconds: float) -> None:
    # One trainer to a device: several workers of one machine each have theirs. And all of them
    # write into one journal, which no trainer could that keeps to its own files.
    own = {"gpu": device, "trainer_files": True}
    settings = settings_module.load().model_copy(update=own)
    logs.configure(settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await worker.serve(settings, stop=stop, backend=Sleeper(seconds, settings.data_dir / JOURNAL))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
