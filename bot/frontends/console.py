"""A terminal as a chat: numbered buttons, commands, photos by path.

On a terminal an edited message is drawn again in place while it is the last one; in a pipe only
its new lines are printed. The text is the same as everywhere.
"""

import asyncio
import glob
import itertools
import shlex
import sys
import threading
import time
from pathlib import Path

from rich.console import Console as Screen
from rich.text import Text as Styled

from bot.events import Choice, Command, Event, Text
from bot.frontend import Attachment, Incoming, Limits, Message, NetworkError, Receive
from bot.screen import parse_data
from storage.job import new_id
from storage.people_store import Person

PLATFORM = "tty"
CHAT = f"{PLATFORM}:local"
EDIT_S = 0.5
SETTLED_S = 0.6
MARKS = (("**", "bold"), ("`", "cyan"))


class Console:
    """``done`` is set when the reader has left; a pipe that ends waits for what it started."""

    platform = PLATFORM
    limits = Limits(
        text=100_000, in_file_bytes=50_000_000, edit_interval_s=EDIT_S, paths=True, idempotent=True
    )

    def __init__(self, screen: Screen | None = None) -> None:
        self.screen = screen or Screen(highlight=False, soft_wrap=True)
        self.done = asyncio.Event()
        self._messages: dict[str, Message] = {}
        self._last = ""
        self._buttons: dict[int, str] = {}
        self._spoke_at = 0.0

    async def send(self, chat: str, message: Message, *, key: str) -> str:
        """A repeated key is the same message: said already, so only what is new is printed."""
        if key in self._messages:
            await self.edit(chat, key, message)
            return key
        self._messages[key] = message
        self._last = key
        self._print(message)
        return key

    async def edit(self, chat: str, ref: str, message: Message) -> None:  # noqa: ARG002  there is one
        before = self._messages.get(ref)
        self._messages[ref] = message
        if before == message:
            return
        if before is not None and ref == self._last and self.screen.is_terminal:
            lines = len(before.text.splitlines()) + len(before.buttons)
            # Up to where the message begins, and clear from there.
            self.screen.file.write(f"\x1b[{lines}F\x1b[J")
            self._print(message)
            return
        self._last = ref
        self._print(message, before)

    def _print(self, message: Message, before: Message | None = None) -> None:
        """All of it, or only what is new since ``before``."""
        self._spoke_at = time.monotonic()
        seen = set(before.text.splitlines()) if before else set()
        for line in message.text.splitlines():
            if line not in seen:
                self.screen.print(styled(line))
        self._buttons = dict(enumerate((b.data for row in message.buttons for b in row), start=1))
        if before is not None and before.buttons == message.buttons:
            return
        numbers = itertools.count(1)
        for row in message.buttons:
            parts = [f"[{next(numbers)}] {button.label}" for button in row]
            self.screen.print(Styled("  ".join(parts), style="bold"))

    async def run(self, receive: Receive) -> None:
        """Read lines until the input ends. Each line is one update."""
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

        # A daemon, because nothing ends a thread that waits for a key.
        threading.Thread(target=read, daemon=True, name="stdin").start()
        await receive(self._incoming(Command("start")))
        await self._settle()
        while (line := await lines.get()) is not None:
            if not line.strip():
                continue
            files = photos_of(line.strip())
            incoming = (
                self._incoming(None, files) if files else self._incoming(self._event(line.strip()))
            )
            self._last = ""
            await receive(incoming)
            if not sys.stdin.isatty():
                await self._settle()
        self.done.set()
        await asyncio.Event().wait()

    async def _settle(self) -> None:
        """A pipe writes ahead; its next line is meant for what the bot says to this one."""
        self._spoke_at = time.monotonic()
        while (quiet := time.monotonic() - self._spoke_at) < SETTLED_S:  # noqa: ASYNC110
            await asyncio.sleep(SETTLED_S - quiet)

    def _event(self, line: str) -> Event:
        if line.isdecimal() and (data := self._buttons.get(int(line))) is not None:
            parts = parse_data(data)
            if parts is not None:
                return Choice(*parts)
        name, _, argument = line.removeprefix("/").partition(" ")
        if line.startswith("/") and name.isidentifier():
            return Command(name.lower(), argument.strip())
        return Text(line)

    def _incoming(self, event: Event | None, files: list[Path] | None = None) -> Incoming:
        return Incoming(
            platform=PLATFORM,
            update_id=new_id(),
            chat=CHAT,
            person=Person(id=CHAT, name="terminal"),
            event=event,
            attachments=tuple(attachment_of(path) for path in files or ()),
        )


def photos_of(line: str) -> list[Path]:
    """The files that a line names: paths, quoted paths, patterns, folders. None: it is no path."""
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    found: list[Path] = []
    for word in words:
        path = Path(word.removeprefix("file://")).expanduser()
        if path.is_dir():
            found += sorted(one for one in path.iterdir() if one.is_file())
        elif path.is_file():
            found.append(path)
        else:
            matches = sorted(glob.glob(str(path)))  # noqa: PTH207  the pattern may be absolute
            if not matches:
                return []
            found += [Path(one) for one in matches if Path(one).is_file()]
    return found


def attachment_of(path: Path) -> Attachment:
    async def fetch() -> bytes:
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise NetworkError("cannot be read", permanent=True) from error

    return Attachment(fetch=fetch, file_bytes=path.stat().st_size, suffix=path.suffix.lower())


def styled(line: str) -> Styled:
    """Our two marks as styles; everything else is text, whatever it looks like."""
    text = Styled()
    _add(text, line, MARKS, "")
    return text


def _add(text: Styled, part: str, marks: tuple[tuple[str, str], ...], style: str) -> None:
    if not marks:
        text.append(part, style=style or None)
        return
    (mark, name), *rest = marks
    for number, piece in enumerate(part.split(mark)):
        _add(text, piece, tuple(rest), name if number % 2 else style)
