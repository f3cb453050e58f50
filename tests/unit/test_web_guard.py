"""Which requests pass the guard: by host, by path, by origin."""

import pytest
from starlette.datastructures import Headers

from bot.web.guard import Guard, same_origin

OWN = "127.0.0.1:8765"


async def nothing(*_: object) -> None:
    raise AssertionError("the page behind the guard was asked")


def answer(method: str, path: str, **headers: str) -> int:
    guard = Guard(nothing, public_url="https://loras.example/bot")
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    refusal = guard._refusal({"method": method, "path": path}, named)
    return refusal.status_code if refusal else 200


@pytest.mark.parametrize("host", [OWN, "localhost:9000", "[::1]:8765", "127.0.0.1", "LOCALHOST"])
def test_this_machine_may_see_the_page_under_any_port(host: str) -> None:
    assert answer("GET", "/", host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "evil@127.0.0.1.x", "127.1", "[::1", "0.0.0.0"],
)
def test_a_foreign_or_broken_name_is_refused(host: str) -> None:
    assert answer("GET", "/healthz", host=host) == 421


@pytest.mark.parametrize("path", ["/", "/events", "/thumb/x", "/readyz"])
def test_the_public_name_opens_no_chat(path: str) -> None:
    assert answer("GET", path, host="loras.example") == 404


@pytest.mark.parametrize("path", ["/dl/token", "/static/chat.css", "/healthz"])
def test_the_public_name_opens_downloads(path: str) -> None:
    assert answer("GET", path, host="loras.example:443") == 200


@pytest.mark.parametrize("mark", ["x_forwarded_for", "forwarded", "via", "x_real_ip"])
def test_what_came_through_a_proxy_is_not_at_this_machine(mark: str) -> None:
    assert answer("GET", "/", host=OWN, **{mark: "203.0.113.9"}) == 404
    assert answer("GET", "/dl/token", host=OWN, **{mark: "203.0.113.9"}) == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_every_change_needs_the_pages_own_origin(method: str) -> None:
    assert answer(method, "/say", host=OWN) == 403
    assert answer(method, "/say", host=OWN, origin=f"http://{OWN}") == 200


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://127.0.0.1:9999", "http://127.0.0.1", "ftp://127.0.0.1:8765", "http://["],
)
def test_another_port_or_scheme_is_another_origin(origin: str) -> None:
    assert not same_origin(origin, OWN)
