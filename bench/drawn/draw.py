"""A creature in its scene as a picture: flat shapes, drawn large and brought down."""

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

from bench.drawn import strange
from bench.drawn.creatures import Colour, Creature, Scene, rgb

OVER = 2  # times larger, and brought down: smooth edges
DARK = (44, 38, 48)
Points = list[tuple[float, float]]


def draw(one: Creature, where: Scene, side: int) -> Image.Image:
    """(side, side) RGB; the same for the same creature and scene."""
    big = side * OVER
    ground = _place(where, big)
    body = Image.new("RGBA", (big, big))
    _Body(one, where, body).draw()
    turned = body.rotate(where.tilt, Image.Resampling.BICUBIC, center=_middle(where, big))
    ground.paste(turned, (0, 0), turned)
    lit = ground.point(lambda value: min(255, round(value * where.light)))
    return lit.resize((side, side), Image.Resampling.BOX)


def _middle(where: Scene, big: int) -> tuple[float, float]:
    return where.x * big, where.y * big


def _place(where: Scene, big: int) -> Image.Image:
    sky, ground = PLACES[where.place]
    whole = Image.new("RGB", (big, big), sky)
    pen = ImageDraw.Draw(whole)
    draw = random.Random(where.seed)
    edge = big * draw.uniform(0.6, 0.75)
    pen.rectangle((0, edge, big, big), fill=ground)
    if where.place == "night":
        for _ in range(14):
            x, y, r = draw.random() * big, draw.random() * edge, big * draw.uniform(0.004, 0.011)
            pen.ellipse((x - r, y - r, x + r, y + r), fill=(244, 236, 180))
    elif where.place in ("meadow", "sea", "desert"):
        x, r = big * draw.choice((0.14, 0.86)), big * 0.09
        pen.ellipse((x - r, big * 0.12 - r, x + r, big * 0.12 + r), fill=(255, 240, 160))
    elif where.place == "snow":
        for _ in range(18):
            x, y, r = draw.random() * big, draw.random() * edge, big * 0.009
            pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255))
    elif where.place == "room":
        x = big * draw.choice((0.08, 0.7))
        pen.rectangle((x, big * 0.08, x + big * 0.22, big * 0.34), fill=(160, 206, 236))
    return whole


PLACES: dict[str, tuple[Colour, Colour]] = {
    "meadow": ((158, 210, 240), (120, 190, 96)),
    "desert": ((250, 220, 170), (222, 184, 120)),
    "snow": ((196, 216, 236), (246, 249, 252)),
    "night": ((34, 40, 84), (52, 66, 92)),
    "sea": ((186, 228, 244), (56, 138, 190)),
    "room": ((236, 208, 186), (170, 124, 92)),
    "grey": ((176, 176, 180), (152, 152, 156)),
}


