"""The operator's settings: environment, `.env`, `NAME_FILE` for secrets. Read once, passed on."""

import importlib.util
import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from storage.postgres import SCHEMES

SECRETS = (
    *("TELEGRAM_BOT_TOKEN", "DISCORD_BOT_TOKEN", "SECRET_KEY"),
    *("REDIS_URL", "DATABASE_URL", "VISION_KEY", "METRICS_TOKEN"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
SHORTEST_KEY = 16


class Settings(BaseSettings):
    """Everything has a default that works on one machine without a token."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Path("data")
    lora_dir: Path | None = None
    redis_url: SecretStr | None = None
    database_url: SecretStr | None = None
    blob_url: str = ""
    blob_allow_http: bool = False
    aws_endpoint_url: str = ""
    aws_region: str = ""
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    telegram_bot_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"
    telegram_local: bool = False
    telegram_webhook: bool = False
    discord_bot_token: SecretStr | None = None
    discord_api_url: str = "https://discord.com/api/v10"
    discord_gallery_channel: str = Field(default="", pattern=r"^[0-9]{0,20}$")
    admin_ids: Annotated[frozenset[str], NoDecode] = frozenset()
    access: Literal["open", "list", "invite"] = "open"
    max_jobs_per_user: int = Field(default=0, ge=0)
    max_jobs_per_day: int = Field(default=0, ge=0)
    messages_per_minute: int = Field(default=240, ge=0)
    photos_per_minute: int = Field(default=60, ge=0)
    public_url: str = ""
    secret_key: SecretStr | None = None
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8765, ge=0, le=65535)
    bases_file: Path | None = None
    sd_scripts_dir: Path | None = None
    sd_scripts_python: Path | None = None
    link_hours: float = Field(default=48.0, gt=0)
    consent: Literal["auto", "always", "never"] = "auto"
    default_language: str = "en"
    hold_for_review: bool = False
    min_age: int = Field(default=0, ge=0, le=99)
    min_age_action: Literal["hold", "refuse"] = "hold"
    block_list: Path | None = None
    policy_version: str = "1"
    policy_url: str = ""
    retention_days: float = Field(default=7.0, ge=0.01)
    draft_days: float = Field(default=3.0, ge=0.01)
    lease_s: float = Field(default=30.0, ge=0.5)
    drain_s: float = Field(default=60.0, ge=0)
    max_attempts: int = Field(default=3, ge=1)
    max_running_per_user: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0, le=64)
    gpu: int | None = Field(default=None, ge=0, le=63)
    database_patience_s: float = Field(default=60.0, ge=0)
    warm_minutes: float = Field(default=10.0, ge=0)
    trainer_network: bool = False
    trainer_files: bool = False
    trainer_reads: Annotated[tuple[Path, ...], NoDecode] = ()
    vision_url: str = ""
    vision_key: SecretStr | None = None
    vision_models: Annotated[tuple[str, ...], NoDecode] = ()
    eyes_device: Literal["auto", "cpu", "cuda"] = "auto"
    tag_threshold: float = Field(default=0.35, gt=0, lt=1)
    log_level: str = "INFO"
    log_format: Literal["console", "json"] = "console"
    metrics_token: SecretStr | None = None

    @field_validator(
        *("lora_dir", "bases_file", "block_list", "sd_scripts_dir", "sd_scripts_python"),
        mode="before",
    )
    @classmethod
    def _empty_path_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator(
        *("redis_url", "database_url", "telegram_bot_token", "discord_bot_token"),
        *("secret_key", "vision_key", "metrics_token"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        mode="after",
    )
    @classmethod
    def _empty_secret_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("secret_key", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"needs {SHORTEST_KEY} letters or more: who guesses it is anybody")
        return value

    @field_validator("gpu", mode="before")
    @classmethod
    def _empty_number_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("database_url", mode="after")
    @classmethod
    def _database_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith((*SCHEMES, "sqlite")):
            raise ValueError("begins with postgresql://")
        return value

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("begins with redis://, rediss:// or unix://")
        return value

    @field_validator("blob_url", mode="after")
    @classmethod
    def _blob_scheme(cls, value: str) -> str:
        """A bucket, and a folder in it if one is wanted: its keys are settings of their own."""
        parts = urlsplit(value)
        if value and (parts.scheme not in {"s3", "gs", "az"} or not parts.netloc):
            raise ValueError("begins with s3://, gs:// or az:// and the name of a bucket")
        if "@" in parts.netloc or parts.query:
            raise ValueError("has no keys in it: see AWS_ACCESS_KEY_ID")
        if value and importlib.util.find_spec("obstore") is None:
            raise ValueError("needs one more package: pip install 'lorabot[s3]'")
        return value.rstrip("/")

    @field_validator("admin_ids", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        ids = frozenset(part.strip() for part in value.split(",") if part.strip())
        if wrong := sorted(one for one in ids if ":" not in one):
            raise ValueError(f"ADMIN_IDS: {wrong[0]!r} needs its network, like tg:123 or dc:456")
        return ids

    @field_validator("trainer_reads", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(Path(part) for part in value.split(os.pathsep) if part)

    @field_validator("vision_models", mode="before")
    @classmethod
    def _in_order(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("vision_url", mode="after")
    @classmethod
    def _vision_scheme(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("web_host", mode="after")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))

    @field_validator("public_url", mode="after")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _hook_has_an_address(self) -> "Settings":
        """Telegram itself comes over HTTPS only; a Bot API server of one's own need not."""
        schemes = ("http://", "https://") if self.telegram_local else ("https://",)
        if self.telegram_webhook and not self.public_url.startswith(schemes):
            raise ValueError("TELEGRAM_WEBHOOK needs PUBLIC_URL with the address, https://…")
        return self

    @model_validator(mode="after")
    def _store_can_be_asked(self) -> "Settings":
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together")
        at = urlsplit(self.aws_endpoint_url)
        if self.aws_endpoint_url and (at.scheme not in {"http", "https"} or not at.hostname):
            raise ValueError("AWS_ENDPOINT_URL begins with https:// or http://")
        if at.scheme == "http" and not self.blob_allow_http and not _is_near(at.hostname or ""):
            raise ValueError(
                "AWS_ENDPOINT_URL without TLS is for this machine and private networks;"
                " BLOB_ALLOW_HTTP=1 says that you mean it"
            )
        return self

    @model_validator(mode="after")
    def _absolute(self) -> "Settings":
        object.__setattr__(self, "data_dir", self.data_dir.expanduser().resolve())
        return self

    @property
    def pictures_go_to(self) -> str:
        """The host that pictures are sent to for captions; empty while they stay here."""
        host = urlsplit(self.vision_url).hostname or ""
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = host == "localhost"
        return "" if local else host

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir / 'lorabot.db'}"

    @property
    def redis_socket(self) -> Path:
        """Where the embedded server listens; short, because a socket's path has 107 bytes."""
        return self.data_dir / "run" / "redis.sock"


def _is_near(host: str) -> bool:
    """Here, at a private address, or under a name that only a network of our own knows."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))
    return address.is_private


def load() -> Settings:
    """Settings with every secret that is given as a file read from it."""
    secrets = {}
    for name in SECRETS:
        path = os.environ.get(f"{name}_FILE")
        if path and not os.environ.get(name):
            # Passed on as a value: our environment is what children and crash reports see.
            secrets[name.lower()] = Path(path).read_text(encoding="utf-8").strip()
    return Settings(**secrets)  # type: ignore[arg-type]  # pydantic makes secrets of them


def worker_name() -> str:
    """Host and process: who owns a lease."""
    return f"{socket.gethostname()}:{os.getpid()}"
