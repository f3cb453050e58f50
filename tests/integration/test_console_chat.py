"""The terminal as a chat: through a real terminal, through a pipe, and as a process."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console as Screen

from bot.events import Choice, Command, Event, Text
from bot.frontend import Incoming, Message, NetworkError, RenderedButton
from bot.frontends.console import CHAT, Console, attachment_of, command_of, files_of, styled
from tests.glass import Glass
from tests.patience import PATIENCE_S

TRAIN = RenderedButton(label="Train", data="train::")
HELP = RenderedButton(label="Help", data="help::")
STOP = RenderedButton(label="Stop", data="stop:j1:")


def said(text: str, *buttons: RenderedButton) -> Message:
    return Message(text=text, buttons=(buttons,) if buttons else ())


def on_glass(width: int = 40, height: int = 20) -> tuple[Console, StringIO]:
    out = StringIO()
    screen = Screen(file=out, force_terminal=True, width=width, height=height, highlight=False)
    screen.soft_wrap = True
    return Console(screen, keyboard=0), out


def seen(out: StringIO) -> str:
    glass = Glass()
    glass.write(out.getvalue())
    return glass.text


def in_pipe() -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(Screen(file=out, highlight=False, soft_wrap=True), keyboard=0), out


async def test_an_edited_message_is_drawn_in_its_place() -> None:
    console, out = on_glass()
    await console.send(CHAT, said("hello", TRAIN), key="a")
    await console.send(CHAT, said("62 %\nstep 5", STOP), key="b")
    await console.edit(CHAT, "b", said("63 %\nstep 6", STOP))
    assert seen(out) == "hello\n[1] Train\n\n63 %\nstep 6\n[1] Stop"


async def test_a_message_that_grows_and_shrinks_leaves_nothing_behind() -> None:
    console, out = on_glass()
    for text in (
        "one",
        "one\ntwo\nthree",
        "one, and so long a line that it needs a second row",
        "x",
    ):
        await console.send(CHAT, said(text), key="a")
    assert seen(out) == "x"


async def test_what_is_being_typed_stays_while_a_message_changes() -> None:
    console, out = on_glass()
    await console.send(CHAT, said("62 %"), key="a")
    out.write("half a wo")
    await console.edit(CHAT, "a", said("63 %"))
    assert seen(out) == "63 %\nhalf a wo"


async def test_a_message_further_up_is_said_again() -> None:
    console, out = on_glass()
    await console.send(CHAT, said("status 1"), key="a")
    await console.send(CHAT, said("hello"), key="b")
    await console.edit(CHAT, "a", said("status 2"))
    await console.edit(CHAT, "a", said("status 3"))
    assert seen(out) == "status 1\n\nhello\n\nstatus 3"


async def test_a_message_taller_than_the_screen_is_only_printed() -> None:
    console, out = on_glass(height=4)
    tall = "\n".join("abcdef")
    await console.send(CHAT, said(tall), key="a")
    await console.edit(CHAT, "a", said(tall + "g"))
    assert "\x1b[6F" not in out.getvalue()


async def test_an_edit_does_not_take_the_numbers_of_another_message() -> None:
    console, _ = on_glass()
    await console.send(CHAT, said("status", STOP), key="status")
    await console.send(CHAT, said("ready?", TRAIN, HELP), key="panel")
    await console.edit(CHAT, "status", said("status 2", STOP))
    assert console._pressed("1") == Choice("train")
    assert console._pressed("3") == Choice("stop", "j1")


async def test_a_message_without_buttons_leaves_the_numbers() -> None:
    console, _ = on_glass()
    await console.send(CHAT, said("ready?", TRAIN), key="panel")
    await console.send(CHAT, said("by the way"), key="toast")
    assert console._pressed("1") == Choice("train")
    await console.edit(CHAT, "panel", said("done"))
    assert console._pressed("1") is None


async def test_a_link_is_printed_and_has_no_number() -> None:
    console, out = in_pipe()
    link = RenderedButton(label="Download", url="http://x/dl/1")
    await console.send(CHAT, said("ready", link, HELP), key="a")
    assert out.getvalue() == "ready\nDownload: http://x/dl/1  [1] Help\n"


async def test_a_pipe_gets_only_the_lines_that_are_new() -> None:
    console, out = in_pipe()
    await console.send(CHAT, said("**mochi**\n62 %", STOP), key="a")
    await console.edit(CHAT, "a", said("**mochi**\n63 %", STOP))
    await console.edit(CHAT, "a", said("**mochi**\n63 %", STOP))
    assert out.getvalue() == "mochi\n62 %\n[1] Stop\n63 %\n"


def test_marks_become_styles_and_the_rest_is_text() -> None:
    text = styled("**b** `c` ▓▓░░░ [red] ** `")
    assert text.plain == "b c ▓▓░░░ [red] ** `"
    assert [span.style for span in text.spans] == ["bold", "cyan", "magenta"]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("/train", Command("train")),
        ("/Train  a b ", Command("train", "a b")),
        ("/photos/", None),
        ("/photos/a.png", None),
        ("mochi", None),
    ],
)
def test_a_slash_and_a_word_are_a_command(line: str, event: Command | None) -> None:
    assert command_of(line.strip()) == event


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mochi" / "inner").mkdir(parents=True)
    for name in ("mochi/b.png", "mochi/a b.jpg", "mochi/.hidden", "1", "c.zip"):
        (tmp_path / name).write_bytes(b"data")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("mochi/b.png", ["b.png"]),
        ("'mochi/a b.jpg'", ["a b.jpg"]),
        (r"mochi/a\ b.jpg mochi/b.png", ["a b.jpg", "b.png"]),
        ("mochi/*.png", ["b.png"]),
        ("mochi/", ["a b.jpg", "b.png"]),
        ("~/mochi", ["a b.jpg", "b.png"]),
        ("c.zip", ["c.zip"]),
        ("{folder}/mochi/*", ["a b.jpg", "b.png"]),
        ("file://{folder}/mochi/a%20b.jpg", ["a b.jpg"]),
    ],
)
def test_files_are_named_as_people_name_them(folder: Path, line: str, names: list[str]) -> None:
    assert [path.name for path in files_of(line.format(folder=folder))] == names


@pytest.mark.parametrize(
    "line",
    ["mochi", "1", ".", "nowhere/", "mochi/b.png and more", "it's", "~nobody/x", "a" * 5000, "?"],
)
def test_an_answer_is_text_even_where_a_file_has_this_name(folder: Path, line: str) -> None:
    assert folder.is_dir()
    assert files_of(line) == []


async def test_a_file_that_goes_away_is_a_network_error(folder: Path) -> None:
    attachment = attachment_of(folder / "c.zip")
    assert await attachment.fetch() == b"data"
    (folder / "c.zip").unlink()
    with pytest.raises(NetworkError):
        await attachment.fetch()


async def test_a_large_folder_comes_in_portions(folder: Path) -> None:
    console, _ = in_pipe()
    for n in range(58):
        (folder / "mochi" / f"{n}.png").write_bytes(b"data")
    counts = [len(one.attachments) for one in console._updates("mochi/")]
    assert counts == [25, 25, 10]


@dataclass
class Desk:
    """A console with a real keyboard; what arrives is collected."""

    console: Console
    keyboard: int
    came: "asyncio.Queue[Incoming]" = field(default_factory=asyncio.Queue)
    gone: bool = False

    async def receive(self, incoming: Incoming) -> None:
        if incoming.event == Command("start"):
            await self.console.send(CHAT, said("hello", TRAIN), key="hello")
        self.came.put_nowait(incoming)

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    async def event(self) -> Event | None:
        return (await asyncio.wait_for(self.came.get(), PATIENCE_S)).event

    def hang_up(self) -> None:
        """Ctrl+D, or the end of the pipe."""
        if self.gone:
            return
        self.gone = True
        if os.isatty(self.keyboard):
            self.type("\x04")
        else:
            os.close(self.keyboard)


@pytest.fixture(params=["terminal", "pipe"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    terminal = request.param == "terminal"
    typed, read = pty.openpty() if terminal else reversed(os.pipe())
    one = Desk(Console(Screen(file=StringIO(), soft_wrap=True), keyboard=read), typed)
    running = asyncio.create_task(one.console.run(one.receive))
    assert await one.event() == Command("start")
    yield one
    # The reading thread ends before its descriptor is closed.
    one.hang_up()
    await asyncio.wait_for(one.console.done.wait(), PATIENCE_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    os.close(read)
    if terminal:
        os.close(typed)


async def test_lines_are_commands_buttons_texts_and_files(desk: Desk, folder: Path) -> None:
    desk.type("/train\n1\n7\nмочи\n\n" + str(folder / "c.zip") + "\n")
    events = [await desk.event() for _ in range(4)]
    assert events == [Command("train"), Choice("train"), Text("7"), Text("мочи")]
    (attachment,) = (await asyncio.wait_for(desk.came.get(), PATIENCE_S)).attachments
    assert attachment.suffix == ".zip"


async def test_every_line_is_an_update_of_its_own(desk: Desk) -> None:
    desk.type("a\na\n")
    ids = {(await asyncio.wait_for(desk.came.get(), PATIENCE_S)).update_id for _ in range(2)}
    assert len(ids) == 2


async def test_the_end_of_the_input_is_the_end_of_the_chat(desk: Desk) -> None:
    desk.type("last\n")
    assert await desk.event() == Text("last")
    desk.hang_up()
    await asyncio.wait_for(desk.console.done.wait(), PATIENCE_S)


async def test_ctrl_c_leaves_the_terminal_at_once(tmp_path: Path) -> None:
    """As a process, because only there an unfinished read can hold up the exit."""
    typed, read = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lorabot", "chat"),
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DATA_DIR": str(tmp_path / "data"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TERM": "xterm",
        },
        stdin=read,
        stdout=read,
        stderr=read,
        preexec_fn=lambda: take_terminal(read),
    )
    os.close(read)
    shown = await asyncio.to_thread(read_until, typed, "[1]")
    os.write(typed, b"\x03")
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    shown += await asyncio.to_thread(read_until, typed, "")
    os.close(typed)
    assert "Traceback" not in shown
    assert "Fatal" not in shown


def take_terminal(descriptor: int) -> None:
    """Ctrl+C reaches the process that the terminal belongs to."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def read_until(descriptor: int, text: str) -> str:
    """What a terminal shows until ``text``, or until it is closed."""
    shown = ""
    while not text or text not in shown:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            return shown
        shown += data.decode(errors="replace")
    return shown