class _Body:
    """The creature upright, on nothing. Lengths are shares of its height."""

    def __init__(self, one: Creature, where: Scene, canvas: Image.Image) -> None:
        self.one, self.where, self.canvas = one, where, canvas
        self.pen = ImageDraw.Draw(canvas)
        self.unit = where.size * canvas.width
        self.x, self.y = _middle(where, canvas.width)
        if where.pose == "jumping":
            self.y -= self.unit * 0.12
        self.colour, self.second, self.cloth = (
            rgb(one.colour),
            rgb(one.second),
            rgb(one.cloth),
        )
        self.width = {"round": 0.36, "tall": 0.25, "square": 0.33, "pear": 0.34}[one.shape]
        self.top = {"round": -0.3, "tall": -0.42, "square": -0.3, "pear": -0.36}[one.shape]

    def draw(self) -> None:
        self._limbs()
        EARS[self.one.ears](self)
        outline = self._outline()
        self._fill(outline, self.colour)
        self._pattern(outline)
        self._face()
        WEARS[self.one.wears](self)

    def at(self, x: float, y: float) -> tuple[float, float]:
        lean = 0.18 * (0.3 - y) if self.where.pose == "leaning" else 0.0
        return self.x + (x + lean) * self.unit, self.y + y * self.unit

    def _fill(self, points: Points, colour: Colour) -> None:
        self.pen.polygon(points, fill=colour)
        self.pen.line([*points, points[0]], fill=DARK, width=max(1, round(self.unit * 0.014)))

    def oval(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        points = [
            self.at(x + w * math.cos(a / 20 * math.pi), y + h * math.sin(a / 20 * math.pi))
            for a in range(40)
        ]
        self._fill(points, colour)

    def shape(self, points: Points, colour: Colour) -> None:
        self._fill([self.at(x, y) for x, y in points], colour)

    def _outline(self) -> Points:
        """A superellipse; a square one has a higher power, a pear is wider below."""
        power = 5.0 if self.one.shape == "square" else 2.0
        half = (0.36 - self.top) / 2
        points = []
        for step in range(80):
            a = step / 40 * math.pi
            c, s = math.cos(a), math.sin(a)
            x = math.copysign(abs(c) ** (2 / power), c) * self.width
            y = math.copysign(abs(s) ** (2 / power), s) * half
            if self.one.shape == "pear":
                x *= 0.8 + 0.32 * (y / half)
            points.append(self.at(x, y + self.top + half))
        return points

    def _pattern(self, outline: Points) -> None:
        if self.one.pattern == "plain":
            return
        mask = Image.new("L", self.canvas.size)
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        layer = Image.new("RGBA", self.canvas.size)
        keep, self.pen = self.pen, ImageDraw.Draw(layer)
        PATTERNS[self.one.pattern](self)
        self.pen = keep
        visible = Image.composite(layer.getchannel("A"), Image.new("L", mask.size), mask)
        self.canvas.paste(layer, (0, 0), visible)
        line = max(1, round(self.unit * 0.014))
        self.pen.line([*outline, outline[0]], fill=DARK, width=line)

    def stripes(self) -> None:
        for n in range(4):
            y = -0.14 + n * 0.14
            self.flat([(-0.5, y), (0.5, y - 0.06), (0.5, y - 0.0), (-0.5, y + 0.06)])

    def spots(self) -> None:
        for n, (x, y) in enumerate(
            ((-0.22, -0.18), (0.2, -0.2), (-0.26, 0.1), (0.24, 0.08), (0.02, 0.24), (-0.1, 0.3))
        ):
            r = 0.055 + 0.012 * (n % 3)
            self.flat([(x + r * math.cos(a / 8), y + r * math.sin(a / 8)) for a in range(51)])

    def belly(self) -> None:
        self.flat([(0.2 * math.cos(a / 8), 0.2 + 0.19 * math.sin(a / 8)) for a in range(51)])

    def star(self) -> None:
        points = []
        for n in range(10):
            r, a = (0.2, 0.085)[n % 2], math.pi * (n / 5 - 0.5)
            points.append((r * math.cos(a), 0.17 + r * math.sin(a)))
        self.flat(points)

    def zigzag(self) -> None:
        up = [(-0.5 + n * 0.1, 0.12 + (0.09 if n % 2 else 0)) for n in range(11)]
        self.flat(up + [(x, y + 0.1) for x, y in reversed(up)])

    def flat(self, points: Points) -> None:
        self.pen.polygon([self.at(x, y) for x, y in points], fill=self.second)

    def _limbs(self) -> None:
        spread = 0.16 if self.where.pose == "jumping" else 0.12
        for side in (-1, 1):
            self.oval(side * spread, 0.4, 0.085, 0.07, self.colour)
            up = self.where.pose == "jumping" or (self.where.pose == "waving" and side > 0)
            x, y = side * (self.width + 0.06), (-0.12 if up else 0.14)
            self.oval(x, y, 0.06, 0.11, self.colour)

    def _face(self) -> None:
        y = self.top + 0.2
        for side in (-1, 1):
            self.oval(side * 0.11, y, 0.082, 0.09, (252, 252, 252))
            if self.where.mood == "sleepy":
                left, right = side * 0.11 - 0.081, side * 0.11 + 0.081
                lid = [(left, y - 0.095), (right, y - 0.095), (right, y + 0.005)]
                self.shape([*lid, (left, y + 0.005)], self.colour)
            else:
                self.oval(side * 0.11, y + 0.012, 0.038, 0.046, DARK)
        y += 0.165
        if self.where.mood == "surprised":
            self.oval(0, y + 0.01, 0.045, 0.05, DARK)
        else:
            width = round(self.unit * 0.032)
            deep = 0.045 if self.where.mood == "smiling" else 0.0
            points = [self.at(x / 50, y + deep * (1 - (x / 4) ** 2)) for x in range(-4, 5)]
            self.pen.line(points, fill=DARK, width=width)

    def no_ears(self) -> None:
        pass

    def pointed(self) -> None:
        for side in (-1, 1):
            x = side * self.width * 0.62
            tip = (x + side * 0.06, self.top - 0.13)
            self.shape([(x - 0.09, self.top + 0.1), tip, (x + 0.09, self.top + 0.12)], self.colour)

    def round_ears(self) -> None:
        for side in (-1, 1):
            self.oval(side * self.width * 0.7, self.top + 0.03, 0.095, 0.095, self.colour)

    def long_ears(self) -> None:
        for side in (-1, 1):
            self.oval(side * self.width * 0.45, self.top - 0.08, 0.06, 0.18, self.colour)

    def horns(self) -> None:
        for side in (-1, 1):
            x = side * self.width * 0.5
            self.shape(
                [
                    (x - 0.05, self.top + 0.08),
                    (x + side * 0.1, self.top - 0.1),
                    (x + 0.05, self.top + 0.08),
                ],
                (240, 232, 208),
            )

    def antenna(self) -> None:
        width = max(1, round(self.unit * 0.022))
        self.pen.line([self.at(0, self.top + 0.05), self.at(0.03, self.top - 0.13)], DARK, width)
        self.oval(0.03, self.top - 0.15, 0.075, 0.075, self.second)

    def nothing(self) -> None:
        pass

    def hat(self) -> None:
        y = self.top + 0.06
        self.shape([(-0.14, y), (-0.11, y - 0.2), (0.11, y - 0.2), (0.14, y)], self.cloth)
        self.shape(
            [(-0.24, y - 0.01), (0.24, y - 0.01), (0.24, y + 0.04), (-0.24, y + 0.04)], self.cloth
        )

    def crown(self) -> None:
        y = self.top + 0.06
        xs = [-0.17, -0.17, -0.085, 0.0, 0.085, 0.17, 0.17]
        ys = [y, y - 0.2, y - 0.09, y - 0.2, y - 0.09, y - 0.2, y]
        self.shape(list(zip(xs, ys, strict=True)), self.cloth)

    def scarf(self) -> None:
        y, w = self.top + 0.43, self.width * 0.98
        self.shape([(-w, y - 0.05), (w, y - 0.05), (w, y + 0.05), (-w, y + 0.05)], self.cloth)
        self.shape([(0.1, y), (0.21, y), (0.23, y + 0.22), (0.11, y + 0.22)], self.cloth)

    def glasses(self) -> None:
        y = self.top + 0.205
        width = max(2, round(self.unit * 0.042))
        for side in (-1, 1):
            (a, b), (c, d) = (
                self.at(side * 0.115 - 0.115, y - 0.115),
                self.at(side * 0.115 + 0.115, y + 0.115),
            )
            self.pen.ellipse((a, b, c, d), outline=self.cloth, width=width)
        self.pen.line([self.at(-0.02, y), self.at(0.02, y)], fill=self.cloth, width=width)

    def bow(self) -> None:
        y = self.top + 0.46
        for side in (-1, 1):
            self.shape([(0, y), (side * 0.16, y - 0.09), (side * 0.16, y + 0.09)], self.cloth)
        self.oval(0, y, 0.04, 0.045, self.cloth)


Drawer = Callable[[_Body], None]
PATTERNS: dict[str, Drawer] = {
    "striped": _Body.stripes,
    "spotted": _Body.spots,
    "belly": _Body.belly,
    "star": _Body.star,
    "zigzag": _Body.zigzag,
    **strange.PATTERNS,
}
EARS: dict[str, Drawer] = {
    "no": _Body.no_ears,
    "pointed": _Body.pointed,
    "round": _Body.round_ears,
    "long": _Body.long_ears,
    "horned": _Body.horns,
    "antenna": _Body.antenna,
    **strange.EARS,
}
WEARS: dict[str, Drawer] = {
    "nothing": _Body.nothing,
    "hat": _Body.hat,
    "crown": _Body.crown,
    "scarf": _Body.scarf,
    "glasses": _Body.glasses,
    "bow": _Body.bow,
    **strange.WEARS,
}
