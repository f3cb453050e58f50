"""Which weights may be read at all: only ``.safetensors``. The older formats can run code. Pure.

The libraries are told so, too; but a list of a model's parts may name a part of another format,
and then they follow the list.
"""

import json
from pathlib import Path

# What torch and its like unpickle.
CODE = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
MOST_LIST_BYTES = 50_000_000


def is_code(name: str) -> bool:
    return name.strip().lower().endswith(CODE)


def why_not(base: Path) -> str:
    """What in this folder would lead to another format; empty where nothing does."""
    for listed in sorted(base.rglob("*.index.json")) if base.is_dir() else ():
        try:
            names = _parts(listed)
        except (OSError, ValueError, AttributeError, RecursionError):
            return f"{listed.name} in {listed.parent.name} cannot be read"
        for name in names:
            if not name.endswith(".safetensors") or Path(name).name != name:
                return f"{listed.name} names {name[:100]!r}; only .safetensors beside it is read"
    return ""


def _parts(listed: Path) -> list[str]:
    """Of a list that no loader takes, like the one for the older format: none."""
    if not listed.name.endswith(".safetensors.index.json"):
        return []
    if listed.stat().st_size > MOST_LIST_BYTES:
        raise ValueError("too long for a list")
    named = json.loads(listed.read_text(encoding="utf-8")).get("weight_map", {}).values()
    return sorted({str(name) for name in named})
