"""Count a computation's live bytes without computing anything: on torch's ``meta`` device tensors
have shapes and no contents, but what keeps them alive is the real autograd.

What a GPU would do otherwise than ``meta`` is stated here, and in no other place:

- ``Autocast`` casts as CUDA's autocast does; ``meta`` has none of its own.
- ``attention`` keeps what flash attention keeps: q, k, v, the answer, and one float for each row.
  The matrix of all pairs is never there.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GRAIN = 512  # bytes: what CUDA's allocator rounds every tensor up to

# The lists of torch 2.13's ATen/autocast_mode.h, as far as a network of ours has them.
NARROW = {
    *("conv1d", "conv2d", "conv3d", "conv_transpose2d", "addmm", "matmul", "__matmul__", "einsum"),
    *("mm", "linear", "baddbmm", "bmm", "scaled_dot_product_attention"),
}
WIDE = {
    *("exp", "log", "reciprocal", "rsqrt", "pow", "__pow__", "softplus", "layer_norm", "rms_norm"),
    *("group_norm", "mse_loss", "interpolate", "norm", "softmax", "cumsum", "cumprod", "sum"),
}


class Live(TorchDispatchMode):
    """``now`` and ``peak`` in bytes, of all storages that were made or seen inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001  the storage's only name
        if key in self._known:
            return
        size = -(-storage.nbytes() // GRAIN) * GRAIN
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size).atexit = False

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        for one in (answer,) if isinstance(answer, Tensor) else tree_leaves(answer):
            if isinstance(one, Tensor) and one.is_meta:
                self.hold(one)
        return answer


class Autocast(TorchFunctionMode):
    """CUDA's autocast to ``dtype``, and flash attention; None: flash attention alone."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._dtype = dtype
        self._cast: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if self._dtype is not None and name in NARROW | WIDE:
            to = self._dtype if name in NARROW else torch.float32
            args = [self._as(one, to) for one in args]
            kwargs = {key: self._as(one, to) for key, one in kwargs.items()}
        if name == "scaled_dot_product_attention":
            return attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _as(self, one: Any, dtype: torch.dtype) -> Any:
        if not isinstance(one, Tensor) or not one.is_meta or one.dtype == dtype:
            return one
        if not one.is_floating_point() or one.dtype == torch.float64:
            return one
        if not (one.is_leaf and one.requires_grad):
            return one.to(dtype)
        # Weights are cast once for a whole forward.
        if id(one) not in self._cast:
            self._cast[id(one)] = one.to(dtype)
        return self._cast[id(one)]


class _Flash(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        q, k, v = given
        answer = torch.empty_like(q)
        rows = q.new_empty(q.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(q, k, v, answer, rows)
        return answer

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
        q, k, v = ctx.saved_tensors[:3]
        wide = q.new_empty(q.shape, dtype=torch.float32)  # what q's gradient is summed up in
        found = tuple(torch.empty_like(one) for one in (q, k, v))
        del wide
        return found


def attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    """The names are torch's own: some callers use them."""
    return _Flash.apply(query, key, value)  # type: ignore[no-any-return,no-untyped-call]


@contextlib.contextmanager
def counted(dtype: torch.dtype | None) -> Iterator[Live]:
    """What is alive from here on; autocast to ``dtype`` where there is one."""
    with Autocast(dtype), Live() as live:
        yield live


def backward(loss: Tensor) -> None:
    """``loss.backward()``, whose own entry would switch the modes above off for what checkpoints
    compute again.
    """
    torch.autograd.graph._engine_run_backward(  # noqa: SLF001
        (loss,), (torch.ones_like(loss),), False, False, (), True, True
    )
