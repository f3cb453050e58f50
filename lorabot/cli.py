"""The commands. Each reads the settings once and hands them on; the work is done elsewhere."""

import asyncio
import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from lorabot import logs
from lorabot.seclusion import seclude
from storage import settings as settings_module
from storage.bases import DEMO, BasesFileError
from storage.migrate import DamagedError, NewerSchemaError
from storage.one_host import FileGoneError, SecondHostError
from storage.settings import Settings

EXIT_CONFIG = 78  # sysexits' EX_CONFIG: starting again would not help

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _settings() -> Settings:
    """The settings, or a sentence for each one that is wrong, and out."""
    try:
        settings = settings_module.load()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.data_dir / "run").mkdir(exist_ok=True, mode=0o700)
    except ValidationError as error:
        for line in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in line["loc"]).upper() or "settings"
            typer.echo(f"{name}: {line['msg']}", err=True)
        raise typer.Exit(EXIT_CONFIG) from None
    except OSError as error:
        _end_for("DATA_DIR or a *_FILE secret", error)
    return settings


def _settings_of_service() -> Settings:
    """The same for whoever stays and writes there all the time."""
    settings = _settings()
    try:
        with tempfile.TemporaryFile(dir=settings.data_dir / "run"):
            return settings
    except OSError as error:
        _end_for("DATA_DIR", error)


def _end_for(what: str, error: OSError) -> NoReturn:
    typer.echo(f"{what}: {error.strerror} ({error.filename})", err=True)
    raise typer.Exit(EXIT_CONFIG) from None


def _log(settings: Settings, process: str, file: Path | None = None) -> None:
    logs.configure(settings.log_level, file=file, form=logs.form_of(settings, process))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lorabot {importlib.metadata.version('lorabot')}")
        raise typer.Exit


