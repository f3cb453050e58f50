"""Which files a trainer may open: the system's and Python's, what its run is made of, its folder.

All else is not there for it: the database, `.env`, keys, other people's photos and LoRAs. What a
run is made of (`pipeline.grants`) goes to the launcher as text; the launcher (`pipeline.confined`)
adds what every program needs, and asks the kernel. It starts with each trainer, so this is light.
"""

import hashlib
import json
import os
import site
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from storage import landlock
from storage.landlock import Rule

OURS = Path(__file__).resolve().parents[1]
PARTS = ("bin", "lib", "lib32", "lib64", "libexec", "include", "share", "ssl")
CUDA_PARTS = ("nvvm", "targets", "pyvenv.cfg")
SYSTEM = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"),
    *(f"/usr/{part}" for part in (*PARTS, "sbin", "local/sbin")),
    *(f"/usr/local/{part}" for part in PARTS),
    *("/run/opengl-driver", "/run/current-system", "/opt/intel"),
)
SYSTEM_GLOBS = ("usr/local/cuda*", "opt/cuda*", "opt/rocm*", "opt/nvidia*")
# Of /etc what programs look at as they start; it also holds passwords.
ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime", "timezone"),
    *("passwd", "group", "nsswitch.conf", "hosts", "host.conf", "resolv.conf", "hostname"),
    *("ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki", "mime.types", "os-release"),
    *("alternatives", "fonts", "OpenCL", "vulkan", "glvnd", "nvidia", "magic", "locale.alias"),
)
SEEN = ("/proc", "/sys")  # of other processes the kernel shows it nothing that is theirs
# Never all of /dev: to root a disk is a file like any other.
DEVICES = (
    *("null", "zero", "full", "random", "urandom"),
    *("nvidia*", "dri", "kfd", "dxg", "accel*", "infiniband"),
)
SHARED = "/dev/shm"  # noqa: S108  where processes of one training share memory
MPS = "/tmp/nvidia-mps"  # noqa: S108  NVIDIA's own place
HUB = ("hub", "modules", "accelerate", "datasets")  # its token lies beside these


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Folders and files to run programs from, to read, and to write. ``kept`` is what trainers keep
    from run to run; they may write under its ``cache`` and ``tmp``.
    """

    kept: Path
    run: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()

    def to_text(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> Self:
        said = json.loads(text)
        more = {name: tuple(map(Path, said[name])) for name in ("run", "read", "write")}
        return cls(kept=Path(said["kept"]), **more)

    def running(self, *more: Path) -> "Reach":
        return replace(self, run=(*self.run, *more))

    def reading(self, *more: Path) -> "Reach":
        return replace(self, read=(*self.read, *more))

    def writing(self, *more: Path) -> "Reach":
        return replace(self, write=(*self.write, *more))

    def marks(self) -> list[tuple[int, int]]:
        """A grant is for a file and not for its name: when these change, files were replaced, and
        a process that got its grants earlier has to go.
        """
        return [_mark(path) for path in (*self.run, *self.read, *self.write)]

    @property
    def modules(self) -> Path:
        """Where a trainer finds our package: its true folder may have `.env` and data in it."""
        return self.kept / "modules" / hashlib.sha256(os.fsencode(OURS)).hexdigest()[:12]

    @property
    def tmp(self) -> Path:
        return self.kept / "tmp"

    @property
    def cache(self) -> Path:
        return self.kept / "cache"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Where libraries are to write, and not to look for a token."""
        home = Path(given.get("HOME") or "/nonexistent")
        return {
            "TMPDIR": str(self.tmp),
            "XDG_CACHE_HOME": str(self.cache),
            "HF_HOME": given.get("HF_HOME") or str(home / ".cache" / "huggingface"),
            "HF_TOKEN_PATH": str(self.cache / "no-token"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.cache / "inductor"),
            "PYTORCH_KERNEL_CACHE_PATH": str(self.cache / "kernels"),
            "TRITON_CACHE_DIR": str(self.cache / "triton"),
            "CUDA_CACHE_PATH": str(self.cache / "cuda"),
            "NUMBA_CACHE_DIR": str(self.cache / "numba"),
            "MPLCONFIGDIR": str(self.cache / "matplotlib"),
        }


def hub(given: Mapping[str, str]) -> list[Path]:
    """The parts of Hugging Face's cache that are models and their code."""
    own = given.get("HF_HOME")
    return [Path(own, part) for part in HUB] if own else []


def rules(reach: Reach, given: Mapping[str, str]) -> list[Rule]:
    """All that is granted to a process with the environment ``given``."""
    run = [*map(Path, SYSTEM), *_found(Path("/"), SYSTEM_GLOBS), *_libraries(given)]
    run += [*pythons_of(Path(sys.executable)), *_imported(reach.kept), *reach.run]
    read = [*(Path("/etc", name) for name in ETC), *map(Path, SEEN), *hub(given), *reach.read]
    read += [reach.modules, *(one.resolve() for one in reach.modules.glob("*"))]
    mps = Path(given.get("CUDA_MPS_PIPE_DIRECTORY") or MPS)
    write = [reach.cache, reach.tmp, Path(SHARED), mps, *reach.write]
    return [
        *((path, landlock.RUN) for path in run),
        *((path, landlock.READ) for path in read),
        *((path, landlock.DEVICE) for path in _found(Path("/dev"), DEVICES)),
        *((path, landlock.WRITE) for path in write),
    ]


def pythons_of(python: Path) -> Iterator[Path]:
    """The folders of an interpreter, and of the one that it is a link to."""
    homes = {one.parent.parent: None for one in (python.absolute(), python.resolve())}
    if python.absolute() == Path(sys.executable):
        homes |= dict.fromkeys(map(Path, (sys.prefix, sys.exec_prefix, sys.base_prefix)))
    yield python
    for home in homes:
        for name in (*PARTS, *CUDA_PARTS):
            yield home / name


def _imported(kept: Path) -> Iterator[Path]:
    """From where modules come; never all of a folder that has our code or data in it."""
    packages = (*site.getsitepackages(), site.getusersitepackages())
    yield from map(Path, packages)
    for entry in sys.path:
        place = Path(entry).resolve()
        if entry and not any(ours.is_relative_to(place) for ours in (OURS, kept.resolve())):
            yield place


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _libraries(given: Mapping[str, str]) -> Iterator[Path]:
    for name in ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH"):
        for one in given.get(name, "").split(os.pathsep):
            if Path(one).is_absolute():
                yield Path(one)


def _found(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from root.glob(pattern)
