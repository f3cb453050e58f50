"""Our settings in sd-scripts' words; what it cannot do is said before anything is started."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import PARAMS
from trainer.backends import sd_scripts_options as options
from trainer.backends.sd_scripts_options import OptionError, Plan
from trainer.params import TrainParams
from trainer.run import Extra

PLAN = Plan(base=Path("/base"), folder=Path("/run"), precision="bf16", keep_every=2, sample_every=4)
FLUX: dict[str, Extra] = {"--clip_l": "/c", "--t5xxl": "/t", "--ae": "/a"}


def params(family: str = "sd15", **changes: Any) -> TrainParams:
    usual = {"min_snr_gamma": 0.0} if family == "flux" else {}
    return replace(PARAMS, family=family, **(usual | changes))


def line(one: TrainParams, plan: Plan = PLAN, extra: dict[str, Extra] | None = None) -> list[str]:
    given = (FLUX if one.family == "flux" else {}) | (extra or {})
    options.check(one, given)
    return options.arguments(one.family, options.merged(one, plan, given))


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_bad_defaults_are_never_left_to_it(family: str) -> None:
    words = line(params(family, rank=8, alpha=4.0))
    assert {"--network_dim=8", "--network_alpha=4", "--unet_lr=0.0001"} <= set(words)
    assert {"--sdpa", "--cache_latents", "--console_log_simple", "--save_state"} <= set(words)
    assert {"--max_data_loader_n_workers=0", "--save_precision=fp16", "--seed=0"} <= set(words)
    assert "--network_train_unet_only" in words
    assert "--mixed_precision=bf16" in words


def test_each_setting_has_its_words() -> None:
    words = line(
        params(
            text_encoder_lr=5e-5,
            lr_schedule="constant",
            warmup=0.1,
            gradient_accumulation=4,
            gradient_checkpointing=True,
            noise_offset=0.05,
            min_snr_gamma=5.0,
            max_grad_norm=0.5,
            seed=7,
        ),
    )
    assert {"--text_encoder_lr", "5e-05", "--lr_scheduler=constant_with_warmup"} <= set(words)
    assert {"--lr_warmup_steps=0.1", "--gradient_accumulation_steps=4"} <= set(words)
    assert {"--gradient_checkpointing", "--noise_offset=0.05", "--min_snr_gamma=5"} <= set(words)
    assert {"--max_grad_norm=0.5", "--seed=7"} <= set(words)
    assert "--network_train_unet_only" not in words


@pytest.mark.parametrize(
    ("optimizer", "name", "more"),
    [
        ("adamw", "AdamW", "weight_decay=0.01"),
        ("adamw8bit", "AdamW8bit", "weight_decay=0.01"),
        ("adafactor", "Adafactor", "relative_step=False"),
        ("prodigy", "Prodigy", "safeguard_warmup=True"),
    ],
)
def test_optimizers_have_their_own_names(optimizer: str, name: str, more: str) -> None:
    words = line(params(optimizer=optimizer))
    assert f"--optimizer_type={name}" in words
    assert more in words[words.index("--optimizer_args") :]


def test_a_seed_fits_into_what_it_takes() -> None:
    assert "--seed=5" in line(params(seed=2**32 + 5))


def test_predictions_and_precisions_are_told() -> None:
    assert "--v_parameterization" in line(params(), replace(PLAN, v_prediction=True))
    assert "--v_parameterization" not in line(params())
    assert "--mixed_precision=no" in line(params(), replace(PLAN, precision="fp32"))
    assert "--no_half_vae" in line(params("sdxl"))
    assert "--no_half_vae" not in line(params("sdxl"), replace(PLAN, precision="fp32"))


def test_captions_are_encoded_once_where_nothing_changes_them() -> None:
    assert "--cache_text_encoder_outputs" in line(params("sdxl", caption_dropout=0.0))
    assert "--cache_text_encoder_outputs" not in line(params("sdxl", caption_dropout=0.1))
    trained = params("sdxl", caption_dropout=0.0, text_encoder_lr=1e-5)
    assert "--cache_text_encoder_outputs" not in line(trained)


def test_flux_has_a_network_and_times_of_its_own() -> None:
    words = line(params("flux"))
    assert {"--network_module=networks.lora_flux", "--timestep_sampling=shift"} <= set(words)
    assert {"--clip_l=/c", "--t5xxl=/t", "--ae=/a", "--guidance_scale=1"} <= set(words)


def test_an_operators_options_come_last() -> None:
    extra: dict[str, Extra] = {
        "--sdpa": False,
        "--xformers": True,
        "--clip_skip": 2,
        "--network_args": "conv_dim=4 conv_alpha=2",
        "--loss_type": "huber",
    }
    words = line(params(), extra=extra)
    assert "--sdpa" not in words
    assert {"--xformers", "--clip_skip=2", "--loss_type=huber"} <= set(words)
    assert words[words.index("--network_args") :][1:3] == ["conv_dim=4", "conv_alpha=2"]


def test_xformers_takes_the_place_of_sdpa() -> None:
    assert "--sdpa" not in line(params(), extra={"--xformers": True})


def test_a_resume_says_where_it_goes_on() -> None:
    plan = replace(PLAN, state=Path("/run/out/lora-step00000006-state"), done=6)
    words = line(params(gradient_accumulation=2, seed=1), plan)
    assert {"--resume=/run/out/lora-step00000006-state", "--skip_until_initial_step"} <= set(words)
    # Batches are skipped, not steps; and the noise of the beginning does not come again.
    assert {"--initial_step=3", "--seed=7"} <= set(words)


@pytest.mark.parametrize(
    ("changes", "extra", "said"),
    [
        ({"family": "qwen"}, {}, "qwen needs our own trainer"),
        ({"targets": "attention"}, {}, "targets = attention"),
        ({"hold_out": 2}, {}, "hold_out"),
        ({}, {"--netwrok_dim": 4}, "has no option --netwrok_dim"),
        ({}, {"--clip_l": "/c"}, "has no option --clip_l"),
        ({}, {"--clip_skip": "two"}, "--clip_skip cannot be 'two'"),
        ({}, {"--clip_skip": 1.5}, "--clip_skip cannot be 1.5"),
        ({}, {"--clip_skip": True}, "--clip_skip cannot be True"),
        ({}, {"--xformers": "yes"}, "--xformers is on or off"),
        ({}, {"--loss_type": "l3"}, "--loss_type 'l3' is not one of: l1, l2"),
        ({}, {"--base_weights_multiplier": "1 x"}, "cannot be 'x'"),
        ({}, {"--output_dir": "/elsewhere"}, "output_dir is set by the run itself"),
        ({}, {"--train_batch_size": 4}, "train_batch_size is set by the run itself"),
        ({}, {"clip_skip": 2}, "options begin with --"),
        ({"family": "flux", "min_snr_gamma": 0.0}, {}, "needs the option clip_l"),
        ({"family": "flux", "min_snr_gamma": 5.0}, FLUX, "min_snr_gamma does nothing"),
    ],
)
def test_what_it_cannot_do_is_said(
    changes: dict[str, Any], extra: dict[str, Extra], said: str
) -> None:
    with pytest.raises(OptionError) as caught:
        options.check(replace(PARAMS, **changes), extra)
    assert said in str(caught.value)


def test_several_devices_are_for_our_own_trainer() -> None:
    with pytest.raises(OptionError, match="one device"):
        options.check(params(), {}, 2)


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_what_the_run_sets_are_options_of_it(family: str) -> None:
    assert set(options._table()["ours"]) <= options.kinds(family).keys()
