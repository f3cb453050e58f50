"""How a finished file is used: in which program, where it goes, with which base models. Pure."""

from bot.screen import Line
from storage.job import Job

# What the families' own communities call them.
FAMILIES = {
    "sd15": "SD 1.5",
    "sdxl": "SDXL",
    "flux": "FLUX.1",
    "flux2": "FLUX.2",
    "zimage": "Z-Image",
    "qwen": "Qwen-Image",
}
TOOLS = ("forge", "comfy", "easy")


def use_of(job: Job, stem: str) -> Line:
    """The prompt to begin with; ``stem`` is the file's name as the person has it."""
    args = {"file": stem, "trigger": job.params.trigger, "class_word": job.params.class_word}
    return Line(key="result.use", args=args)


def works_with(job: Job) -> Line:
    family = FAMILIES.get(job.params.family, job.params.family)
    return Line(key="result.works", args={"family": family})


def howto(job: Job, tool: str) -> tuple[Line, ...]:
    """Step by step for one program; an unknown one gets the first."""
    tool = tool if tool in TOOLS else TOOLS[0]
    name = job.artifact.name if job.artifact else f"{job.name}.safetensors"
    args = {
        "file": name,
        "stem": name.removesuffix(".safetensors"),
        "trigger": job.params.trigger,
        "class_word": job.params.class_word,
    }
    lines = [Line(key=f"howto.{tool}", args=args), Line(key="howto.weight"), works_with(job)]
    if job.copied_to:
        lines.append(Line(key="result.copied", args={"file": job.copied_to}))
    return tuple(lines)
