"""Last words of sd-scripts, and the failure that each of them is."""

import pytest

from trainer.backends.sd_scripts_faults import DETAIL, of_end
from trainer.run import Failure

HEAD = ["Traceback (most recent call last):", '  File "train_network.py", line 1, in <module>']


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("OSError: [Errno 28] No space left on device", Failure.DISK),
        (
            "SafetensorError: I/O error: No space left on device (os error 28)",
            Failure.DISK,
        ),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", Failure.MEMORY),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", Failure.MEMORY),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", Failure.MEMORY),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", Failure.MEMORY),
        ("MemoryError", Failure.MEMORY),
        ("ImportError: No bitsandbytes / bitsandbytesが", Failure.OPTIMIZER),
        ("ModuleNotFoundError: No module named 'prodigyopt'", Failure.OPTIMIZER),
        ("ModuleNotFoundError: No module named 'torchvision'", Failure.INTERNAL),
        ("PIL.UnidentifiedImageError: cannot identify image file '1.png'", Failure.DATASET),
        ("OSError: image file is truncated (3 bytes not processed)", Failure.DATASET),
        ("OSError: Can't load tokenizer for 'openai/clip-vit-large-patch14'.", Failure.BASE),
        ("OSError: Error no file named diffusion_pytorch_model.bin found", Failure.BASE),
        ("safetensors_rust.SafetensorError: Error while deserializing", Failure.BASE),
        ("RuntimeError: Error(s) in loading state_dict for UNet2DConditionModel", Failure.BASE),
        ("KeyError: 'first_stage_model.decoder.conv_in.bias'", Failure.BASE),
        ("train_network.py: error: unrecognized arguments: --nope", Failure.INTERNAL),
        ("AssertionError: something else", Failure.INTERNAL),
    ],
)
def test_each_has_its_own_failure(said: str, code: Failure) -> None:
    failed = of_end(1, [*HEAD, said], no_pictures=False, pictures=3)
    assert failed.code is code
    assert said[:40] in failed.detail


def test_a_good_end_without_a_file_is_none() -> None:
    assert of_end(0, [], no_pictures=True, pictures=3).code is Failure.DATASET
    assert of_end(0, [], no_pictures=False, pictures=3).code is Failure.ARTIFACT


@pytest.mark.parametrize("code", [137, -9])
def test_a_kill_is_one(code: int) -> None:
    assert of_end(code, ["steps"], no_pictures=False, pictures=3).code is Failure.KILLED


def test_words_are_kept_where_there_is_no_error_to_name() -> None:
    failed = of_end(3, ["one", "two", "x" * 2000], no_pictures=False, pictures=3)
    assert failed.code is Failure.INTERNAL
    assert "two" in failed.detail
    assert len(failed.detail) == DETAIL
