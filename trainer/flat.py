"""AdamW over one flat tensor for each group (arXiv:1711.05101).

All weights of a group are views into one buffer, all gradients into another: one kernel does the
step, one the norm, one clears the gradients, where hundreds of small tensors need hundreds. The
numbers are those of ``torch.optim.AdamW``; so is what ``state_dict`` gives, weight by weight.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPS = 1e-8
MOMENTS = ("exp_avg", "exp_avg_sq")


class FlatAdamW:
    """``param_groups`` hold one flat weight each; ``weights`` the groups' weights, all fp32 and on
    one device. As torch's own optimizers it is told by a ``GradScaler`` what to divide by.
    """

    _step_supports_amp_scaling = True
    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None

    def __init__(self, groups: Sequence[dict[str, Any]], weight_decay: float) -> None:
        self.defaults: dict[str, Any] = {"weight_decay": weight_decay, "fused": True}
        self.weights: list[list[nn.Parameter]] = [list(group["params"]) for group in groups]
        numbers: dict[str, Any] = {"betas": BETAS, "eps": EPS, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [
            numbers | group | {"params": [_flattened(group["params"])]} for group in groups
        ]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        for group in self.param_groups:
            (flat,) = group["params"]
            # Counted on the device, as a fused step wants it.
            step = torch.zeros((), dtype=torch.float32, device=flat.device)
            moments = {name: torch.zeros_like(flat) for name in MOMENTS}
            self.state[flat] = {"step": step, **moments}

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            (flat,) = group["params"]
            state = self.state[flat]
            adamw(
                [flat],
                [flat.grad],
                [state["exp_avg"]],
                [state["exp_avg_sq"]],
                [],
                [state["step"]],
                fused=True,
                grad_scale=self.grad_scale,
                found_inf=self.found_inf,
                amsgrad=False,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )

    def zero_grad(self, *, set_to_none: bool = True) -> None:  # noqa: ARG002  torch's own has it
        """Cleared, never let go: the next gradients are added where the flat one lies."""
        for group in self.param_groups:
            group["params"][0].grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """As torch's: the state of each weight under its number, counted over all groups."""
        state: dict[int, dict[str, Tensor]] = {}
        groups = []
        for group, weights in zip(self.param_groups, self.weights, strict=True):
            whole = self.state[group["params"][0]]
            first = len(state)
            parts = [_parts(whole[name], weights) for name in MOMENTS]
            for number, moments in enumerate(zip(*parts, strict=True), start=first):
                # Tensors of their own: in a file no two may share their memory.
                state[number] = {
                    "step": whole["step"].clone(),
                    **dict(zip(MOMENTS, moments, strict=True)),
                }
            groups.append(group | {"params": list(range(first, len(state)))})
        return {"state": state, "param_groups": groups}

    @torch.no_grad()
    def put_back(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Each weight's state, in the order of ``state_dict``; empty where it had no step yet."""
        rest = list(states)
        for group, weights in zip(self.param_groups, self.weights, strict=True):
            whole = self.state[group["params"][0]]
            mine, rest = rest[: len(weights)], rest[len(weights) :]
            for one in filter(None, mine):
                whole["step"].copy_(one["step"])
            for name in MOMENTS:
                for part, one in zip(_parts(whole[name], weights), mine, strict=True):
                    part.copy_(one.get(name, torch.zeros_like(part)))


@torch.no_grad()
def _flattened(weights: Sequence[nn.Parameter]) -> nn.Parameter:
    """One weight of all of them, with a gradient of zeros; they and their gradients become views
    of it.
    """
    flat = nn.Parameter(torch.cat([weight.detach().flatten() for weight in weights]))
    flat.grad = torch.zeros_like(flat)
    places = zip(_parts(flat, weights), _parts(flat.grad, weights), strict=True)
    for weight, (values, gradient) in zip(weights, places, strict=True):
        weight.data = values
        weight.grad = gradient
    return flat


def _parts(flat: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """The views of ``flat`` (N,) that belong to each of ``weights``, in their shapes."""
    split = flat.detach().split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(split, weights, strict=True)]
