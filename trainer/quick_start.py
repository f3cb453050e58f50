"""Stand-ins for what the libraries import by the way, and a training never needs: a third of the
work until a run begins, and a tenth of its memory. Asked for anything that it has not, a stand-in
makes room for what it stands for.
"""

import gc
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from trainer import model_index

# Imported by the libraries if they are there, and never used by a training: half a second.
UNUSED = ("boto3", "peft", "scipy", "sklearn")
# Packages that import, or look at, every model there is: only the modules asked for are needed.
CROWDS = (
    "transformers.models",
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
)
# The largest of them, for nobody who does not compile: libraries only mark functions for it.
COMPILER = "torch._dynamo"
MARKS = ("allow_in_graph", "assume_constant_result", "disable", "graph_break")
ALONE = ("_trace_wrapped_higher_order_op", "config")  # modules in it that do without the rest
# What shape each operator's answer has: for who compiles, or computes with tensors without memory.
SHAPES = "torch._meta_registrations"


def prepare() -> None:
    """Before the first heavy import of a process that trains and does nothing else."""
    # What is imported stays: to look through it for garbage again and again is a tenth of the work.
    gc.disable()
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # "cannot be imported"
    for name in CROWDS:
        _stand(StandIn(name, folders=_folders(name)))
    marks = dict.fromkeys(MARKS, _as_it_is)
    _stand(StandIn(COMPILER, marks, alone=ALONE, along=(SHAPES,)))
    sys.meta_path.insert(0, Finder())
    metadata: Any = importlib.metadata
    metadata.packages_distributions = Distributions(metadata.packages_distributions)
    if "RANK" not in os.environ:
        _stand(StandIn(SHAPES))
        import torch
        from torch._opaque_base import OpaqueBaseMeta

        # Generators wait for this one line of what SHAPES imports.
        set_kind: Any = torch._C._set_generator_metaclass  # noqa: SLF001
        set_kind(OpaqueBaseMeta)
        # The libraries would get ready to share a model among machines.
        torch.distributed.is_available = lambda: False


def imported() -> None:
    """The large imports are over: garbage is collected again, and not looked for in them."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def give_way(name: str) -> None:
    """Whoever needs it without asking for anything in it says so. Nothing happens where the real
    one is there already.
    """
    standing = sys.modules.get(name)
    if isinstance(standing, StandIn):
        standing.real()


def _stand(one: "StandIn") -> None:
    sys.modules.setdefault(one.__name__, one)


def _folders(name: str) -> list[str]:
    """Where a package's modules are; neither it nor what it is in is imported."""
    top, *inner = name.split(".")
    found = importlib.util.find_spec(top)
    places = found.submodule_search_locations if found else None
    return [os.path.join(place, *inner) for place in places or ()]  # noqa: PTH118  a path entry


def _as_it_is(call: Any = None, *_: object, **__: object) -> Any:
    """A decorator, with arguments or without, that does nothing."""
    return _as_it_is if call is None else call


class StandIn(ModuleType):
    """In a package's place, without what its ``__init__`` does. It has ``names``, the modules in
    ``folders``, and ``alone``: the modules that can be had without the package. Those of ``along``
    give way with it.
    """

    def __init__(
        self,
        name: str,
        names: Mapping[str, Any] | None = None,
        folders: Sequence[str] = (),
        alone: Sequence[str] = (),
        along: Sequence[str] = (),
    ) -> None:
        super().__init__(name)
        vars(self).update(names or {})
        self.__path__ = list(folders)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__spec__.submodule_search_locations = self.__path__
        self.alone, self.along = alone, along

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.alone:
            return importlib.import_module(f"{self.__name__}.{name}")
        return getattr(self.real(), name)

    def real(self) -> ModuleType:
        """The package itself, in its place from now on."""
        for one in self.along:
            give_way(one)
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        found = importlib.import_module(name)
        for one in self.alone:
            if inner := sys.modules.get(f"{name}.{one}"):
                # Loaded before, and so not tied to its package by the import.
                setattr(found, one, inner)
        # For those who imported the stand-in.
        vars(self).update({key: one for key, one in vars(found).items() if key[:2] != "__"})
        return found


class Finder(MetaPathFinder):
    """Finds the modules of packages that are only stood in for, and whose folders are not known;
    and the one whose list is shortened.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == model_index.MAKER:
            found = PathFinder.find_spec(fullname, path, target)
            if found and found.loader:
                found.loader = model_index.Shortened(found.loader)
            return found
        package, _, name = fullname.rpartition(".")
        standing = sys.modules.get(package)
        if not isinstance(standing, StandIn) or path:
            return None
        if name in standing.alone:
            return PathFinder.find_spec(fullname, _folders(package), target)
        standing.real()
        if fullname in sys.modules:
            return ModuleSpec(fullname, Loaded(sys.modules[fullname]))
        return importlib.util.find_spec(fullname)


class Loaded(Loader):
    """Gives a module that was loaded while it was looked for."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """It has been."""


class Distributions(Mapping[str, list[str]]):
    """Which package each module is from: every file of every package is looked at, but not before
    somebody asks for one.
    """

    def __init__(self, ask: Callable[[], Mapping[str, list[str]]]) -> None:
        self._ask = cache(ask)

    def __call__(self) -> "Distributions":
        return self

    def __getitem__(self, name: str) -> list[str]:
        return self._ask()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask())

    def __len__(self) -> int:
        return len(self._ask())
