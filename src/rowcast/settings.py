"""Settings: the environment, parsed once, frozen. ``docs/reference/settings.md`` lists them; a test keeps it so."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

SECRETS = Path("/run/secrets")
"""Where Docker and Kubernetes put secrets, each in a file of its name."""


class Settings(BaseSettings):
    """Everything that can be set, each as ``ROWCAST_<NAME>`` in the environment, or in a file of that name in
    ``SECRETS``."""

    model_config = SettingsConfigDict(env_prefix="ROWCAST_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("rowcast-data"), description="Folder of the embedded database and files.")
    database_url: str = Field(
        default="", description="SQLAlchemy address of the database; empty means SQLite in the data folder."
    )
    database_pool_size: int = Field(
        default=10, ge=6, le=1000, description="Most connections of one process to PostgreSQL; four are always in use."
    )
    database_timeout_seconds: float = Field(
        default=60, gt=0, description="Longest time one statement may take on PostgreSQL."
    )
    database_lock_seconds: float = Field(
        default=30,
        gt=0,
        description="How long is waited for another writer, or for a free connection, before giving up.",
    )
    database_connect_seconds: float = Field(
        default=5, gt=0, description="How long is waited for PostgreSQL to take a connection."
    )
    storage_url: str = Field(
        default="",
        description="Where tables and bundles are kept: file:///folder or s3://bucket/prefix; empty means a folder in "
        "the data folder.",
    )
    storage_endpoint: str = Field(
        default="",
        max_length=500,
        description="Address of the S3 service, such as http://127.0.0.1:8333; empty means that of AWS.",
    )
    storage_region: str = Field(default="", description="Region of the S3 service; empty means us-east-1.")
    storage_secret_key: str = Field(default="", description="Secret of the access key of the S3 service.", repr=False)
    storage_access_key: str = Field(
        default="",
        description="Access key of the S3 service; empty takes the usual AWS variables, or the role of the machine.",
    )
    storage_public_endpoint: str = Field(
        default="",
        max_length=500,
        description="Address of the S3 service for those who download: large files are then fetched from it, by links "
        "that end after a quarter of an hour. Empty sends all files through the server.",
    )
    broker_url: str = Field(
        default="local://",
        description="What tells workers of new tasks: local:// is this process, amqp:// and amqps:// are RabbitMQ.",
        repr=False,
    )
    compute_url: str = Field(
        default="local://",
        description="What heavy jobs run on: local:// is child processes here, ray://host:port a Ray cluster, and "
        "ray://auto the one that this machine is a node of.",
    )
    tracking_url: str = Field(
        default="",
        max_length=500,
        description="MLflow that all trainings and versions are mirrored in: http(s)://, or sqlite:///FILE with no "
        "server. Empty is a file in the data folder when the database is one, else nothing; `none` is nothing.",
        repr=False,
    )
    tracking_public_url: str = Field(
        default="",
        max_length=500,
        description="Address by which people open MLflow's pages, where it is not that of ROWCAST_TRACKING_URL.",
    )
    convert_pickles: bool = Field(
        default=False,
        description="Let administrators import models that are pickled in MLflow: a process that can reach nothing "
        "opens each once, to convert it. On the workers.",
    )
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port of everything over HTTP; 0 picks a free one.")
    grpc_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of gRPC; 0 picks a free one, and by default it is the next after REST's, or else a free one.",
    )
    grpc_certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate of gRPC and its chain; with it and its key gRPC is TLS only.",
    )
    grpc_key: Path | None = Field(default=None, description="PEM file with the private key of that certificate.")
    grpc_client_ca: Path | None = Field(
        default=None,
        description="PEM file with the authority whose certificates clients of gRPC have to show (mutual TLS).",
    )
    dashboard_url: str = Field(
        default="",
        description="Address of a `rowcast dashboard` whose pages are shown at the front door of the API; `rowcast up` "
        "runs one of its own.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that answer calls, each with models in its own memory and its own count of a caller's "
        "requests a second.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Heavy jobs (imports, trainings) run at the same time.")
    threads: int = Field(
        default=0, ge=0, le=1024, description="Processor threads of one heavy job; 0 shares the cores among workers."
    )
    spread_rows: int = Field(
        default=5_000_000,
        ge=1,
        description="On a Ray cluster, rows of a table beyond which the nodes learn one model together, with xgboost "
        "or lightgbm, each from a share of the rows.",
    )
    max_upload_bytes: int = Field(default=20 * 2**30, ge=1, description="Largest table that may be uploaded, in bytes.")
    max_body_bytes: int = Field(default=64 * 2**20, ge=1, description="Largest other request body, in bytes.")
    max_rows_per_call: int = Field(default=100_000, ge=1, description="Most rows in one prediction call.")
    max_columns: int = Field(default=5_000, ge=1, description="Most columns of a table.")
    max_table_rows: int = Field(
        default=100_000_000, ge=1, description="Most rows of a table, and of a file to predict for."
    )
    max_cell_bytes: int = Field(
        default=1 * 2**20, ge=1, description="Longest cell, and a hundredth of the longest line."
    )
    job_memory_bytes: int = Field(
        default=0, ge=0, description="Address-space limit of one heavy job, in bytes; 0 sets none."
    )
    ingest_timeout_seconds: float = Field(default=1800, gt=0, description="Longest time one import may take.")
    training_timeout_seconds: float = Field(default=86_400, gt=0, description="Longest time one training may take.")
    file_timeout_seconds: float = Field(
        default=86_400, gt=0, description="Longest time the predictions for one file may take."
    )
    file_days: float = Field(
        default=7, ge=0, description="Days that a file with predictions can be downloaded; 0 keeps it for ever."
    )
    lease_seconds: float = Field(
        default=30, gt=0, description="How long a silent worker keeps a task before another may take it."
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        description="How long what runs may go on when the process is asked to end; then tasks are handed back.",
    )
    max_attempts: int = Field(default=3, ge=1, description="How often a task is started before it fails for good.")
    max_queued_tasks: int = Field(
        default=10_000, ge=1, description="Most tasks of one user that wait for a worker; who has more is sent away."
    )
    task_days: float = Field(
        default=90,
        ge=0,
        description="Days that tasks are kept with their results once they ended; 0 keeps them for ever.",
    )
    max_loaded_models: int = Field(
        default=64, ge=1, description="Model versions kept in memory; the least used go first."
    )
    receipt_days: float = Field(
        default=365, ge=0, description="Days that the receipts of predictions are kept; 0 keeps them for ever."
    )
    audit_days: float = Field(default=730, ge=0, description="Days that the audit log is kept; 0 keeps it for ever.")
    receipt_inputs: bool = Field(
        default=True, description="Whether receipts keep the rows that were sent; without them no replay is possible."
    )
    receipt_redact: str = Field(
        default="", description="Fields that receipts never keep, separated by commas; their calls cannot be replayed."
    )
    credits: Literal["free", "paid"] = Field(
        default="free", description="Whether predictions cost credits; in free mode nothing is charged."
    )
    price_per_row: int = Field(
        default=1, ge=0, le=10**6, description="Credits for a row, with models that have no price of their own."
    )
    price_reasons: float = Field(
        default=2, ge=0, le=1000, description="By how much a row costs more when reasons are asked for."
    )
    price_file: float = Field(default=0.5, ge=0, le=1000, description="By how much a row costs less in a file.")
    sign_up_credits: int = Field(default=0, ge=0, le=10**15, description="Credits that a user has to begin with.")
    api_key: str = Field(
        default="", description="Key of the first administrator; empty means a random one, printed once.", repr=False
    )
    licence: Path | None = Field(
        default=None, description="File with the licence of this installation; without it none is needed."
    )
    licence_key: Path | None = Field(
        default=None, description="File with the public key, in PEM, of the supplier who signs licences."
    )
    key_days: float = Field(
        default=0, ge=0, le=36_500, description="Longest time a new API key works, in days; 0 is without end."
    )
    sign_up: Literal["open", "invitation", "closed"] = Field(
        default="invitation", description="Who may open an account: anyone, whoever has an invitation, or nobody."
    )
    session_minutes: float = Field(
        default=10, gt=0, description="Minutes after which a browser that does nothing is signed out."
    )
    public_url: str = Field(
        default="",
        description="Address by which people reach the server, as in https://rowcast.example.org; letters lead there, "
        "and with https the session's cookie is only sent over it.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies, separated by commas, that are believed whom they pass on.",
    )
    smtp_url: str = Field(
        default="",
        description="Mail server for letters, as in smtp://user:password@mail.example.org:587 or smtps://; without one "
        "administrators hand out links. Needs ROWCAST_PUBLIC_URL.",
        repr=False,
    )
    mail_from: str = Field(default="", description="Sender of letters; empty means rowcast@ the public address.")
    github_client_secret: str = Field(default="", description="Secret of the OAuth app at GitHub.", repr=False)
    github_client_id: str = Field(
        default="", description="Client ID of the OAuth app at GitHub; without one nobody signs in with GitHub."
    )
    github_authorize_url: str = Field(
        default="https://github.com/login/oauth/authorize",
        description="Where GitHub asks people; Enterprise has its own.",
    )
    github_token_url: str = Field(
        default="https://github.com/login/oauth/access_token", description="Where GitHub gives tokens for codes."
    )
    github_api_url: str = Field(
        default="https://api.github.com", max_length=500, description="GitHub's API, without a slash at the end."
    )
    github_organisations: str = Field(
        default="",
        description="GitHub organisations whose members may sign in, separated by commas; empty lets in everyone.",
    )
    oidc_client_id: str = Field(default="", description="What the OpenID Connect provider calls Rowcast.")
    oidc_client_secret: str = Field(default="", description="Secret at the OpenID Connect provider.", repr=False)
    oidc_name: str = Field(
        default="", max_length=60, description="What people call the OpenID Connect provider; empty takes its host."
    )
    oidc_scopes: str = Field(
        default="openid email profile", description="What the OpenID Connect provider is asked for; openid is among it."
    )
    oidc_issuer: str = Field(
        default="",
        max_length=500,
        description="OpenID Connect provider that people sign in with, exactly as it calls itself, such as "
        "https://login.example.org; needs the client ID and secret.",
    )
    sign_in: Literal["", "github", "oidc"] = Field(
        default="", description="Provider that browsers are sent to at once: github or oidc; empty shows the page."
    )
    password_ranges_url: str = Field(
        default="",
        description="Address of a range API of published passwords, to which five digits of a new password's hash are "
        "sent; empty asks nobody.",
    )
    metrics_token: str = Field(
        default="",
        description="Who sends this as a Bearer token may read GET /metrics; administrators may with their keys.",
        repr=False,
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port on which figures are served to everybody who reaches it, also by workers; 0 is none.",
    )
    traces_url: str = Field(
        default="",
        description="Where traces are sent over OTLP, such as http://127.0.0.1:4318/v1/traces; empty is nowhere.",
    )
    traces_ratio: float = Field(
        default=1, ge=0, le=1, description="Share of the traces kept that begin here; who calls decides for their own."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="Lines for people, or JSON for programs.")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before files, which most machines have none of."""
        sources = (init_settings, env_settings)
        return (*sources, SecretsSettingsSource(settings_cls, SECRETS)) if SECRETS.is_dir() else sources

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not (_has_host(value, "http", "https") and value.count("/") == 2):
            raise ValueError("it is an address without a path, such as https://rowcast.example.org")
        return value

    @field_validator("tracking_public_url")
    @classmethod
    def _pages(cls, value: str) -> str:
        if value and not _has_host(value, "http", "https"):
            raise ValueError("it is an address such as https://mlflow.example.org")
        return value

    @field_validator("storage_endpoint", "storage_public_endpoint")
    @classmethod
    def _s3_service(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not _has_host(value, "http", "https"):
            raise ValueError("it is an address such as https://s3.example.org")
        return value

    @field_validator("storage_access_key")
    @classmethod
    def _both_keys(cls, value: str, others: ValidationInfo) -> str:
        if bool(value) != bool(others.data.get("storage_secret_key")):
            raise ValueError("it goes with ROWCAST_STORAGE_SECRET_KEY: set both or none")
        return value

    @field_validator("password_ranges_url", "dashboard_url", "traces_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not _has_host(value, "http", "https"):
            raise ValueError("it is an address such as https://example.org/range")
        return value

    @field_validator("github_authorize_url", "github_token_url", "github_api_url", "oidc_issuer")
    @classmethod
    def _provider(cls, value: str) -> str:
        if value and not is_safe(value):
            raise ValueError("it is an https address; http is for servers on this machine alone")
        return value

    @field_validator("tracking_url")
    @classmethod
    def _mlflow(cls, value: str) -> str:
        a_file = value.startswith("sqlite:///") and Path(value.removeprefix("sqlite:///")).is_absolute()
        if value and value != "none" and not a_file and not _has_host(value, "http", "https"):
            raise ValueError("it is http://HOST:5000, https://HOST, sqlite:////ABSOLUTE/PATH.db, or none")
        return value

    @field_validator("github_client_id")
    @classmethod
    def _github(cls, value: str, others: ValidationInfo) -> str:
        if value and not others.data.get("github_client_secret"):
            raise ValueError("it needs ROWCAST_GITHUB_CLIENT_SECRET")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _oidc(cls, value: str, others: ValidationInfo) -> str:
        if value and not (others.data.get("oidc_client_id") and others.data.get("oidc_client_secret")):
            raise ValueError("it needs ROWCAST_OIDC_CLIENT_ID and ROWCAST_OIDC_CLIENT_SECRET")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("openid is among them, separated by spaces")
        return value

    @field_validator("sign_in")
    @classmethod
    def _known_provider(cls, value: str, others: ValidationInfo) -> str:
        needed = {"github": "github_client_id", "oidc": "oidc_issuer"}.get(value)
        if needed and not others.data.get(needed):
            raise ValueError(f"it needs ROWCAST_{needed.upper()}")
        return value

    @field_validator("mail_from")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if value and ("@" not in value or not value.isprintable()):
            raise ValueError("it is an address such as rowcast@example.org")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str, others: ValidationInfo) -> str:
        if value and not _has_host(value, "smtp", "smtps"):
            raise ValueError("it is an address such as smtp://user:password@mail.example.org:587")
        if value and not others.data.get("public_url"):
            raise ValueError("letters need ROWCAST_PUBLIC_URL, for the links in them")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        networks = [each.strip() for each in value.split(",") if each.strip()]
        if not all(_is_network(each) for each in networks):
            raise ValueError("it is a list such as 10.0.0.1, 192.168.0.0/16")
        return ",".join(networks)

    @property
    def secure(self) -> bool:
        """Whether people reach the server by https alone."""
        return self.public_url.startswith("https:")

    @property
    def sender(self) -> str:
        """Of letters."""
        return self.mail_from or f"rowcast@{urlsplit(self.public_url).hostname}"

    @property
    def alone(self) -> bool:
        """Whether no other server can work on the same: its database is a file, in a folder that one server holds."""
        return self.resolved_database_url.startswith("sqlite")

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'rowcast.db'}"

    @property
    def resolved_storage_url(self) -> str:
        return self.storage_url or (self.data_dir / "storage").as_uri()

    @property
    def resolved_tracking_url(self) -> str:
        """Of MLflow; empty where nothing is mirrored."""
        if self.tracking_url or not self.alone:
            return "" if self.tracking_url == "none" else self.tracking_url
        return f"sqlite:///{self.data_dir / 'mlflow' / 'mlflow.db'}"

    @property
    def storage_options(self) -> dict[str, str]:
        """How a storage that speaks S3 is reached."""
        names = ("endpoint", "region", "access_key", "secret_key", "public_endpoint")
        return {name: getattr(self, f"storage_{name}") for name in names}

    @property
    def job_threads(self) -> int:
        """Threads of one heavy job: as set, else the cores shared among the workers."""
        return self.threads or max(1, len(os.sched_getaffinity(0)) // self.workers)


def is_safe(address: str) -> bool:
    """Whether secrets may be sent there: by https, or to this machine."""
    return _has_host(address, "https") or (
        _has_host(address, "http") and urlsplit(address).hostname in ("127.0.0.1", "::1", "localhost")
    )


def _has_host(address: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
