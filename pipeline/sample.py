"""A photo on its way to becoming a picture of the dataset. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from storage.job import Photo, Rejection
from trainer.params import TrainParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``data`` are the upload's bytes; ``image`` is there once it was decoded. A rejected sample
    goes on to the end, so that its reason is heard.
    """

    photo: Photo
    data: bytes = b""
    image: Image.Image | None = None
    caption: str = ""
    rejection: Rejection | None = None


Step = Callable[[Sample, TrainParams], Sample]
