"""Which store of files the settings name: a folder in DATA_DIR, or a bucket."""

import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from storage.blob_store import LocalBlobs
from storage.blobs import BlobExistsError, Blobs, StoreError
from storage.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

NEAR_BYTES = 2_000_000_000
LONGEST_S = 3600  # what the library may wait for one answer; each try has a limit of its own
CHECK_PATIENCE_S = 1.0
CLOUDS = ("AWS_", "AZURE_", "GOOGLE_")


def blobs_of(settings: Settings, *, patience_s: float = 20.0) -> Blobs:
    """``patience_s``: how long a store may be away before a call says so."""
    if not settings.blob_url:
        return LocalBlobs(settings.data_dir / "blobs")
    from storage.near import Near
    from storage.remote_blobs import RemoteBlobs

    near = Near(settings.data_dir / "near", NEAR_BYTES)
    return RemoteBlobs(_bucket(settings), settings.blob_url, near, patience_s)


def _bucket(settings: Settings) -> "ObjectStore":
    from obstore.store import S3Store, from_url

    for name in [one for one in os.environ if one.startswith(CLOUDS) and not os.environ[one]]:
        # The library reads them by itself, and breaks at one that is there and empty.
        del os.environ[name]
    http = settings.aws_endpoint_url.startswith("http://")
    options: ClientConfig = {
        "allow_http": http,
        "connect_timeout": "5s",
        "timeout": f"{LONGEST_S}s",
    }
    # We ask again ourselves, because only we know what may be repeated.
    never: RetryConfig = {"max_retries": 0}
    parts = urlsplit(settings.blob_url)
    if parts.scheme != "s3":
        return from_url(settings.blob_url, client_options=options, retry_config=never)
    given = {
        "endpoint": settings.aws_endpoint_url,
        "region": settings.aws_region,
        "access_key_id": _plain(settings.aws_access_key_id),
        "secret_access_key": _plain(settings.aws_secret_access_key),
        "session_token": _plain(settings.aws_session_token),
    }
    config = cast("S3Config", {name: value for name, value in given.items() if value})
    prefix = parts.path.strip("/") or None
    return S3Store(
        parts.netloc, prefix=prefix, config=config, client_options=options, retry_config=never
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


@dataclass(frozen=True, slots=True)
class Checked:
    """``works``, what was seen, and what to do; all without secrets."""

    works: bool
    said: str
    fix: str = ""


async def check(settings: Settings) -> Checked:
    """Write, read, refuse to overwrite, delete: whatever the service needs of its store."""
    if not settings.blob_url:
        return Checked(True, f"files in {settings.data_dir / 'blobs'}")
    began = time.perf_counter()
    try:
        await _try_out(blobs_of(settings, patience_s=CHECK_PATIENCE_S))
    except StoreError as error:
        fix = "check BLOB_URL, AWS_ENDPOINT_URL, AWS_REGION and the keys"
        return Checked(False, f"{settings.blob_url}: {error}", fix)
    except _OverwritesError:
        fix = "files could overwrite each other: use a store with conditional writes"
        return Checked(False, f"{settings.blob_url} overwrites", fix)
    milliseconds = (time.perf_counter() - began) * 1000
    return Checked(True, f"{settings.blob_url}, written and read in {milliseconds:.0f} ms")


class _OverwritesError(Exception):
    """It takes a second file under the same key."""


async def _try_out(blobs: Blobs) -> None:
    key = f"probes/{secrets.token_hex(8)}"
    await blobs.put(key, b"one")
    try:
        await blobs.put(key, b"two")
    except BlobExistsError:
        pass
    else:
        raise _OverwritesError
    finally:
        await blobs.delete(key)