@app.callback()
def front_door(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Turn 8-25 photos sent in a chat into a trained LoRA, on your own machine."""


@app.command()
def up() -> None:
    """Run everything on this machine: bot, worker, and a small Redis."""
    from lorabot import up as supervisor

    settings = _settings_of_service()
    seclude(settings.data_dir)
    _log(settings, "up")
    raise typer.Exit(asyncio.run(supervisor.up(settings)))


@app.command()
def bot() -> None:
    """Run the chat side alone: the local web chat, and Telegram where a token is set."""
    from bot.links import WeakSecretError
    from lorabot import compose

    settings = _settings_of_service()
    seclude(settings.data_dir)
    _log(settings, "bot")
    try:
        raise typer.Exit(asyncio.run(compose.serve_bot(settings)))
    except WeakSecretError as error:
        typer.echo(error, err=True)
        raise typer.Exit(EXIT_CONFIG) from None


@app.command()
def worker() -> None:
    """Run one worker on this GPU host: it prepares, trains and copies."""
    from pipeline import worker as pipeline_worker

    settings = _settings_of_service()
    seclude(settings.data_dir)
    _log(settings, "worker")
    pipeline_worker.main(settings)


@app.command()
def chat() -> None:
    """Chat in this terminal; a worker is started if none is running."""
    from lorabot import terminal

    settings = _settings()
    seclude(settings.data_dir)
    _log(settings, "chat", file=settings.data_dir / "logs" / "chat.log")
    raise typer.Exit(asyncio.run(terminal.chat(settings)))


@app.command()
def train(
    photos: Annotated[Path, typer.Argument(help="A folder of photos, or a ZIP of them.")],
    name: Annotated[str, typer.Option(help="The file's name: letters, digits, - and _.")],
    trigger: Annotated[str, typer.Option(help="The word that calls it. [default: NAMEx]")] = "",
    kind: Annotated[str, typer.Option(help="person, character, style or thing")] = "person",
    base: Annotated[str, typer.Option(help="The base model, as in bases.toml.")] = DEMO,
    steps: Annotated[int, typer.Option(help="0 takes the base's own number.")] = 0,
) -> None:
    """Train without a chat: the same pipeline, a progress bar, and an exit code."""
    from lorabot import local_train

    settings = _settings()
    logs.configure("WARNING", file=settings.data_dir / "logs" / "train.log")
    order = local_train.Order(
        source=photos, name=name, trigger=trigger or f"{name}x", kind=kind, base=base, steps=steps
    )
    raise typer.Exit(asyncio.run(local_train.train(settings, order)))


@app.command()
def prepare(  # noqa: PLR0913, PLR0917  each is a switch of the command line
    photos: Annotated[Path, typer.Argument(help="A folder of photos, or a ZIP of them.")],
    out: Annotated[Path, typer.Argument(help="The folder that the dataset is put into.")],
    trigger: Annotated[str, typer.Option(help="The word that calls the subject.")] = "ohwx",
    kind: Annotated[str, typer.Option(help="person, character, style or thing")] = "person",
    style: Annotated[str, typer.Option(help="Captions: sentence or tags (booru)")] = "sentence",
    resolution: Annotated[int, typer.Option(help="Side of the square of a picture's area.")] = 512,
    square: Annotated[bool, typer.Option(help="Squares only, instead of buckets.")] = False,
    repeats: Annotated[int, typer.Option(help="For sd-scripts: in the folder's name.")] = 10,
    looks: Annotated[bool, typer.Option(help="Also say what the subject looks like.")] = False,
    pack: Annotated[bool, typer.Option(help="Make a ZIP, too.")] = True,
) -> None:
    """Make a dataset of photos: checked, cut, captioned, with a report. No chat, no training."""
    from lorabot import local_prepare

    settings = _settings()
    logs.configure("WARNING", file=settings.data_dir / "logs" / "prepare.log")
    order = local_prepare.Order(
        source=photos,
        out=out,
        trigger=trigger,
        kind=kind,
        style=style,
        resolution=resolution,
        square=square,
        repeats=repeats,
        keep_identity=looks,
        pack=pack,
    )
    raise typer.Exit(asyncio.run(local_prepare.run(settings, order)))


@app.command()
def models(
    which: Annotated[str, typer.Argument(help="faces or tagger")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder or ZIP with the networks.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call them.")] = "",
    licence: Annotated[str, typer.Option(help="The licence that they are under.")] = "",
    accept: Annotated[bool, typer.Option(help="I read the licence, and it allows it.")] = False,
) -> None:
    """Add networks that look at photos: for faces, or for words (a WD14 tagger)."""
    from lorabot import local_models

    raise typer.Exit(
        local_models.add(_settings(), which, source, name=name, licence=licence, accept=accept)
    )


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine: what there is, its state, and the fix. Exit 0, 1 (warn) or 2 (fail)."""
    from lorabot import doctor as examination

    findings = asyncio.run(examination.examine(_settings()))
    raise typer.Exit(examination.report(findings, as_json=as_json))


@app.command()
def health(
    part: Annotated[str, typer.Argument(help="bot or worker")],
) -> None:
    """Say whether the bot or the worker of this machine lives: exit 0 or 1, for health checks."""
    from lorabot import health as asked

    if part not in set(asked.Part):
        raise typer.BadParameter("bot or worker")
    wrong = asked.sick(_settings(), asked.Part(part))
    if wrong:
        typer.echo(wrong, err=True)
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file that is made, like lorabot.backup.")],
    photos: Annotated[bool, typer.Option(help="Photos of jobs that have ended.")] = True,
    artifacts: Annotated[bool, typer.Option(help="Finished models and their samples.")] = True,
    models: Annotated[bool, typer.Option(help="Networks that were added by `models`.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Also what lies in BLOB_URL.")] = False,
) -> None:
    """Save everything into one file, while it runs: database, photos, models, keys, lists."""
    from lorabot import backup as saving

    choice = saving.Choice(photos=photos, artifacts=artifacts, models=models)
    try:
        typer.echo(saving.make(_settings(), file.absolute(), choice, files=files))
    except saving.BackupError as error:
        _end(error)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `lorabot backup` made.")],
    check: Annotated[bool, typer.Option("--check", help="Read all of it, write nothing.")] = False,
) -> None:
    """Take a backup into an empty DATA_DIR, and into an empty database where it is Postgres."""
    from lorabot import restore as taking
    from lorabot.backup import BackupError

    try:
        typer.echo(taking.check(file) if check else taking.restore(_settings(), file))
    except BackupError as error:
        _end(error)


def _end(error: Exception) -> NoReturn:
    """A sentence, and out."""
    typer.echo(str(error), err=True)
    raise typer.Exit(1)


def main() -> None:
    # Before numpy is loaded: its products here are small, and threads take longer to wake.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except BasesFileError as error:
        sys.exit(f"The list of base models is not usable. {error}")
    except (DamagedError, FileGoneError, NewerSchemaError, SecondHostError) as error:
        typer.echo(error, err=True)
        sys.exit(EXIT_CONFIG)
    except KeyboardInterrupt:
        os._exit(130)
