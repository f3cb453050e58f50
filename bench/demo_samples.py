"""The sample photos of the demo: ``python -m bench.demo_samples`` draws them into ``bot/samples``.

One creature that the demo base has never seen, as somebody would photograph it: near and far, in
every place, in every mood.
"""

import random
from dataclasses import replace
from pathlib import Path

from bench.drawn.creatures import MOCHI, MOODS, PLACES, POSES, scene
from bench.drawn.draw import draw

COUNT = 12
SIDE = 640
TARGET = Path("bot/samples")
SIZES = (0.62, 0.7, 0.78, 0.86)


def main() -> None:
    for number in range(COUNT):
        where = replace(
            scene(random.Random(f"sample {number}")),
            place=PLACES[number % len(PLACES)],
            pose=POSES[(number + number // 4) % len(POSES)],
            mood=MOODS[number % len(MOODS)],
            size=SIZES[number % len(SIZES)],
        )
        path = TARGET / f"mochi-{number + 1:02}.jpg"
        draw(MOCHI, where, SIDE).save(path, quality=85, optimize=True)


if __name__ == "__main__":
    main()
