"""What comes back from others: the same shot once more, or with a border round it."""

from tests.truth import photos
from tests.truth.photos import Edges, Photo
from tests.truth.studio import Studio

WAYS = ("reencoded", "smaller", "larger", "cropped", "mirrored", "brighter", "darker", "screenshot")
BORDERS = ("black", "white", "letterbox", "pillarbox", "screenshot")
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def copy_of(studio: Studio, photo: Photo, way: str) -> Photo:
    dice, most = studio.dice, studio.spec.crop
    between = studio.between
    made = {
        "reencoded": lambda: photos.reencoded(photo, dice.randint(35, 60)),
        "smaller": lambda: photos.resized(photo, between((0.5, 0.8))),
        "larger": lambda: photos.resized(photo, between((1.1, 1.3))),
        "cropped": lambda: photos.cropped(photo, _edges(studio, most)),
        "mirrored": lambda: photos.mirrored(photo),
        "brighter": lambda: photos.relit(photo, between((1.08, 1.2)), between((0.8, 0.95))),
        "darker": lambda: photos.relit(photo, between((0.7, 0.88)), between((1.05, 1.2))),
        "screenshot": lambda: photos.screenshot(
            photo, between((1.9, 2.2)), BLACK, dice.randrange(10**6)
        ),
    }
    return made[way]()


def _edges(studio: Studio, most: float) -> Edges:
    left, top, right, bottom = (studio.between((0.2 * most, most)) for _ in "ltrb")
    return left, top, right, bottom


def framed(studio: Studio, photo: Photo, way: str) -> Photo:
    dice, (width, height) = studio.dice, photo.size
    across, down = (studio.between(studio.spec.border) * side for side in photo.size)
    noise = dice.randrange(10**6)
    colour = WHITE if way == "white" or dice.random() < 0.3 else BLACK
    match way:
        case "letterbox":
            return photos.bordered(photo, (0, down, 0, down), colour, noise)
        case "pillarbox":
            return photos.bordered(photo, (across, 0, across, 0), colour, noise)
        case "screenshot":
            tall = max(height / width * 1.15, dice.uniform(1.9, 2.2))
            return photos.screenshot(photo, min(tall, height / width * 1.6), colour, noise)
        case _:
            return photos.bordered(photo, (across, down, across, down), colour, noise)
