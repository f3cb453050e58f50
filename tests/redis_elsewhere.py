"""A Redis as others run it: with a user and a password, behind TLS with a certificate of its own.

The packaged server speaks no TLS, so that a small one before it does: what our clients see is real.
"""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from storage import redis_server
from tests.conftest import eventually
from tests.service import free_port

USER = "lorabot"
WORD = "a:word/with@signs"
# As docs/operations.md says it.
RIGHTS = "~* &* +@all -@admin -@dangerous +info"


@dataclass(frozen=True)
class Elsewhere:
    """``ca`` is the file with the certificate that signed the server's."""

    plain_port: int
    tls_port: int
    ca: Path

    def plain(self, word: str = WORD, user: str = USER) -> str:
        return f"redis://{user}:{quote(word, safe='')}@127.0.0.1:{self.plain_port}/0"

    def tls(self, word: str = WORD, *, host: str = "localhost", trusted: bool = True) -> str:
        known = f"?ssl_ca_certs={self.ca}" if trusted else ""
        return f"rediss://{USER}:{quote(word, safe='')}@{host}:{self.tls_port}/0{known}"


@asynccontextmanager
async def redis_elsewhere(folder: Path) -> AsyncIterator[Elsewhere]:
    binary = redis_server.find_binary()
    if binary is None:
        pytest.skip("no Redis or Valkey on this machine")
    users = folder / "users.acl"
    users.write_text(f"user default off\nuser {USER} on >{WORD} {RIGHTS}\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder, "localhost"))
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--aclfile", str(users), "--save", "")
    process = await asyncio.create_subprocess_exec(
        str(binary), *options, stdout=asyncio.subprocess.DEVNULL
    )

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, inner[1]), _pump(inner[0], writer))

    server = await asyncio.start_server(enter, "127.0.0.1", 0, ssl=context)
    one = Elsewhere(port, server.sockets[0].getsockname()[1], folder / "localhost.pem")

    async def answers() -> bool:
        client = Redis.from_url(one.plain())
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()

    try:
        await eventually(answers)
        yield one
    finally:
        server.close()
        process.terminate()
        await process.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def certificate(folder: Path, name: str) -> Path:
    """A file with a new key and a certificate for ``name``, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
