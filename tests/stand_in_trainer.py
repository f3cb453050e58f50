"""A trainer that trains nothing: it speaks the protocol and misbehaves as it is told to.

``backend(mode)`` is what `pipeline.train` takes; run as a program it is the process itself.
"""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image
from safetensors.numpy import save

from trainer import asked, history, outside, scores
from trainer.asked import Wish
from trainer.run import (
    EXIT_RESUMABLE,
    SAMPLES,
    Failed,
    Failure,
    Finished,
    Message,
    Phase,
    Progress,
    RunSpec,
    Sampled,
    from_line,
    to_line,
)


@dataclass(frozen=True)
class StandIn:
    mode: str = "normal"

    def command(self, spec: RunSpec, workdir: Path) -> list[str]:
        path = workdir / "run.json"
        path.write_text(spec.to_json())
        return [sys.executable, __file__, self.mode, str(path)]

    def parse(self, line: str) -> Message | None:
        return from_line(line)


def lora(trigger: str, seed: int = 0, broken: Mapping[str, object] = MappingProxyType({})) -> bytes:
    """A small valid file, or one that is broken in a named way."""
    dice = np.random.default_rng(seed)
    name = str(broken.get("name", "lora_unet_mid_block_attentions_0_proj_in"))
    up = dice.normal(size=(8, 4)) * (0 if broken.get("zero") else 1)
    if broken.get("nan"):
        up[0, 0] = np.nan
    tensors = {
        f"{name}.lora_down.weight": dice.normal(size=(4, 8)).astype(np.float16),
        f"{name}.lora_up.weight": up.astype(np.float16),
        f"{name}.alpha": np.array(4.0, dtype=np.float16),
    }
    if broken.get("missing"):
        del tensors[f"{name}.alpha"]
    data = save(tensors)
    digest = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    metadata = {"modelspec.trigger_phrase": trigger, "sshs_model_hash": digest}
    if broken.get("hash"):
        metadata["sshs_model_hash"] = "0" * 64
    return save(tensors, metadata)


def say(message: Message) -> None:
    print(to_line(message), flush=True)


def main(mode: str, path: Path) -> int:
    spec = RunSpec.from_json(path.read_text())
    spec.work.mkdir(parents=True, exist_ok=True)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_RESUMABLE))
    say(Progress(phase=Phase.LOADING))
    if mode == "silent":
        time.sleep(600)
    if mode == "crash":
        return 3
    if mode == "memory":
        say(Failed(code=Failure.MEMORY, detail="out of memory"))
        return 1
    if mode == "flood":
        sys.stderr.write("x" * 20_000_000)
        sys.stdout.write("y" * 5_000_000 + "\n" + json.dumps({"type": "?"}) + "\n")
    if mode in ("draw", "mute"):
        return draw_and_obey(spec, told=mode == "draw")
    starts = spec.work / "starts"
    starts.write_text(starts.read_text() + "." if starts.exists() else ".")
    for step in range(1, 601 if mode in ("slow", "stubborn") else 4):
        say(Progress(phase=Phase.TRAINING, step=step, total=600))
        if mode in ("slow", "stubborn"):
            time.sleep(0.1)
    if mode != "no_file":
        spec.output.write_bytes(lora(spec.params.trigger))
    say(Finished(steps=4, loss=0.1))
    return 0


def draw_and_obey(spec: RunSpec, *, told: bool) -> int:
    """Samples at the start, and after that whenever they are asked for; the end when it is asked
    for. ``told``: it says that it drew them.
    """
    total = spec.params.max_steps
    for step in range(1, 2000):
        number = min(step, total)
        wishes = asked.taken(spec.work)
        say(Progress(phase=Phase.TRAINING, step=number, total=total, loss=0.1, eta_s=5.0))
        history.append(spec.work, number, 1 / step)
        if step == 1 or wishes:
            draw_grid(spec.work, number)
            scores.append(spec.work, scores.Scored(step=number, likeness=0.5))
            if told:
                say(Sampled(step=number, grid=""))
        if Wish.FINISH in wishes:
            outside.wait(spec.work, spec.scores_wait_s)
            spec.output.write_bytes(lora(spec.params.trigger))
            say(Finished(steps=number, loss=0.1, taken=number))
            return 0
        time.sleep(0.05)
    return 3


def draw_grid(work: Path, step: int) -> None:
    """Four pictures of one colour, and all on one, as ours are."""
    folder = work / SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 5):
        one = Image.new("RGB", (64, 64), (40 * number, step % 256, 90))
        one.save(folder / f"{step:06}-{number}.png")
    Image.new("RGB", (136, 136), (200, step % 256, 40)).save(folder / "grid.tmp", format="PNG")
    (folder / "grid.tmp").rename(folder / f"{step:06}.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
