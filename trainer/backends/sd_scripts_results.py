"""What a run of sd-scripts comes to: saved steps, the file, and which of them it is."""

from contextlib import suppress
from pathlib import Path

from trainer import chart, history, outside, scores
from trainer.backends.sd_scripts_file import LoraFileError, deliver
from trainer.run import SAVED, Finished, RunSpec


def kept(spec: RunSpec, step: int) -> Path:
    return spec.work / SAVED / f"{step:06}.safetensors"


def latest(spec: RunSpec) -> int:
    """The last saved step, or 0."""
    found = (spec.work / SAVED).glob("*.safetensors")
    return max((int(path.stem) for path in found if path.stem.isdigit()), default=0)


def save(spec: RunSpec, path: Path, step: int) -> None:
    """A saved step that does nothing yet is none; the last file is judged by itself."""
    with suppress(LoraFileError):
        deliver(path, kept(spec, step), facts(spec))
    path.unlink(missing_ok=True)


def finish(spec: RunSpec, number: int, last: Path, loss: float | None) -> Finished:
    """The file, and the proof that it is one. Raises LoraFileError and OSError."""
    outside.wait(spec.work, spec.scores_wait_s)
    choice = scores.choose(scores.read(spec.work))
    best, source = number, last
    if choice is not None and _wants(spec, choice) and kept(spec, choice.step).exists():
        best, source = choice.step, kept(spec, choice.step)
    deliver(source, spec.output, facts(spec))
    if history.read(spec.work):
        chart.draw(spec.work)
    recommended = choice.step if choice else None
    return Finished(steps=number, loss=loss, recommended=recommended, taken=best)


def _wants(spec: RunSpec, choice: scores.Choice) -> bool:
    pick = spec.params.pick
    return pick == "best" or (pick == "auto" and choice.by == "faces")


def facts(spec: RunSpec) -> dict[str, str]:
    """What the file says of itself beside sd-scripts' own words, and instead of those that it
    takes from the command line where we have told it in another way.
    """
    params, name = spec.params, spec.output.stem
    side = params.resolution
    return {
        "ss_output_name": name,
        "ss_resolution": f"({side}, {side})",
        "ss_seed": str(params.seed),
        "ss_batch_size_per_device": str(params.batch_size),
        "ss_caption_dropout_rate": f"{params.caption_dropout:g}",
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.title": name,
        "modelspec.trigger_phrase": params.trigger,
        "modelspec.usage_hint": f"Put {params.trigger} {params.class_word} in the prompt.",
    }
