"""A real S3 server as a process of its own, and stores in it."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from storage.blobs import Blobs
from storage.die_with_parent import under
from storage.settings import Settings
from storage.stores import blobs_of
from tests.service import free_port

START_S = 30.0
BUCKET = "lorabot"


@dataclass(frozen=True)
class S3:
    """Its address, and a bucket that is there."""

    address: str

    def settings(self, folder: Path, address: str = "", **changes: object) -> Settings:
        """A place of its own in the bucket; ``address`` is a proxy's, if one stands before it."""
        given: dict[str, object] = {
            "data_dir": folder,
            "blob_url": f"s3://{BUCKET}/{uuid.uuid4().hex}",
            "aws_endpoint_url": address or self.address,
            "aws_region": "us-east-1",
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            **changes,
        }
        return Settings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]  # pydantic's own

    def blobs(self, folder: Path) -> Blobs:
        return blobs_of(self.settings(folder), patience_s=10)


def environment(settings: Settings) -> dict[str, str]:
    """The same for a process."""
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    assert key is not None
    assert secret is not None
    return {
        "BLOB_URL": settings.blob_url,
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "AWS_REGION": settings.aws_region,
        "AWS_ACCESS_KEY_ID": key.get_secret_value(),
        "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
    }


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[S3]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    # What it writes goes nowhere: nobody would read it.
    quiet = subprocess.DEVNULL
    with subprocess.Popen(under(command), stdout=quiet, stderr=quiet) as process:
        address = f"http://{host}:{port}"
        try:
            _make_bucket(address, process)
            yield S3(address)
        finally:
            process.kill()


def _make_bucket(address: str, process: subprocess.Popen[bytes]) -> None:
    """As soon as it answers. It tells nobody when that is."""
    until = time.monotonic() + START_S
    while True:
        try:
            httpx.put(f"{address}/{BUCKET}").raise_for_status()
        except httpx.TransportError:
            assert process.poll() is None, "moto ended"
            assert time.monotonic() < until, "moto does not answer"
            time.sleep(0.05)
        else:
            return
