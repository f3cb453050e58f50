"""Download links: signed, for one job and one person, and only for some hours."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

SALT = "download"
SHORTEST_SECRET = 32  # letters of the file; whoever guesses it signs links and cookies


class WeakSecretError(Exception):
    """What signs links and cookies could be guessed."""


@dataclass(frozen=True, slots=True)
class LinkRead:
    """``part`` is the key of another file of the job's; empty for the finished file itself."""

    job_id: str
    person: str
    part: str = ""
    expired: bool = False


class Links:
    def __init__(self, secret: str, hours: float) -> None:
        self.hours = hours
        self._serializer = URLSafeTimedSerializer(
            secret, salt=SALT, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def path(self, job_id: str, person: str, part: str = "") -> str:
        """The link's path on our web app."""
        named = [job_id, person, part] if part else [job_id, person]
        return f"/dl/{self._serializer.dumps(named)}"

    def read(self, token: str) -> LinkRead | None:
        """What a token says, also when it is too old; None when it is not ours."""
        try:
            said = self._serializer.loads(token, max_age=round(self.hours * 3600))
        except SignatureExpired as error:
            if error.payload is None:
                return None
            return _said(self._serializer.load_payload(error.payload), expired=True)
        except (BadSignature, ValueError):
            return None
        return _said(said)


def _said(named: list[str], *, expired: bool = False) -> LinkRead:
    job_id, person, *part = named
    return LinkRead(job_id, person, "".join(part), expired)


def secret_key(data_dir: Path, given: str | None) -> str:
    """The operator's own, or one that is made on the first start and kept."""
    if given:
        return given
    path = data_dir / "secret.key"
    making = path.with_name(f".secret.{os.getpid()}")
    if not path.exists():
        making.touch(mode=0o600)
        making.write_text(secrets.token_hex(32), encoding="ascii")
        try:
            # Two processes may start at once: a link fails for the second, and both read the first.
            os.link(making, path)
        except FileExistsError:
            pass
        finally:
            making.unlink()
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < SHORTEST_SECRET:
        raise WeakSecretError(f"{path} is empty or cut off: delete it, and a new one is made")
    return secret
