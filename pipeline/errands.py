"""What a person asks of a running training, passed on as the files that its trainer looks for."""

from contextlib import suppress
from pathlib import Path

from storage.job_store import Renewal
from trainer.run import ASKED

SAMPLE, FINISH = "sample", "finish"
NOTE = "asked-samples"  # how many times samples were passed on: after a restart not once more


class Errands:
    """Of one attempt. ``home`` is the job's folder, ``work`` the run's in it."""

    def __init__(self, home: Path, work: Path) -> None:
        self._note = home / NOTE
        self._asked = work / ASKED
        self._samples = 0
        with suppress(OSError, ValueError):
            self._samples = int(self._note.read_text(encoding="ascii"))
        self._finish = False

    def pass_on(self, wishes: Renewal) -> None:
        """Samples once for each time that they were asked for since; the end once an attempt: the
        trainer may have died between hearing of it and coming to it.
        """
        if wishes.asked_samples > self._samples:
            self._touch(SAMPLE)
            self._samples = wishes.asked_samples
            self._note.write_text(str(self._samples), encoding="ascii")
        if wishes.asked_finish and not self._finish:
            self._touch(FINISH)
            self._finish = True

    def _touch(self, name: str) -> None:
        self._asked.mkdir(parents=True, exist_ok=True)
        (self._asked / name).touch()
