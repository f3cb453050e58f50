"""Every route of the web app, tried by strangers, other people, other pages and slow clients."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from bot.links import Links
from bot.rates import Rate, Rates
from bot.texts.catalog import Catalog
from bot.web import guard, room
from bot.web.app import create_app
from bot.web.doorway import Doorway
from bot.web.downloads import Downloads
from bot.web.guard import hurried
from bot.web.words import words_of
from tests.drawn import photos
from tests.security.conftest import LORA, House
from tests.web_client import WebPerson

# What a stranger may open. Everything else does not exist for them.
PUBLIC = {"/", "/healthz", "/static/chat.js"}
ROUTES = {
    "/": "/",
    "/events": "/events",
    "/say": "/say",
    "/press": "/press",
    "/upload": "/upload?id=abcdef",
    "/thumb/{name}": "/thumb/{sha}.x",
    "/shown/{name:path}": "/shown/artifacts/x",
    "/dl/{token}": "/dl/x.y.z",
    "/healthz": "/healthz",
    "/config/test": "/config/test",
    "/static": "/static/chat.js",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X")
TRAVERSALS = (
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/%2e%2e%2fapp.py",
    "/static/%252e%252e%252fapp.py",
    "/static/..\\app.py",
    "/static/..%5capp.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/%00chat.js",
    "/static/chat.js%00.html",
    "/static/\u2025/app.py".encode().decode("latin-1"),
    "/static/%c0%ae%c0%ae/app.py",
    "/static/" + "a" * 5000,
    "/static/" + "../" * 50 + "etc/passwd",
    "/shown/../../secret.key",
    "/shown/%2e%2e%2f%2e%2e%2fsecret.key",
    "/shown/" + "%00" * 10,
    "/thumb/..%2f..%2fsecret.key",
    "/dl/../say",
    "/dl/%2e%2e/say",
    "/dl/..%2f..%2fsecret.key",
    "/dl/" + "A" * 20_000,
    "/dl/%ff%fe",
    "/dl/%F0%9F%A6%8A.x.y",
    "//evil.example/",
    "/\\evil.example/",
    "/;/../healthz/..",
)


def routes(house: House) -> set[str]:
    """As the app itself has them."""
    downloads = Downloads(db=house.database, blobs=house.blobs, links=house.links)
    app = cast("Starlette", create_app(cast("Any", _NoRoom()), downloads).app)
    return {str(cast("Any", one).path) for one in app.routes}


class _NoRoom:
    """Only names its handlers."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


async def test_every_route_is_in_this_table(house: House) -> None:
    assert routes(house) == set(ROUTES)


async def test_a_stranger_finds_only_the_door(house: House) -> None:
    """Each route by each method, without a cookie, from the page's own origin and from none."""
    origin = f"Origin: {house.address}\r\nContent-Type: application/json\r\n"
    wrong = []
    for target in ROUTES.values():
        for method in METHODS:
            for headers in ("", origin):
                status, _ = await house.ask(target, method=method, headers=headers)
                open_ = target in PUBLIC and method in ("GET", "HEAD")
                if (status == 200) is not open_ or status >= 500:
                    wrong.append((method, target, headers[:6], status))
    assert not wrong


async def test_a_path_that_is_none_leads_nowhere(house: House) -> None:
    for target in TRAVERSALS:
        status, said = await house.ask(target)
        assert 400 <= status < 500, (target, said)
        assert "root:" not in said
        assert "import" not in said


async def test_what_is_one_visitors_is_nothing_to_another(house: House) -> None:
    async with WebPerson(house.address) as one, WebPerson(house.address) as other:
        await one.say("/train")
        await one.press("A person")
        await one.upload(photos(1))
        shown = await one.until(
            lambda: [name for m in one.messages.values() for name in m.get("files", ())]
        )
        await other.until(lambda: other.chat)
        for person, status in ((one, 200), (other, 404)):
            assert (await person.http.get(f"/thumb/{shown[0]}")).status_code == status
        # Nor does a name that was signed for one purpose open another.
        for path in ("/shown/", "/dl/"):
            assert (await one.http.get(path + shown[0])).status_code == 404
        assert not any("file" in m or "files" in m for m in other.messages.values())


async def test_a_cookie_that_was_changed_is_nobodys(house: House) -> None:
    async with WebPerson(house.address) as one:
        await one.until(lambda: one.chat)
        name, value = next(iter(one.http.cookies.items()))
    person, when, signed = value.rsplit(".", 2)
    forged = (
        f"{'0' * 16}.{when}.{signed}",
        f"{person}.{when}.",
        f"{person}.{when}.{signed[:-1]}",
        person,
        "",
        "." * 100,
        "A" * 3000,
    )
    for cookie in forged:
        status, _ = await house.ask("/events", headers=f"Cookie: {name}={cookie}\r\n")
        assert status == 404, cookie


