"""One run from its spec to its exit code: plans anew where that helps, and says what went wrong."""

import gc
import traceback
from collections.abc import Callable

import torch

from trainer import failures, loop, replan
from trainer.families.family import Model
from trainer.run import EXIT_FAILED, EXIT_RESUMABLE, Failed, Failure, Message, Replanned, RunSpec

Say = Callable[[Message], None]
Shelf = Callable[[RunSpec], Model | None]


def run(
    spec: RunSpec, say: Say, stopping: Callable[[], bool], shelf: Shelf = lambda _: None
) -> int:
    """The exit code; the last message says how it ended."""
    spec.work.mkdir(parents=True, exist_ok=True)
    while True:
        planned, room = loop.settled(replan.read(spec)), replan.ANY
        try:
            failures.check_base(planned)
            model = shelf(planned)
            room = replan.Room(_free(loop.new_model(planned).device), model is not None)
            if foreseen := replan.before(planned, room):
                say(Replanned(cause=Failure.MEMORY, changes=foreseen))
                continue
            say(loop.train(planned, say, stopping, model))
        except loop.StoppedError:
            return EXIT_RESUMABLE
        except Exception as error:  # noqa: BLE001  the run ends here, and says why
            traceback.print_exc()
            cause, detail = failures.code_of(error), f"{type(error).__name__}: {error}"[:500]
        else:
            return 0
        changes = replan.after(planned, cause, room) if cause in _REPLANNED else None
        if changes is None:
            say(Failed(code=cause, detail=detail))
            return EXIT_FAILED
        say(Replanned(cause=cause, changes=changes))
        _give_back()


_REPLANNED = (Failure.DIVERGED, Failure.MEMORY)


def _free(device: torch.device) -> int | None:
    """What is free of a GPU, with what this process holds of it already."""
    if device.type != "cuda":
        return None
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)


def _give_back() -> None:
    """What the failed attempt held; its exception is gone by now, and with it the last names."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
