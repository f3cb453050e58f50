"""The largest square in the middle, brought to the training resolution."""

from dataclasses import replace

from PIL import Image

from pipeline.sample import Sample
from trainer.params import TrainParams


def apply(sample: Sample, params: TrainParams) -> Sample:
    if sample.image is None:
        return sample
    width, height = sample.image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    target = (params.resolution, params.resolution)
    square = sample.image.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=3)
    return replace(sample, image=square)