async def test_a_cookie_is_for_this_page_alone(house: House) -> None:
    async with httpx.AsyncClient() as nobody:
        answer = await nobody.get(house.address)
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "domain=" not in said
    assert len(answer.headers.get_list("set-cookie")) == 1


STRANGE_HOSTS = (
    *("evil.example", "127.0.0.1.evil.example", "localhost.", "localhost.evil.example"),
    *("loras.example.evil.example", "evil@127.0.0.1.example", "[::2]", "0.0.0.0", "127.1"),
    *("2130706433", "", "127.0.0.1 evil", "["),
)


async def test_a_name_that_was_bound_to_this_machine_is_not_ours(house: House) -> None:
    """DNS rebinding: another page's name that leads here."""
    for host in STRANGE_HOSTS:
        for target in ("/", "/events", "/static/chat.js", "/healthz"):
            request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            first = (await house.raw(request.encode())).partition(b"\r\n")[0]
            assert first.split()[1] in (b"421", b"400"), (host, first)


async def test_two_hosts_or_none_are_no_request(house: House) -> None:
    for lines in (f"Host: {house.host}\r\nHost: evil.example\r\n", ""):
        answer = await house.raw(f"GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        assert answer.split()[1] == b"400"


async def test_through_a_proxy_the_chat_is_not_there(house: House) -> None:
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "X-Forwarded-Host"):
        for target in ROUTES.values():
            status, _ = await house.ask(target, headers=f"{name}: 203.0.113.9\r\n")
            assert (status == 200) is (target in PUBLIC - {"/"}), (name, target)


async def test_a_proxy_that_says_nothing_is_known_by_its_old_http(house: House) -> None:
    """nginx as it comes: the host is the one that it connects to, and the version is 1.0."""
    answer = await house.raw(f"GET / HTTP/1.0\r\nHost: {house.host}\r\n\r\n".encode())
    assert answer.split()[1] == b"404"
    assert b"set-cookie" not in answer.lower()


async def test_no_other_page_can_post(house: House) -> None:
    port = int(house.host.partition(":")[2])
    elsewhere = (
        "https://evil.example",
        f"http://127.0.0.1:{port + 1}",
        f"http://localhost:{port}",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://evil.example@127.0.0.1:{port}",
        f"file://127.0.0.1:{port}",
        "null",
        "",
    )
    async with WebPerson(house.address) as one:
        for path in ("/say", "/press", "/upload?id=abcdef", "/config/test"):
            for origin in elsewhere:
                answer = await one.http.post(path, headers={"origin": origin}, json={})
                assert answer.status_code == 403, (path, origin)


async def test_what_a_form_could_send_is_not_taken(house: House) -> None:
    async with WebPerson(house.address) as one:
        body = b'{"id": "abcdef", "text": "/train"}'
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = await one.http.post("/say", content=body, headers={"content-type": kind})
            assert answer.status_code == 415, kind


async def test_another_page_cannot_use_ours_as_a_part(house: House) -> None:
    """No picture, script, frame or stream of ours in it; a link to us is a link."""
    async with WebPerson(house.address) as one:
        for site in ("cross-site", "same-site"):
            for what in ("image", "script", "iframe", "empty", "object", "style"):
                lured = {"sec-fetch-site": site, "sec-fetch-dest": what}
                for path in ("/", "/events", "/static/chat.js"):
                    assert (await one.http.get(path, headers=lured)).status_code == 403
            linked = {"sec-fetch-site": site, "sec-fetch-dest": "document"}
            assert (await one.http.get("/", headers=linked)).status_code == 200


async def test_a_websocket_is_not_spoken_here(house: House) -> None:
    wanted = (
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    for target in ("/", "/events"):
        request = f"GET {target} HTTP/1.1\r\nHost: {house.host}\r\nConnection: close, Upgrade\r\n"
        answer = await house.raw(f"{request}{wanted}\r\n".encode())
        assert answer.split()[1] in (b"200", b"404")


async def test_every_answer_forbids_frames_scripts_and_guesses(house: House) -> None:
    link = house.links.path((await house.finished("tg:1")).id, "tg:1")
    async with httpx.AsyncClient(base_url=house.address) as nobody:
        asked = ("/nothing", "/static/chat.js", "/healthz", link, "/dl/x", "/events", "/say", "/")
        for path in asked:
            headers = (await nobody.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "object-src 'none'" in policy
            assert "base-uri 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers
        assert "attachment" in (await nobody.get(link)).headers["content-disposition"]
        refused = await nobody.get("/", headers={"host": "evil.example"})
        assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]


def test_no_page_needs_more_than_the_policy_allows() -> None:
    """Nothing inline in a template, and no script of ours makes code or markup of text."""
    folder = Path(guard.__file__).parent
    for page in (folder / "templates").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), page.name
        assert not re.search(r"<style|\bstyle=|\son\w+\s*=|javascript:|\|\s*safe", text), page.name
    for script in (folder / "static").glob("*.js"):
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|document\.write", text), (
            script.name
        )


