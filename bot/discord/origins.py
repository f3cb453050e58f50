"""Where Discord's files may be fetched from: its own servers, or the one that was set. Pure.

An attachment's address comes in a message; without this, whoever can make one up could let us look
around in the operator's network.
"""

import ipaddress
from urllib.parse import urlsplit

DISCORD = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
OFFICIAL = ("discord.com", "discordapp.com")


def may_fetch(url: str, api_url: str) -> bool:
    """``api_url`` is the server that this bot speaks with."""
    try:
        wanted, api = urlsplit(url), urlsplit(api_url)
        host, own = wanted.hostname or "", api.hostname or ""
        known = wanted.port in (None, 443) and wanted.username is None
    except ValueError:
        return False
    if host in DISCORD:
        return wanted.scheme == "https" and known
    if own.endswith(OFFICIAL) or wanted.username is not None:
        return False
    # A server of the operator's own: itself, whatever its port, and in plain HTTP as it is itself.
    if wanted.scheme not in {"https", api.scheme}:
        return False
    return host == own or (_is_loopback(host) and _is_loopback(own))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
