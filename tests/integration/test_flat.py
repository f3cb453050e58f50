"""AdamW over flat tensors: torch's own numbers and state, and gradients that stay in place."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainer import optimizers
from trainer.flat import FlatAdamW

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = (((4, 6), (6, 4), (4, 3, 3, 3)), ((5, 2), (7,)))
RATES = (1e-2, 3e-3)


def groups_of(seed: int = 0) -> list[dict[str, Any]]:
    draw = torch.Generator().manual_seed(seed)
    return [
        {"params": [nn.Parameter(torch.randn(one, generator=draw)) for one in shapes], "lr": rate}
        for shapes, rate in zip(SHAPES, RATES, strict=True)
    ]


def weights_of(groups: list[dict[str, Any]]) -> list[nn.Parameter]:
    return [weight for group in groups for weight in group["params"]]


def learn(weights: list[nn.Parameter], seed: int, scale: float = 1.0) -> None:
    """Gradients by backward, as in a training."""
    draw = torch.Generator().manual_seed(seed)
    loss = sum(
        ((weight * torch.randn(weight.shape, generator=draw)).sin()).sum() for weight in weights
    )
    assert isinstance(loss, Tensor)
    (loss * scale).backward()


def both(steps: int) -> tuple[list[nn.Parameter], list[nn.Parameter], Any, FlatAdamW]:
    theirs, ours = groups_of(), groups_of()
    # The weights are listed before: afterwards a group holds the flat one.
    one, other = weights_of(theirs), weights_of(ours)
    torchs = torch.optim.AdamW(theirs, weight_decay=0.1, fused=True)
    flat = FlatAdamW(ours, weight_decay=0.1)
    for step in range(steps):
        for weights, optimizer in ((one, torchs), (other, flat)):
            learn(weights, step)
            optimizer.step()
            optimizer.zero_grad()
    return one, other, torchs, flat


def test_its_weights_are_those_of_torchs_own() -> None:
    one, other, _, _ = both(steps=20)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-6)


def test_its_state_has_torchs_own_layout_weight_by_weight() -> None:
    _, _, torchs, flat = both(steps=3)
    theirs, ours = torchs.state_dict(), flat.state_dict()
    assert theirs["state"].keys() == ours["state"].keys()
    for number, state in theirs["state"].items():
        assert state.keys() == ours["state"][number].keys()
        for name, value in state.items():
            torch.testing.assert_close(ours["state"][number][name], value, atol=1e-7, rtol=1e-6)
    for a, b in zip(theirs["param_groups"], ours["param_groups"], strict=True):
        assert (a["params"], a["lr"]) == (b["params"], b["lr"])


def test_weights_and_gradients_are_parts_of_the_flat_ones() -> None:
    groups = groups_of()
    weights = weights_of(groups)
    before = [weight.detach().clone() for weight in weights]
    flat = FlatAdamW(groups, weight_decay=0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))
    for _ in range(3):
        learn(weights, 1)
        whole = torch.cat([group["params"][0].grad for group in flat.param_groups])
        parts = [weight.grad.flatten() for weight in weights if weight.grad is not None]
        assert torch.equal(whole, torch.cat(parts))
        assert whole.abs().sum() > 0
        flat.step()
        flat.zero_grad()
        whole = torch.cat([group["params"][0].detach() for group in flat.param_groups])
        assert torch.equal(whole, torch.cat([weight.detach().flatten() for weight in weights]))


def test_gradients_of_several_batches_add_up() -> None:
    groups = groups_of()
    weights = weights_of(groups)
    flat = FlatAdamW(groups, weight_decay=0.0)
    learn(weights, 1)
    once = flat.param_groups[0]["params"][0].grad.clone()
    learn(weights, 1)
    torch.testing.assert_close(flat.param_groups[0]["params"][0].grad, 2 * once)


def test_a_state_that_is_put_back_goes_on_to_the_same_bits() -> None:
    _, whole, _, _ = both(steps=8)
    _, half, _, flat = both(steps=5)
    groups = groups_of()
    weights = weights_of(groups)
    again = FlatAdamW(groups, weight_decay=0.1)
    with torch.no_grad():
        for weight, value in zip(weights, half, strict=True):
            weight.copy_(value)
    again.put_back(list(flat.state_dict()["state"].values()))
    for step in range(5, 8):
        learn(weights, step)
        again.step()
        again.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(whole, weights, strict=True))


def test_what_torchs_own_packed_is_put_back() -> None:
    """Checkpoints of both have the same layout."""
    _, _, torchs, _ = both(steps=5)
    again = FlatAdamW(groups_of(), weight_decay=0.1)
    optimizers.unpack(again, *optimizers.pack(torchs))
    theirs, ours = torchs.state_dict(), again.state_dict()
    for number, state in theirs["state"].items():
        assert all(torch.equal(ours["state"][number][name], one) for name, one in state.items())
    rates = [[group["lr"] for group in one["param_groups"]] for one in (theirs, ours)]
    assert rates[0] == rates[1] == list(RATES)


def test_a_weight_without_a_state_begins_with_none() -> None:
    """torch's own has none for a weight that never had a gradient."""
    _, _, _, flat = both(steps=5)
    states = list(flat.state_dict()["state"].values())
    states[0] = {}
    again = FlatAdamW(groups_of(), weight_decay=0.1)
    again.put_back(states)
    found = again.state_dict()["state"]
    assert not found[0]["exp_avg"].any()
    assert torch.equal(found[1]["exp_avg"], states[1]["exp_avg"])
    assert float(found[0]["step"]) == 5


def test_a_scaled_step_is_the_plain_one_and_an_overflow_is_no_step() -> None:
    """As a GradScaler does it in half precision, with torch's own beside it."""
    results = []
    for kind in ("torch", "flat"):
        groups = groups_of()
        weights = weights_of(groups)
        optimizer: Any = (
            FlatAdamW(groups, weight_decay=0.1)
            if kind == "flat"
            else torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
        )
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
        for step, spoilt in enumerate((False, True, False)):
            learn(weights, step, float(scaler.scale(torch.ones(()))))
            if spoilt:
                assert weights[0].grad is not None
                weights[0].grad[0, 0] = float("inf")
            scaler.unscale_(optimizer)
            before = [weight.detach().clone() for weight in weights]
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            same = all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))
            assert same is spoilt
        results.append((weights, optimizer.state_dict()["state"][0]["step"], scaler.get_scale()))
    (one, steps, scale), (other, own_steps, own_scale) = results
    assert (float(own_steps), own_scale) == (float(steps), scale) == (2.0, 32.0)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-6)