def test_words_in_a_page_never_become_markup() -> None:
    """A sentence may carry somebody's words; the page's own JSON stands in an attribute."""
    evil = "</title><script>alert(1)</script>' onload='x"
    page = room.templates.get_template("notice.html").render(
        title=evil, text=evil, language="en", say=lambda *_: evil
    )
    assert "<script>alert" not in page
    words = words_of(Catalog.load("en")) | {"evil": [evil]}
    caps = {"files": 1, "file_bytes": 1, "request_bytes": 1}
    page = room.templates.get_template("chat.html").render(
        words=words, caps=caps, chat=evil, language="en", say=lambda *_: evil, stays=True
    )
    assert "<script>alert" not in page
    assert "' onload='" not in page


# --- bodies and heads ----------------------------------------------------------------------------


async def test_a_head_that_does_not_come_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowloris: also behind a request that was whole, and one byte at a time."""
    monkeypatch.setattr(Doorway, "head_s", 0.3)
    whole = f"GET /healthz HTTP/1.1\r\nHost: {house.host}\r\n\r\n"
    for begun in ("", "GET / HT", whole + "GET /"):
        assert b"chat" not in await house.raw(begun.encode(), within_s=8)
    host, _, port = house.host.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    ended = asyncio.create_task(reader.read())
    async with asyncio.timeout(8):
        while not ended.done():
            writer.write(b"G")
            await asyncio.wait({ended}, timeout=0.05)
    assert not ended.exception() or isinstance(ended.exception(), ConnectionError)
    writer.close()


async def test_too_many_connections_are_not_held(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doorway, "most", 5)
    host, _, port = house.host.partition(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(12)]
    ended = [asyncio.create_task(reader.read()) for reader, _ in held]
    done, _ = await asyncio.wait(ended, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert done
    for task, (_, writer) in zip(ended, held, strict=True):
        task.cancel()
        writer.close()
    await asyncio.gather(*ended, return_exceptions=True)
    async with httpx.AsyncClient(base_url=house.address) as somebody:
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await somebody.get("/healthz")).text == "ok\n"
                    break
                except httpx.TransportError:
                    continue


async def test_a_body_that_does_not_come_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    async with WebPerson(house.address) as one:
        cookie = "; ".join(f"{name}={value}" for name, value in one.http.cookies.items())
        for target, kind in (
            ("/say", "application/json"),
            ("/press", "application/json"),
            ("/upload?id=abcdef", "multipart/form-data; boundary=x"),
        ):
            head = (
                f"POST {target} HTTP/1.1\r\nHost: {house.host}\r\nOrigin: {house.address}\r\n"
                f"Cookie: {cookie}\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n"
                "Connection: close\r\n\r\n"
            )
            answer = await house.raw(head.encode() + b"{", within_s=20)
            assert answer.split()[1] == b"400", target


async def test_a_trickle_counts_as_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time; all of it together would take for ever."""
    monkeypatch.setattr(guard, "BODY_S", 0.05)
    monkeypatch.setattr(guard, "SLOWEST_BYTES_S", 1_000_000_000)

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x", "more_body": True}

    receive = hurried(trickle)
    async with asyncio.timeout(5):
        while (await receive())["type"] == "http.request":
            pass


