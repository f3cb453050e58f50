"""Which kind of failure an end of sd-scripts was, from its exit code and its last words. Pure."""

import re
from collections.abc import Iterable

from trainer.run import Failed, Failure

DETAIL = 500  # characters
KILLED = (137, -9)
# The first that is found in the last words decides.
SIGNS: tuple[tuple[str, Failure], ...] = (
    (r"No space left on device|Disk quota exceeded", Failure.DISK),
    (r"OutOfMemoryError|out of memory|CUBLAS_STATUS_ALLOC_FAILED", Failure.MEMORY),
    (r"not enough memory|can't allocate memory|^MemoryError", Failure.MEMORY),
    (r"No module named '(bitsandbytes|prodigyopt|dadaptation|lion_pytorch)", Failure.OPTIMIZER),
    (r"No (bitsandbytes|Prodigy|prodigyopt|8bit)", Failure.OPTIMIZER),
    (r"UnidentifiedImageError|cannot identify image|image file is truncated", Failure.DATASET),
    (r"Can't load tokenizer|couldn't connect to|LocalEntryNotFoundError", Failure.BASE),
    (r"Error no file named|does not appear to have a file named", Failure.BASE),
    (r"SafetensorError|HeaderTooLarge|InvalidHeader|MetadataIncomplete", Failure.BASE),
    (r"in loading state_dict|HFValidationError|is not a valid model identifier", Failure.BASE),
    (r"size mismatch for|KeyError: '(model\.|first_stage|cond_stage|unet)", Failure.BASE),
)
LAST = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b.*|.*: error: .*")


def of_end(code: int, tail: Iterable[str], *, no_pictures: bool, pictures: int) -> Failed:
    """A run that left no file."""
    lines = list(tail)
    if code == 0 and no_pictures:
        return Failed(code=Failure.DATASET, detail="sd-scripts found no picture that it can use")
    if code == 0:
        detail = f"sd-scripts ended well with {pictures} pictures, but left no file"
        return Failed(code=Failure.ARTIFACT, detail=detail)
    said = next((line for line in reversed(lines) if LAST.match(line)), "")
    detail = f"sd-scripts ended with {code}: {said or ' | '.join(lines[-3:])}"[:DETAIL]
    if code in KILLED:
        return Failed(code=Failure.KILLED, detail="sd-scripts was killed")
    words = "\n".join(lines)
    for sign, failure in SIGNS:
        if re.search(sign, said) or re.search(sign, words, re.MULTILINE):
            return Failed(code=failure, detail=detail)
    return Failed(code=Failure.INTERNAL, detail=detail)
