"""What the text encoder will read: the trigger first, then the class word."""

from dataclasses import replace

from pipeline.sample import Sample
from trainer.params import TrainParams


def apply(sample: Sample, params: TrainParams) -> Sample:
    return replace(sample, caption=f"{params.trigger} {params.class_word}")
