"""Which trainer a base model is trained with: the worker's own, or the operator's sd-scripts."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.crew import Crew
from pipeline.shop import FailedError, Shop
from pipeline.train import Backend
from storage.bases import SD_SCRIPTS, Base
from storage.job import Failure
from trainer.backends import sd_scripts
from trainer.run import Extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """``extra`` is for the run's file. Only our own trainer stays between runs."""

    backend: Backend
    extra: dict[str, Extra] = field(default_factory=dict)
    crew: Crew | None = None


def chosen(base: Base, shop: Shop) -> Chosen:
    """Raises FailedError where the base wants a checkout that this worker has not."""
    if base.backend != SD_SCRIPTS:
        return Chosen(backend=shop.backend, crew=shop.crew)
    settings = shop.settings
    if settings.sd_scripts_dir is None:
        raise FailedError(Failure(code="fail.base", detail="SD_SCRIPTS_DIR is not set"))
    extra: dict[str, Extra] = {"sd_scripts_dir": _whole(settings.sd_scripts_dir)}
    if settings.sd_scripts_python is not None:
        extra["sd_scripts_python"] = _whole(settings.sd_scripts_python)
    return Chosen(backend=sd_scripts, extra=extra | dict(base.options))


def _whole(path: Path) -> str:
    """The trainer works in another folder than we do."""
    return str(path.expanduser().absolute())
