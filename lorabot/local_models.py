"""``lorabot models``: bring networks that look at photos onto this machine, knowingly."""

import hashlib
import tempfile
from pathlib import Path

import httpx
import typer

from pipeline import packs
from pipeline.packs import PackError
from storage.settings import Settings

EXIT_FAILED, EXIT_USAGE = 1, 2
KINDS = (packs.FACES, packs.TAGGER)
CHUNK_BYTES = 1 << 20
PATIENCE_S = 60.0

ASK = """\
{name}: {licence}.
These networks measure faces on this machine. Read their licence, and say --accept if it allows
what you want to do.
"""


def add(
    settings: Settings, which: str, source: Path | None, *, name: str, licence: str, accept: bool
) -> int:
    if which not in KINDS:
        typer.echo(f"The networks are one of: {', '.join(KINDS)}.", err=True)
        return EXIT_USAGE
    if source is None and which == packs.TAGGER:
        typer.echo(
            "Give --from: a folder with model.onnx and selected_tags.csv, for example of"
            " SmilingWolf/wd-vit-tagger-v3 (Apache-2.0).",
            err=True,
        )
        return EXIT_USAGE
    if which == packs.FACES and not accept:
        said = licence or (packs.BUFFALO_L_LICENCE if source is None else "see its publisher")
        typer.echo(ASK.format(name=name or packs.BUFFALO_L, licence=said), err=True)
        return EXIT_USAGE
    try:
        with tempfile.TemporaryDirectory(dir=settings.data_dir) as spool:
            if source is None:
                source = fetch(packs.BUFFALO_L_URL, packs.BUFFALO_L_SHA256, Path(spool))
            home = packs.home(settings.data_dir, which)
            pack = packs.add(source, home, name=name, licence=licence)
    except PackError as error:
        typer.echo(str(error), err=True)
        return EXIT_FAILED
    typer.echo(f"Added {pack.name} ({pack.licence}) to {home}. Restart the worker to use it.")
    return 0


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """Download to the folder; anything else than the known content is thrown away."""
    target, digest = folder / url.rpartition("/")[2], hashlib.sha256()
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=PATIENCE_S) as answer,
            target.open("wb") as file,
            typer.progressbar(length=int(answer.headers.get("content-length", 0))) as bar,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise PackError(f"{url} cannot be downloaded ({type(error).__name__})") from error
    if digest.hexdigest() != sha256:
        raise PackError(f"{url} is not what it should be: its sha256 is another")
    return target
