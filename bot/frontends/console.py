"""A terminal as a chat: numbered buttons, commands, photos by path.

On a terminal an edited message is drawn again in place while it is the last one; in a pipe only
its new lines are printed. The text is the same as everywhere.
"""

import asyncio
import codecs
import glob
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console as Screen
from rich.text import Text as Styled

from bot.events import Choice, Command, Event, Text
from bot.frontend import Attachment, Incoming, Limits, Message, NetworkError, Receive
from bot.screen import parse_data
from storage.job import new_id
from storage.people_store import Person

PLATFORM = "tty"
CHAT = f"{PLATFORM}:local"
SETTLED_S = 0.6
NAME_CHARS = 255  # no file system here has longer names
FILES_AT_ONCE = 25  # a folder may be large; this many are read into memory together
MARKS = re.compile(r"\*\*(?P<bold>[^*]+)\*\*|`(?P<cyan>[^`]+)`|(?P<magenta>[▓█░▒]{5,})")
COMMAND = re.compile(r"/([A-Za-z_]+)(?:\s+(.*))?")


@dataclass(frozen=True, slots=True)
class Key:
    """What a number presses: a button's data, in one message."""

    ref: str
    data: str


class Console:
    """``done`` is set when the reader has left; a pipe that ends waits for what it started."""

    platform = PLATFORM

    def __init__(self, screen: Screen | None = None, keyboard: int | None = None) -> None:
        self.screen = screen or Screen(highlight=False, soft_wrap=True)
        self.done = asyncio.Event()
        self.limits = Limits(
            text=100_000,
            in_file_bytes=50_000_000,
            edit_interval_s=0.3 if self.screen.is_terminal else 1.0,
            paths=True,
            idempotent=True,
        )
        self._keyboard = sys.stdin.fileno() if keyboard is None else keyboard
        self._messages: dict[str, Message] = {}
        self._keys: dict[int, Key] = {}
        self._last = ""  # the message right above the cursor
        self._height = 0
        self._spoke_at = 0.0

    async def send(self, chat: str, message: Message, *, key: str) -> str:
        """A repeated key is the same message: said already, so only what is new is shown."""
        if key in self._messages:
            await self.edit(chat, key, message)
            return key
        if message.buttons:
            self._keys.clear()
        self._show(key, message)
        return key

    async def edit(self, chat: str, ref: str, message: Message) -> None:  # noqa: ARG002  there is one
        before = self._messages.get(ref)
        if before == message:
            return
        if self.screen.is_terminal:
            self._show(ref, message)
        else:
            self._show(ref, message, before)

    def _show(self, ref: str, message: Message, before: Message | None = None) -> None:
        """All of it, or only what is new since ``before``."""
        self._messages[ref] = message
        self._spoke_at = time.monotonic()
        seen = set(before.text.splitlines()) if before else set()
        lines = [styled(line) for line in message.text.splitlines() if line not in seen]
        if message.picture is not None and (before is None or before.picture != message.picture):
            lines.append(Styled(f"[picture: {message.picture.path}]", style="dim"))
        rows = list(self._rows(ref, message))
        if before is None or before.buttons != message.buttons:
            lines += [Styled(row, style="bold") for row in rows]
        self._draw(ref, lines)

    def _rows(self, ref: str, message: Message) -> Iterator[str]:
        """Rows of buttons. An edited message takes free numbers: what others show stays true."""
        self._keys = {number: key for number, key in self._keys.items() if key.ref != ref}
        for row in message.buttons:
            words = []
            for button in row:
                if button.url:
                    words.append(f"{button.label}: {button.url}")
                    continue
                number = next(n for n in range(1, len(self._keys) + 2) if n not in self._keys)
                self._keys[number] = Key(ref, button.data)
                words.append(f"[{number}] {button.label}")
            yield "  ".join(words)

    def _draw(self, ref: str, lines: list[Styled]) -> None:
        """In place of the same message if that is the last thing on the screen."""
        if not self.screen.is_terminal:
            for line in lines:
                self.screen.print(line)
            return
        width, height = self.screen.size
        with self.screen.capture() as captured:
            for line in lines:
                self.screen.print(line, soft_wrap=False, width=max(width - 1, 1))
        drawn = captured.get()
        rows = drawn.count("\n")
        if ref != self._last or max(rows, self._height) >= height:
            drawn = f"\r\x1b[K\n{drawn}"
        elif rows == self._height:
            # The cursor returns to where it was: what is being typed below stays.
            overwritten = drawn.replace("\n", "\x1b[K\n")
            drawn = f"\x1b7\x1b[{rows}F{overwritten}\x1b8"
        else:
            drawn = f"\x1b[{self._height}F\x1b[J{drawn}"
        self.screen.file.write(drawn)
        self.screen.file.flush()
        self._last, self._height = ref, rows

    async def run(self, receive: Receive) -> None:
        """Read lines until the input ends. Each line is one update."""
        lines = self._typed()
        await receive(self._incoming(Command("start")))
        await self._settle()
        while (line := await lines.get()) is not None:
            self._last = ""
            for incoming in self._updates(line.strip()):
                await receive(incoming)
            if not os.isatty(self._keyboard):
                await self._settle()
        self.done.set()
        await asyncio.Event().wait()

    def _typed(self) -> asyncio.Queue[str | None]:
        """Lines as they are typed, then None. A daemon reads the bare descriptor: nothing can end
        a thread that waits for a key, and a buffered reader's lock would hold up the exit.
        """
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(line: str | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(lines.put_nowait, line)

        def read() -> None:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            rest = ""
            while data := _read(self._keyboard):
                *whole, rest = (rest + decoder.decode(data)).split("\n")
                for line in whole:
                    tell(line)
            if rest:
                tell(rest)
            tell(None)

        threading.Thread(target=read, daemon=True, name="keyboard").start()
        return lines

    async def _settle(self) -> None:
        """A pipe writes ahead; its next line is meant for what the bot says to this one."""
        self._spoke_at = time.monotonic()
        while (quiet := time.monotonic() - self._spoke_at) < SETTLED_S:  # noqa: ASYNC110
            await asyncio.sleep(SETTLED_S - quiet)

    def _updates(self, line: str) -> Iterator[Incoming]:
        if not line:
            return
        if event := self._pressed(line) or command_of(line):
            yield self._incoming(event)
            return
        try:
            attachments = [attachment_of(path) for path in files_of(line)]
        except OSError as error:
            self.screen.print(f"{error.filename}: {error.strerror}", style="red")
            return
        for start in range(0, len(attachments), FILES_AT_ONCE):
            yield self._incoming(None, attachments[start : start + FILES_AT_ONCE])
        if not attachments:
            yield self._incoming(Text(line))

    def _pressed(self, line: str) -> Choice | None:
        key = self._keys.get(int(line)) if line.isdecimal() and len(line) < 4 else None
        parts = parse_data(key.data) if key else None
        return Choice(*parts) if parts else None

    def _incoming(
        self, event: Event | None, attachments: list[Attachment] | None = None
    ) -> Incoming:
        return Incoming(
            platform=PLATFORM,
            update_id=new_id(),
            chat=CHAT,
            person=Person(id=CHAT, name="terminal", language=os.environ.get("LANG", "")[:5]),
            event=event,
            attachments=tuple(attachments or ()),
        )


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # A terminal that was closed.
        return b""


def command_of(line: str) -> Command | None:
    """``/train`` is a command, also where a folder of that name exists; ``/train/`` is a path."""
    found = COMMAND.fullmatch(line)
    return Command(found[1].lower(), (found[2] or "").strip()) if found else None


def files_of(line: str) -> list[Path]:
    """The files that a line names: paths, quoted paths, patterns, folders. None: it is text.

    A bare word is text even where a folder has this name: it may be the answer to a question.
    """
    try:
        named = [_named(word) for word in shlex.split(line)]
    except (ValueError, RuntimeError):
        # A quote without its other half, or the home of somebody unknown.
        return []
    return [path for some in named for path in some] if all(named) else []


def _named(word: str) -> list[Path]:
    """Files of one word; a folder means what lies directly in it, except hidden files."""
    local = unquote(urlsplit(word).path) if word.startswith("file://") else word
    path = Path(local).expanduser()
    if any(len(part) > NAME_CHARS for part in path.parts):
        return []
    looks_like_a_path = "/" in word or bool(path.suffix)
    if path.is_dir():
        inside = path.iterdir() if "/" in word else ()
        return sorted(one for one in inside if one.is_file() and not one.name.startswith("."))
    if path.is_file():
        return [path] if looks_like_a_path else []
    matches = glob.glob(str(path)) if looks_like_a_path else []  # noqa: PTH207  may be absolute
    return sorted(one for one in map(Path, matches) if one.is_file())


def attachment_of(path: Path) -> Attachment:
    async def fetch() -> bytes:
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise NetworkError("cannot be read", permanent=True) from error

    return Attachment(fetch=fetch, file_bytes=path.stat().st_size, suffix=path.suffix.lower())


def styled(line: str) -> Styled:
    """Our marks as styles; everything else is text, whatever it looks like."""
    text = Styled()
    end = 0
    for found in MARKS.finditer(line):
        text.append(line[end : found.start()])
        text.append(found[found.lastgroup or 0], style=found.lastgroup)
        end = found.end()
    text.append(line[end:])
    return text
