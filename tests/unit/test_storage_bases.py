"""What is wrong in the list of base models is said at the start, not in somebody's order."""

from dataclasses import replace
from pathlib import Path

import pytest

from storage import bases
from tests.jobs import PARAMS

ENTRY = '[own]\nfamily = "sd15"\npath = "model"\n'


def load(tmp_path: Path, more: str) -> bases.Base:
    (tmp_path / "bases.toml").write_text(ENTRY + more)
    return bases.load(tmp_path, None)["own"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('steps = "many"', "steps cannot be 'many'"),
        ("steps = 7.5", "steps cannot be 7.5"),
        ("learning_rate = true", "learning_rate cannot be True"),
        ("early_stop = 1", "early_stop cannot be 1"),
        ('memory_check = "no"', "memory_check cannot be 'no'"),
        ("rank = 100000", "rank 100000 is outside 1..256"),
        ("resolution = 513", "not a multiple of 8"),
        ('precision = "fp8"', "precision 'fp8' is not one of"),
        ("minutes = nan", "minutes nan is no time"),
        ("step = 100", "step is not known"),
    ],
)
def test_a_wrong_value_names_the_base_and_itself(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(bases.BasesFileError, match=r"\[own\]") as caught:
        load(tmp_path, line)
    assert said in str(caught.value)


def test_a_whole_number_may_be_a_learning_rate(tmp_path: Path) -> None:
    assert load(tmp_path, "learning_rate = 1").overrides.learning_rate == 1.0


def test_switches_and_lists_are_taken(tmp_path: Path) -> None:
    more = "gradient_checkpointing = true\nmemory_check = false\nresolutions = [256, 384]\n"
    found = load(tmp_path, more).overrides
    assert (found.gradient_checkpointing, found.memory_check) == (True, False)
    assert found.resolutions == (256, 384)


def test_a_list_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(bases.BasesFileError, match=r"no\.toml"):
        bases.load(tmp_path, tmp_path / "no.toml")


def test_a_path_is_found_from_the_list_and_not_from_here(tmp_path: Path) -> None:
    assert load(tmp_path, "").path == tmp_path / "model"


def test_the_demo_may_be_changed(tmp_path: Path) -> None:
    (tmp_path / "bases.toml").write_text('[demo]\nfamily = "sd15"\npath = "p"\nsteps = 9\n')
    assert bases.load(tmp_path, None)["demo"].overrides.steps == 9


def test_params_say_what_is_wrong() -> None:
    for change, said in (
        ({"rank": 512}, "rank 512 is outside 1..256"),
        ({"resolution": 65}, "not a multiple of 8"),
        ({"trigger": "two words"}, "trigger word"),
        ({"family": "sd9"}, "is not one of"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(PARAMS, **change)


SD = 'backend = "sd-scripts"\n[own.sd_scripts]\n'


def test_a_base_may_be_trained_with_sd_scripts(tmp_path: Path) -> None:
    assert load(tmp_path, "").backend == bases.NATIVE
    own = load(tmp_path, SD + 'clip_skip = 2\nxformers = true\nnetwork_args = ["a=1", "b=2 3"]\n')
    assert own.backend == bases.SD_SCRIPTS
    assert own.options == {
        "--clip_skip": 2,
        "--xformers": True,
        "--network_args": "a=1 'b=2 3'",
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('backend = "kohya"', "backend 'kohya' is not one of: native, sd-scripts"),
        ("[own.sd_scripts]\nclip_skip = 2", "sd_scripts is a table of options"),
        ("sd_scripts = 3", "sd_scripts is a table of options"),
        (SD + "clipskip = 2", "has no option --clipskip"),
        (SD + 'clip_skip = "x"', "--clip_skip cannot be 'x'"),
        (SD + "clip_skip = {}", "clip_skip cannot be {}"),
        (SD + 'output_dir = "x"', "output_dir is set by the run itself"),
        ('targets = "attention"\n' + SD, "targets = attention"),
    ],
)
def test_what_sd_scripts_cannot_do_is_said_at_the_start(
    tmp_path: Path, more: str, said: str
) -> None:
    with pytest.raises(bases.BasesFileError, match=r"\[own\]") as caught:
        load(tmp_path, more)
    assert said in str(caught.value)
