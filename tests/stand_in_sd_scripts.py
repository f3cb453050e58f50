"""A checkout of sd-scripts that trains nothing: it takes its options, says what the real one was
recorded to say, leaves its files, and misbehaves as it is told to.

``checkout(folder, mode)`` makes one; run as a program this file is its ``train_network.py``. It
stands alone: it is copied, and runs without our path.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save

HERE = Path(__file__).parent
STREAM = "sd_scripts_resumed.txt"
SCRIPTS = ("train_network.py", "sdxl_train_network.py", "flux_train_network.py")
MODULE = "lora_unet_mid_block_attentions_0_proj_in"

Options = dict[str, str]


def checkout(folder: Path, mode: str = "normal") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copy(__file__, folder / name)
    shutil.copy(HERE / "streams" / STREAM, folder / STREAM)
    set_mode(folder, mode)
    return folder


def set_mode(folder: Path, mode: str) -> None:
    """``normal``, or what goes wrong and, behind a colon, after which step."""
    (folder / "mode").write_text(mode)


def parsed(words: list[str]) -> Options:
    """Options as argparse would read ours: ``--name=value``, ``--switch``, ``--name a b``."""
    options: Options = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value if equals else ""
        else:
            options[name] = f"{options[name]} {word}".strip()
    return options


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def recorded() -> tuple[str, str]:
    """What the real one says before its first step, and after its last one."""
    text = (HERE / STREAM).read_bytes().decode()
    first = text.index("steps:   0%")
    return text[:first], text[text.rindex("saving checkpoint") :]


class Training:
    def __init__(self, options: Options, mode: str) -> None:
        self.options = options
        self.mode, _, at = mode.partition(":")
        self.at = int(at or 0)
        self.total = int(options["max_train_steps"])
        shares = int(options["gradient_accumulation_steps"])
        self.start = int(options.get("initial_step", 0)) * shares
        self.out = Path(options["output_dir"])
        self.out.mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        if self.mode == "empty":
            say("No data found. Please verify arguments / 画像がありません\n")
            return 0
        before, after = recorded()
        say(before)
        if self.mode in ("orphan", "silent_orphan"):
            self._orphan(subprocess.DEVNULL if self.mode == "silent_orphan" else None)
        if self.mode == "refuse" and "resume" in self.options:
            raise RuntimeError("this state cannot be read")
        if self.mode == "words":
            sys.stderr.write((HERE / "words").read_text())
            return 1
        for step in range(self.start + 1, self.total + 1):
            self._step(step)
            if step == self.at:
                self._misbehave(step)
        if self.mode != "no_file":
            self._save("lora.safetensors")
            say(after.replace("run/sd-scripts", str(self.out.parent)))
        return 0

    def _step(self, step: int) -> None:
        bar = (
            f"\rsteps:  1%|#| {step - self.start}/{self.total - self.start} [00:01<00:01, 9.00it/s"
        )
        say(f"{bar}]")
        if self._due("sample_every_n_steps", step):
            self._sample(step)
        if self._due("save_every_n_steps", step):
            say(f"\nsaving checkpoint: {self.out}/lora-step{step:08}.safetensors\n")
            self._save(f"lora-step{step:08}.safetensors")
            say(f"saving state at step {step}\n")
            self._state(step, torn=self.mode == "torn" and step == self.at)
        say(f"{bar}, avr_loss={1 / step:.3g}]")

    def _due(self, option: str, step: int) -> bool:
        every = int(self.options.get(option, 0))
        return bool(every) and step % every == 0

    def _misbehave(self, step: int) -> None:
        if self.mode == "nan":
            say(f"\rsteps:  1%|#| {step}/{self.total} [00:01<00:01, 9.00it/s, avr_loss=nan]\r")
        if self.mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode in ("nan", "wait", "torn", "orphan"):
            signal.pause()

    def _orphan(self, output: int | None) -> None:
        """A process of its own that outlives it, and holds its output open or not."""
        code = "import signal; signal.pause()"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=output, stderr=output)
        (HERE / "orphan").write_text(str(child.pid))

    def _save(self, name: str) -> None:
        dice = np.random.default_rng(1)
        tensors = {
            f"{MODULE}.lora_down.weight": dice.normal(size=(4, 8)).astype(np.float16),
            f"{MODULE}.lora_up.weight": dice.normal(size=(8, 4)).astype(np.float16),
            f"{MODULE}.alpha": np.array(float(self.options["network_alpha"]), np.float16),
        }
        captions = [path.read_text() for path in sorted(self._pictures().glob("*.txt"))]
        metadata = {"ss_tag_frequency": json.dumps(captions), "ss_steps": str(self.total)}
        (self.out / name).write_bytes(save(tensors, metadata))

    def _pictures(self) -> Path:
        config = Path(self.options["dataset_config"]).read_text(encoding="utf-8")
        found = re.search('image_dir = "(.*)"', config)
        assert found is not None
        return Path(found[1])

    def _state(self, step: int, *, torn: bool) -> None:
        home = self.out / f"lora-step{step:08}-state"
        home.mkdir(exist_ok=True)
        (home / "model.safetensors").write_bytes(save({"x": np.zeros(4, np.float32)}))
        for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
            data = io.BytesIO()
            with zipfile.ZipFile(data, "w") as archive:
                archive.writestr("data", str(step))
            (home / name).write_bytes(data.getvalue()[: 20 if torn else None])
        every = int(self.options["save_every_n_steps"])
        old = self.out / f"lora-step{step - 2 * every:08}-state"
        shutil.rmtree(old, ignore_errors=True)

    def _sample(self, step: int) -> None:
        say(f"\ngenerating sample images at step / サンプル画像生成 ステップ: {step}\n")
        home = self.out / "sample"
        home.mkdir(exist_ok=True)
        prompts = json.loads(Path(self.options["sample_prompts"]).read_text(encoding="utf-8"))
        for number, prompt in enumerate(prompts):
            say(f"prompt: {prompt['prompt']}\n")
            name = f"lora_{step:06}_{number:02}_20261121120000_{prompt['seed']}.png"
            with Image.open(self._pictures() / "0001.png") as learned:
                learned.resize((prompt["width"], prompt["height"])).save(home / name)


def _append(folder: Path, line: str) -> None:
    with (folder / "starts").open("a") as starts:
        starts.write(line)


def main(words: list[str]) -> int:
    options = parsed(words)
    line = json.dumps(options) + "\n"
    try:
        _append(HERE, line)
    except PermissionError:
        # A worker's trainer may not write where its program lies.
        _append(Path(os.environ["XDG_CACHE_HOME"]), line)
    return Training(options, (HERE / "mode").read_text()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
