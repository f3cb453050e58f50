"""One call of a method, as it came."""

from collections.abc import Mapping
from dataclasses import dataclass

Upload = tuple[str, bytes]  # name, content


@dataclass(frozen=True)
class Call:
    """``values`` are decoded; ``uploads`` by the name of their field."""

    values: Mapping[str, object]
    uploads: Mapping[str, Upload]

    def text(self, name: str) -> str:
        return str(self.values.get(name, ""))

    def number(self, name: str, default: int = 0) -> int:
        return int(float(str(self.values.get(name, default))))

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() == "true"
