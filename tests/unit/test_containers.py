"""The images and the services say only what exists. No engine is needed to see that."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.settings import SECRETS, Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("bot", "worker", "head", "gpu")
PROFILES = {
    "one": {"redis", "bot", "worker"},
    "many": {"postgres", "doorbell", "store", "bucket", "head"},
    "worker": {"gpu"},
}


def names(field: str, service: str) -> set[str]:
    """Of a list, or of a table."""
    return set(SERVICES[service].get(field, ()))


def test_what_is_copied_is_there_and_goes_to_the_builder() -> None:
    shown = set((ROOT / ".dockerignore").read_text().split())
    copied = [
        word
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    assert len(copied) >= 10
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in shown
    packages = set(copied) - {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {f"{name}*" for name in packages} == set(built["find"]["include"])


def test_the_extras_exist_and_the_bot_has_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = project["optional-dependencies"]
    wanted = [extras.split(",") for extras in re.findall(r'"\.\[([a-z0-9,-]+)\]"', DOCKERFILE)]
    assert len(wanted) == 2
    assert all(extra in known for extras in wanted for extra in extras)
    bot = project["dependencies"] + [line for extra in wanted[0] for line in known[extra]]
    heavy = re.compile(r"torch|diffusers|transformers|onnxruntime|lorabot\[")
    assert not [line for line in bot if heavy.match(line)]


def test_both_images_run_as_somebody_without_rights_and_say_how_they_are() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    for stage in stages:
        assert re.findall(r"^USER (\w+)$", stage, re.MULTILINE)[-1] == "lorabot"
        part = re.findall(r'^CMD \["lorabot", "(\w+)"\]$', stage, re.MULTILINE)
        assert f'CMD ["lorabot", "health", "{part[0]}"]' in stage


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_is_whole_by_itself(profile: str) -> None:
    inside = {name for name, one in SERVICES.items() if profile in one["profiles"]}
    assert inside == PROFILES[profile]
    for name in inside:
        assert names("depends_on", name) <= inside
        assert names("secrets", name) <= set(COMPOSE["secrets"])
        for volume in SERVICES[name].get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith("$")


def test_nothing_listens_beyond_this_machine_unless_that_is_said() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", ())]
    assert len(ports) == 5
    assert all(port.startswith(("127.0.0.1:", "${LISTEN:-127.0.0.1}:")) for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_watched_and_get_time_to_stop(name: str) -> None:
    service = SERVICES[name]
    part = "bot" if name in {"bot", "head"} else "worker"
    assert service["healthcheck"]["test"] == ["CMD", "lorabot", "health", part]
    assert service["build"]["target"] == part
    assert service["stop_grace_period"] == {"bot": "30s", "worker": "2m"}[part]
    assert service["cap_drop"] == ["ALL"]
    assert ("deploy" in service) == (part == "worker")
    known = {field.upper() for field in Settings.model_fields} | {f"{one}_FILE" for one in SECRETS}
    assert set(service["environment"]) <= known


def test_every_waited_for_service_can_be_seen_to_be_ready() -> None:
    for one in SERVICES.values():
        for name, how in one.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (SERVICES[name].get("restart") == "no")
            assert ends or "healthcheck" in SERVICES[name]


def test_the_example_chooses_the_profile_of_one_machine() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert "COMPOSE_PROFILES=one" in lines
    assert "LOG_FORMAT=console" in lines
