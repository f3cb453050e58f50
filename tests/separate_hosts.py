"""Hosts of their own on one machine: network namespaces that can be cut off without a goodbye.

Each host has two cables: one into the network of the database, one into that of everything else.
The far ends of both are bridges of this machine, which is where the servers listen.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

REQUIRED = "LORABOT_REQUIRE_NETNS"
NETWORKS = ("d", "r")  # of the database, and of the rest


def found_or_skip() -> None:
    """Where no namespace can be made the tests are skipped, except where it is to be possible."""
    why = ""
    if shutil.which("ip") is None:
        why = "there is no `ip` here: apt-get install iproute2"
    elif os.geteuid() != 0:
        why = "only root may make network namespaces"
    else:
        name = f"lb{secrets.token_hex(3)}"
        made = _tried("ip", "netns", "add", name)
        why = f"no network namespace can be made here ({made})" if made else ""
        why = why or _tried("ip", "link", "add", name, "type", "bridge")
        _tried("ip", "link", "del", name)
        _tried("ip", "netns", "del", name)
    if why and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {why}")
    if why:
        pytest.skip(why)


def _tried(*command: str) -> str:
    """Empty when it worked, else what was said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip() or "it failed") if done.returncode else ""


def _do(*command: str) -> None:
    if said := _tried(*command):
        raise AssertionError(f"{' '.join(command)}: {said}")


@dataclass(frozen=True)
class Host:
    """One namespace."""

    name: str
    number: int
    suffix: str

    def command(self, *words: str) -> list[str]:
        """The same, inside. It stays one process, because `ip` becomes what it starts."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self, *networks: str) -> None:
        """Packets are lost from now on, and nobody is told."""
        for network in networks or NETWORKS:
            _do("ip", "link", "set", self.cable(network), "down")

    def join(self, *networks: str) -> None:
        for network in networks or NETWORKS:
            _do("ip", "link", "set", self.cable(network), "up")

    def cable(self, network: str) -> str:
        """The end that lies outside."""
        return f"lv{network}{self.number}{self.suffix}"


@dataclass(frozen=True)
class Lan:
    """``database`` and ``rest`` are this machine's own addresses in the two networks."""

    database: str
    rest: str
    hosts: tuple[Host, ...]


@contextmanager
def separate_hosts(count: int) -> Iterator[Lan]:
    """Gone at the end, whatever happens."""
    suffix = secrets.token_hex(3)
    second, third = 200 + secrets.randbelow(50), secrets.randbelow(250)
    nets = {name: f"10.{second}.{third + place}" for place, name in enumerate(NETWORKS)}
    with ExitStack() as undo:
        for name, net in nets.items():
            bridge = f"lb{name}{suffix}"
            _do("ip", "link", "add", bridge, "type", "bridge")
            undo.callback(_tried, "ip", "link", "del", bridge)
            _do("ip", "address", "add", f"{net}.1/24", "dev", bridge)
            _do("ip", "link", "set", bridge, "up")
        hosts = []
        for number in range(1, count + 1):
            host = Host(f"lbh{number}{suffix}", number, suffix)
            _do("ip", "netns", "add", host.name)
            undo.callback(_tried, "ip", "netns", "del", host.name)
            _do(*host.command("ip", "link", "set", "lo", "up"))
            for name, net in nets.items():
                undo.callback(_tried, "ip", "link", "del", host.cable(name))
                _plug_in(host, name, f"{net}.{10 + number}/24")
            hosts.append(host)
        yield Lan(f"{nets['d']}.1", f"{nets['r']}.1", tuple(hosts))


def _plug_in(host: Host, network: str, address: str) -> None:
    outer, inner = host.cable(network), f"net{network}"
    peer = ("type", "veth", "peer", "name", inner, "netns", host.name)
    _do("ip", "link", "add", outer, *peer)
    _do("ip", "link", "set", outer, "master", f"lb{network}{host.suffix}", "up")
    _do(*host.command("ip", "address", "add", address, "dev", inner))
    _do(*host.command("ip", "link", "set", inner, "up"))
