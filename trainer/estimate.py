"""``python -m trainer --estimate run.json``: what the run would take of a GPU, and what each
lighter plan would. Nothing is loaded, and no GPU is needed.
"""

import importlib.util
import json
from dataclasses import asdict, replace
from typing import Any

from trainer import lighter, memory, on_disk
from trainer.params import TrainParams
from trainer.run import RunSpec


def of_run(spec: RunSpec) -> dict[str, Any]:
    """Bytes by part, the peak with its margin, and the ladder; ``need`` is None where such a run
    was never measured. What a GPU is best at is taken for bf16.
    """
    params = spec.params
    if params.precision == "auto":
        params = replace(params, precision="bf16")
    eight_bit = importlib.util.find_spec("bitsandbytes") is not None
    return {
        "base_is_of_the_measured_size": memory.is_known(
            params.family, on_disk.numbers_of(spec.base)
        ),
        "need": _need(params, samples=bool(spec.prompts)),
        "lighter": [
            {
                "changes": changes,
                "need": _need(lighter.changed(params, changes), samples=bool(spec.prompts)),
            }
            for changes in lighter.ladder(params, eight_bit=eight_bit)
        ],
    }


def _need(params: TrainParams, *, samples: bool) -> dict[str, int] | None:
    need = memory.estimate(params, samples=samples)
    return None if need is None else {**asdict(need), "steps": need.steps, "peak": need.peak}


def as_json(spec: RunSpec) -> str:
    return json.dumps(of_run(spec), indent=1)