async def test_a_body_is_counted_and_not_believed(house: House) -> None:
    """Longer than it said, or without a length: it ends at the cap."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b'{"id": "abcdef", "text": "' + b"a" * 4000

    async with WebPerson(house.address) as one:
        answer = await one.http.post(
            "/say", content=endless(), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413
        cookie = "; ".join(f"{name}={value}" for name, value in one.http.cookies.items())
        for length in ("10", "0"):
            head = (
                f"POST /say HTTP/1.1\r\nHost: {house.host}\r\nOrigin: {house.address}\r\n"
                f"Cookie: {cookie}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                f"Content-Length: {length}\r\n\r\n"
            )
            said = await house.raw(head.encode() + b"a" * 100_000)
            assert said.split()[1:2] in ([b"400"], []), length


async def test_a_request_cannot_hide_another_one(house: House) -> None:
    """Two lengths, or a length beside chunks: no proxy and no bot may read it differently."""
    base = f"POST /say HTTP/1.1\r\nHost: {house.host}\r\nOrigin: {house.address}\r\n"
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for lengths in (
        "Content-Length: 5\r\nContent-Length: 50\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +5\r\n",
    ):
        answer = await house.raw(f"{base}{lengths}\r\n".encode() + b"0\r\n\r\n" + hidden)
        assert b"ok\n" not in answer, lengths
        assert answer.split()[1] in (b"400", b"404", b"501"), lengths


# --- how often -----------------------------------------------------------------------------------


def test_a_bucket_fills_up_again() -> None:
    rates = Rates(Rate(burst=2, per_s=0.5))
    assert [rates.wait_s("a", 0), rates.wait_s("a", 0)] == [0, 0]
    assert rates.wait_s("a", 0) == pytest.approx(2)
    assert rates.wait_s("b", 0) == 0
    assert rates.wait_s("a", 2) == 0
    assert rates.wait_s("a", 2) > 0
    assert rates.wait_s("a", -100) > 0, "a clock that goes back gives nothing away"


def test_many_names_cost_no_memory() -> None:
    rates = Rates(Rate(burst=1, per_s=1))
    for number in range(20_000):
        rates.wait_s(str(number), 0)
    assert len(rates._left) <= 10_000


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets that are soon empty, and fill up slower than a busy machine is slow."""
    monkeypatch.setattr(guard, "DOWNLOADED", Rate(burst=5, per_s=0.001))
    monkeypatch.setattr(room, "POSTED", Rate(burst=5, per_s=0.001))


@pytest.mark.usefixtures("few")
async def test_one_person_who_presses_without_end_is_slowed_down(house: House) -> None:
    async with WebPerson(house.address) as one, WebPerson(house.address) as other:
        answers = [
            (await one.http.post("/press", json={"id": f"id-{n}", "data": ""})).status_code
            for n in range(7)
        ]
        assert answers == [400] * 5 + [429] * 2
        assert (await other.http.post("/press", json={"id": "abcd", "data": ""})).status_code == 400


@pytest.mark.usefixtures("few")
async def test_one_address_that_downloads_without_end_is_slowed_down(house: House) -> None:
    link = house.links.path((await house.finished("tg:1")).id, "tg:1")

    async def asked(address: str) -> int:
        outside = {"host": "loras.example", "x-forwarded-for": f"10.0.0.1, {address}"}
        async with httpx.AsyncClient(base_url=house.address) as one:
            return (await one.get(link, headers=outside)).status_code

    answers = [await asked("203.0.113.7") for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2
    assert await asked("203.0.113.8") == 200


# --- links ---------------------------------------------------------------------------------------


async def test_a_link_opens_one_file_for_one_person_for_some_time(house: House) -> None:
    mine = await house.finished("tg:1")
    good = house.links.path(mine.id, "tg:1")
    token = good.removeprefix("/dl/")
    body, when, signed = token.split(".")
    other = Links("another secret", hours=1)
    bad = {
        "another person's": house.links.path(mine.id, "tg:2"),
        "no job's": house.links.path("0" * 26, "tg:1"),
        "another server's": other.path(mine.id, "tg:1"),
        "changed": f"/dl/{body[:-1]}{'A' if body[-1] != 'A' else 'B'}.{when}.{signed}",
        "with another time": f"/dl/{body}.{when[:-1]}{'A' if when[-1] != 'A' else 'B'}.{signed}",
        "unsigned": f"/dl/{body}.{when}.",
        "cut": good[:-1],
        "longer": good + "A",
        "doubled": good + good.removeprefix("/dl"),
        "of another file": house.links.path(mine.id, "tg:1", "artifacts/other/1/x"),
        "of an export that is none": house.links.path("", "", "photos/ab/abc"),
    }
    async with httpx.AsyncClient(base_url=house.address) as nobody:
        assert (await nobody.get(good)).content == LORA
        for what, path in bad.items():
            assert (await nobody.get(path)).status_code == 404, what
        house.links.hours = -1
        assert (await nobody.get(good)).status_code == 410


async def test_a_link_does_not_open_what_was_deleted_or_given_away(house: House) -> None:
    from sqlalchemy import update

    from storage import schema

    mine = await house.finished("tg:1")
    link = house.links.path(mine.id, "tg:1")
    async with house.database.write() as tx:
        await tx.execute(update(schema.jobs).values(person="tg:9"))
    async with httpx.AsyncClient(base_url=house.address) as nobody:
        assert (await nobody.get(link)).status_code == 404


def test_a_link_says_nothing_without_its_key() -> None:
    """Signatures of cookies, pictures and links are not each other's."""
    from bot.web.visitors import Visitors

    links = Links("secret", hours=1)
    cookie = Visitors(secret="secret")._signer().sign("0" * 16).decode()
    assert links.read(cookie) is None
    assert links.read("") is None
    assert links.read("\udcff" * 3) is None
    assert links.read("A" * 1_000_000) is None
