"""A rectangle in a picture. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels, or shares of the picture; ``right`` and ``bottom`` are the first ones outside."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, by_x: float, by_y: float) -> "Box":
        return Box(self.left * by_x, self.top * by_y, self.right * by_x, self.bottom * by_y)

    def moved(self, by_x: float, by_y: float) -> "Box":
        return Box(self.left + by_x, self.top + by_y, self.right + by_x, self.bottom + by_y)

    def within(self, other: "Box") -> "Box":
        """The part of this box that lies in the other."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def grown(self, left: float, top: float, right: float, bottom: float) -> "Box":
        return Box(self.left - left, self.top - top, self.right + right, self.bottom + bottom)

    def rounded(self) -> "Box":
        """As it travels and is kept: to a hundred-thousandth."""
        return Box(*(round(value, 5) for value in self.as_list()))

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0..1."""
        shared = self.within(other).area
        joined = self.area + other.area - shared
        return shared / joined if joined > 0 else 0.0

    def as_list(self) -> list[float]:
        return [self.left, self.top, self.right, self.bottom]
