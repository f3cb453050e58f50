"""transformers lists the classes of all its models when it is imported, from a thousand files. A
training needs a few of them: only their folders are read, the others as soon as another class is
asked for.
"""

from collections.abc import Callable
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARY = "transformers"
MAKER = "transformers.utils.import_utils"  # of the list
PREFIX = "models"
# The text encoders of our families, and what diffusers imports by name.
WANTED = ("auto", "clip", "qwen2", "qwen2_5_vl", "qwen3", "t5")

Index = dict[Any, dict[str, Any]]  # what each needs: module: its classes
Make = Callable[..., Index]


class Shortened(Loader):
    """Loads the module that makes the list, and shortens it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        maker: Any = module
        make, lazy = maker.define_import_structure, maker._LazyModule  # noqa: SLF001
        asked = lazy.__getattr__

        def short(path: Path, prefix: str | None = None) -> Index:
            return _of_some(make, path) if prefix == PREFIX else make(path, prefix=prefix)

        def getting(self: Any, name: str) -> Any:
            try:
                return asked(self, name)
            except AttributeError:
                if name.startswith("__") or not _completed(self, name, make):
                    raise
            return asked(self, name)

        maker.define_import_structure, lazy.__getattr__ = short, getting


def _of_some(make: Make, path: Path) -> Index:
    whole: Index = {}
    for name in WANTED:
        for needs, modules in make(path / name, prefix=f"{PREFIX}.{name}").items():
            whole.setdefault(needs, {}).update(modules)
    return whole


def _completed(library: Any, name: str, make: Make) -> bool:
    """Whether there was anything that it had not; the whole library's list alone is short."""
    if library.__name__ != LIBRARY or vars(library).get("_completed"):
        return False
    folder = Path(library.__file__).parent
    if (folder / name).with_suffix(".py").exists() or (folder / name).is_dir():
        return False  # a module of its own, which is imported next
    library._completed = True  # noqa: SLF001
    index = make(folder / PREFIX, prefix=PREFIX)
    full = type(library)(LIBRARY, library.__file__, index, module_spec=library.__spec__)
    for part in ("_class_to_module", "_object_missing_backend", "_import_structure"):
        vars(library)[part].update({**vars(full)[part], **vars(library)[part]})
    library._modules.update(full._modules)  # noqa: SLF001
    library.__all__ = list({*library.__all__, *full.__all__})
    return True
