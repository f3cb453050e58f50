"""The graphics cards of this machine as their driver sees them, for people who ask how they are."""

import asyncio
import logging
import shutil
from contextlib import suppress

from storage.roster import Card

log = logging.getLogger(__name__)

TOOL = "nvidia-smi"
ASKED = "index,name,memory.used,memory.total,temperature.gpu,utilization.gpu"
EVERY_S = 10.0
PATIENCE_S = 10.0
MIB = 2**20


class Cards:
    """``known`` is some seconds old at most; empty: no card, or no driver that answers. A driver
    that hangs holds up nobody but itself.
    """

    def __init__(self, tool: str = TOOL) -> None:
        self.known: tuple[Card, ...] = ()
        self._tool = tool

    async def run(self) -> None:
        """Now and then, because each question is a process."""
        while True:
            self.known = await self.ask()
            await asyncio.sleep(EVERY_S)

    async def ask(self) -> tuple[Card, ...]:
        """Once."""
        return read(await self._ask())

    async def _ask(self) -> str:
        if shutil.which(self._tool) is None:
            return ""
        query = (self._tool, f"--query-gpu={ASKED}", "--format=csv,noheader,nounits")
        try:
            child = await asyncio.create_subprocess_exec(
                *query, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            log.info("the graphics driver cannot be asked (%s)", type(error).__name__)
            return ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, _ = await child.communicate()
        except TimeoutError:
            log.info("the graphics driver does not answer")
            return ""
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return out.decode("utf-8", "replace") if child.returncode == 0 else ""


def read(table: str) -> tuple[Card, ...]:
    """The driver's lines; what it does not know stands there as a word in brackets."""
    rows = (line.split(",") for line in table.splitlines())
    return tuple(_card([cell.strip() for cell in row]) for row in rows if len(row) == 6)


def _card(row: list[str]) -> Card:
    number, name, used, total, celsius, busy = row
    return Card(
        number=_number(number) or 0,
        name=name,
        used_bytes=_bytes(used),
        all_bytes=_bytes(total),
        celsius=_number(celsius),
        busy_percent=_number(busy),
    )


def _number(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None


def _bytes(mebibytes: str) -> int | None:
    number = _number(mebibytes)
    return None if number is None else number * MIB
