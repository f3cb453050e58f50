"""A model's card: what it is and how it came about. Without captions or anybody's name. Pure."""

from datetime import UTC, datetime

from bot.howto import FAMILIES
from bot.texts.catalog import Catalog
from storage.job import Artifact, Job


def card(job: Job, made: Artifact, base: str, catalog: Catalog) -> str:
    """``base`` is the base model's title."""
    params = job.params
    when = datetime.fromtimestamp(job.finished_at or job.created_at, UTC)
    args: dict[str, str | int | float] = {
        "file": made.name,
        "stem": made.name.removesuffix(".safetensors"),
        "trigger": params.trigger,
        "class_word": params.class_word,
        "base": base,
        "family": FAMILIES.get(params.family, params.family),
        "rank": params.rank,
        "alpha": f"{params.alpha:g}",
        "steps": job.taken.step if job.taken else params.max_steps,
        "resolution": params.resolution,
        "learning_rate": f"{params.learning_rate:g}",
        "photos": len(job.photos) - len(job.rejections),
        "sha256": made.sha256,
        "size": made.file_bytes,
        "date": when.strftime("%Y-%m-%d"),
    }
    return catalog.text("card.text", args) + "\n"
