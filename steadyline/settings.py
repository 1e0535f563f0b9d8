"""Settings that several services share: a ``cli`` module reads them once, and passes them down unchanged."""

import difflib
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    Field,
    FilePath,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from steadyline.address import check_address, check_host
from steadyline.contracts.frame import NAME
from steadyline.errors import InvalidConfiguration
from steadyline.in_clear import ClearSecret
from steadyline.kafka_protection import check_protection
from steadyline.setting_text import check_written, read_value_file

# A duration: neither infinite nor so long that doubling it leaves the range of a timedelta.
Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _check_process_name(value: str) -> str:
    if not NAME.fullmatch(value.lower()):
        raise ValueError("letters, digits, '.', '_' and '-' only, 64 at most")
    return value


ProcessName = Annotated[str, AfterValidator(_check_process_name)]


def host_and_pid() -> str:
    """Return a name of this process that no other live one has; it does not outlive a restart."""
    return f"{socket.gethostname().lower()[:40]}-{os.getpid()}"


LogFormat = Literal["auto", "json", "console"]


class SecretFiles(PydanticBaseSettingsSource):
    """Reads ``NAME_FILE`` for every field, so that each secret can be mounted as a file."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"{self.settings_cls.model_config.get('env_prefix', '')}{field_name}".upper()
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            return None, field_name, False
        if name in os.environ:
            raise InvalidConfiguration(f"both {name} and {name}_FILE are set: keep one of them")
        return read_value_file(path, name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Base of all settings: environment first, then ``NAME_FILE``, then defaults; immutable once read."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_nested_delimiter="__")

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


class KafkaSettings(Settings):
    """How to reach Kafka."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka addresses, comma separated.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the connection is protected."
    )
    ssl_ca_location: FilePath | None = Field(
        None,
        description="PEM file of the authority that signed the broker; by default the system's are trusted.",
    )
    ssl_certificate_location: FilePath | None = Field(
        None, description="PEM file of the client's certificate, for mutual TLS."
    )
    ssl_key_location: FilePath | None = Field(
        None, description="PEM file of the key of the client's certificate."
    )
    ssl_key_password: SecretStr | None = Field(
        None, description="Password of that key; also as KAFKA_SSL_KEY_PASSWORD_FILE."
    )
    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"] | None
    ) = Field(None, description="SASL mechanism; by default SCRAM-SHA-512.")
    sasl_username: str | None = Field(None, description="SASL user, for SCRAM and PLAIN.")
    sasl_password: SecretStr | None = Field(
        None, description="SASL password; also as KAFKA_SASL_PASSWORD_FILE."
    )
    oauth_token_url: str | None = Field(
        None, description="Token endpoint of the issuer, for OAUTHBEARER; https://, or http:// on loopback."
    )
    oauth_client_id: str | None = Field(None, description="Client that asks the issuer for tokens.")
    oauth_client_secret: SecretStr | None = Field(
        None, description="Secret of that client; also as KAFKA_OAUTH_CLIENT_SECRET_FILE."
    )
    oauth_scope: str | None = Field(None, description="Scope that is asked for; by default the issuer's own.")
    oauth_ca_location: FilePath | None = Field(
        None,
        description="PEM file of the authority that signed the issuer; by default the system's are trusted.",
    )
    aws_region: str | None = Field(None, description="Region of the cluster, for AWS_MSK_IAM.")

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_servers(cls, servers: str) -> str:
        for server in servers.split(","):
            check_host(server.strip())
        return servers

    @model_validator(mode="after")
    def _check_protection(self) -> "KafkaSettings":
        check_protection(self)
        return self


def _check_identity(settings: Any, edge: str, in_clear: str, encrypted: bool) -> None:
    """Raise ValueError for files of a connection that is in clear, and for half of an identity."""
    files = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
    given = [f"{edge}_{name}".upper() for name in files if getattr(settings, name) is not None]
    if given and not encrypted:
        raise ValueError(f"{given[0]} is set, but {in_clear}, so that nothing is encrypted")
    own = [f"{edge}_{name}".upper() for name in files[1:]]
    if len(set(own) & set(given)) == 1:
        raise ValueError(f"{own[0]} and {own[1]} are set together or not at all")


def _refuse_clear_password(url: str) -> None:
    """Raise ValueError when an address of Redis holds a password for another machine; it is in clear."""
    parts = urlsplit(url)
    named = {name.strip().lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.scheme != "unix" and (parts.password or "password" in named):
        ClearSecret(
            "the password in REDIS_URL",
            "let it begin with rediss://, and Redis listen with TLS",
            "REDIS_ALLOW_CLEAR_PASSWORD to true",
        ).refuse([parts.hostname or "localhost"])


class RedisSettings(Settings):
    """How to reach Redis."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis address; also as REDIS_URL_FILE."
    )
    timeout_seconds: Seconds = Field(10.0, description="Deadline of one Redis command.")
    ssl_ca_location: FilePath | None = Field(
        None,
        description="PEM file of the authority that signed Redis' certificate, for rediss://; by default the "
        "system's authorities.",
    )
    ssl_certificate_location: FilePath | None = Field(
        None, description="PEM file of the certificate by which Redis knows this process."
    )
    ssl_key_location: FilePath | None = Field(None, description="PEM file of that certificate's key.")
    allow_clear_password: bool = Field(
        False,
        description="Whether a password may go to another machine by redis://, because the network itself "
        "encrypts or is trusted.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith("unix://"):
            check_address(url.get_secret_value(), ("redis", "rediss"))
        options = parse_qsl(url.get_secret_value().partition("?")[2], keep_blank_values=True)
        if any(name.strip().lower().startswith("ssl") for name, _ in options):
            raise ValueError(
                "no ssl_… option belongs into the address: use REDIS_SSL_CA_LOCATION and its like"
            )
        return url

    @model_validator(mode="after")
    def _check_protection(self) -> "RedisSettings":
        encrypted = self.url.get_secret_value().startswith("rediss://")
        _check_identity(self, "REDIS", "REDIS_URL does not begin with rediss://", encrypted)
        if not (encrypted or self.allow_clear_password):
            _refuse_clear_password(self.url.get_secret_value())
        return self


class TritonSettings(Settings):
    """How to reach Triton."""

    model_config = SettingsConfigDict(env_prefix="TRITON_")

    url: str = Field("127.0.0.1:8001", description="Triton gRPC address, host:port.")
    admin_key: SecretStr | None = Field(
        None, description="Key of the repository API (load, unload); also as TRITON_ADMIN_KEY_FILE."
    )
    repository: str | None = Field(
        None, description="Model repository that Triton reads, as a folder the trainer can write."
    )
    timeout_seconds: Seconds = Field(5.0, description="Deadline of one inference request.")
    connections: PositiveInt = Field(1, description="gRPC channels per process.")
    security_protocol: Literal["PLAINTEXT", "SSL"] = Field(
        "PLAINTEXT", description="How the connection is protected."
    )
    ssl_ca_location: FilePath | None = Field(
        None,
        description="PEM file of the authority that signed Triton's certificate; by default those that gRPC "
        "brings.",
    )
    ssl_certificate_location: FilePath | None = Field(
        None, description="PEM file of the certificate by which Triton knows this process."
    )
    ssl_key_location: FilePath | None = Field(None, description="PEM file of that certificate's key.")
    allow_clear_key: bool = Field(
        False,
        description="Whether the admin key may leave this machine on a connection that is not encrypted by "
        "us, because the network itself encrypts it (a service mesh).",
    )

    @model_validator(mode="after")
    def _check_protection(self) -> "TritonSettings":
        encrypted = self.security_protocol == "SSL"
        _check_identity(self, "TRITON", "TRITON_SECURITY_PROTOCOL is PLAINTEXT", encrypted)
        key = self.admin_key.get_secret_value() if self.admin_key is not None else ""
        if self.admin_key is not None and not key.strip():
            raise ValueError(
                "TRITON_ADMIN_KEY is empty, and whoever sends no key has that one: set a key, or unset it"
            )
        # An address with a scheme is refused where it is connected to, and told with how it must look.
        host = "" if "://" in self.url else self.url.rpartition(":")[0]
        if key and host and not (encrypted or self.allow_clear_key):
            ClearSecret(
                "TRITON_ADMIN_KEY",
                "set TRITON_SECURITY_PROTOCOL to SSL",
                "TRITON_ALLOW_CLEAR_KEY to true",
            ).refuse([host])
        return self


class TelemetrySettings(Settings):
    """Logs, metrics and health. The standard OTEL_* variables set traces and OTLP."""

    model_config = SettingsConfigDict(env_prefix="")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level logged."
    )
    steadyline_log_format: LogFormat = Field(
        "auto", description="json, console, or auto: console on a terminal and json elsewhere."
    )
    steadyline_health_host: str = Field("127.0.0.1", description="Address of /metrics, /livez and /readyz.")
    steadyline_health_port: int = Field(
        0, ge=0, le=65535, description="Port of /metrics, /livez and /readyz; 0 takes a free one."
    )
    otel_exporter_otlp_endpoint: SecretStr | None = Field(
        None, description="OTLP/HTTP endpoint for traces and metrics; by default none is sent."
    )
    otel_metric_export_interval: PositiveInt = Field(
        15_000, description="Milliseconds between two pushes of metrics."
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        None,
        description="Headers of each push, NAME=VALUE comma separated, for a collector that wants a token; "
        "also as OTEL_EXPORTER_OTLP_HEADERS_FILE.",
    )
    otel_exporter_otlp_certificate: FilePath | None = Field(
        None,
        description="PEM file of the authority that signed the collector's certificate; by default the "
        "well-known ones.",
    )
    otel_exporter_otlp_client_certificate: FilePath | None = Field(
        None, description="PEM file of the certificate by which the collector knows this process."
    )
    otel_exporter_otlp_client_key: FilePath | None = Field(
        None, description="PEM file of that certificate's key."
    )

    steadyline_allow_clear_otlp: bool = Field(
        False,
        description="Whether headers, or a password, for an http:// collector may go to another machine, "
        "because the network itself encrypts or is trusted.",
    )

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: SecretStr | None) -> SecretStr | None:
        if endpoint is not None:
            check_address(endpoint.get_secret_value(), ("http", "https"))
        return endpoint

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _check_headers(cls, headers: SecretStr | None) -> SecretStr | None:
        if headers is not None and not all("=" in word for word in headers.get_secret_value().split(",")):
            raise ValueError("each header is NAME=VALUE, and a comma stands between two of them")
        return headers

    @model_validator(mode="after")
    def _check_collector(self) -> "TelemetrySettings":
        given = self.otel_exporter_otlp_client_certificate, self.otel_exporter_otlp_client_key
        both = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
        if (given[0] is None) != (given[1] is None):
            raise ValueError(f"{both} are set together or not at all")
        endpoint = self.otel_exporter_otlp_endpoint
        in_clear = endpoint is not None and endpoint.get_secret_value().startswith("http://")
        if in_clear and (self.otel_exporter_otlp_certificate is not None or given[0] is not None):
            raise ValueError(
                "a certificate is set for OTLP, but OTEL_EXPORTER_OTLP_ENDPOINT begins with http://, so that "
                "nothing is encrypted"
            )
        if in_clear and endpoint is not None and not self.steadyline_allow_clear_otlp:
            parts = urlsplit(endpoint.get_secret_value())
            held = {
                "OTEL_EXPORTER_OTLP_HEADERS": self.otel_exporter_otlp_headers is not None,
                "the password in OTEL_EXPORTER_OTLP_ENDPOINT": parts.password is not None,
            }
            for what in (name for name, is_there in held.items() if is_there):
                ClearSecret(
                    what,
                    "let OTEL_EXPORTER_OTLP_ENDPOINT begin with https://",
                    "STEADYLINE_ALLOW_CLEAR_OTLP to true",
                ).refuse([parts.hostname or ""])
        return self


class SigningSettings(Settings):
    """The keys by which readers know what the trainer wrote; `steadyline keys new` makes a pair."""

    model_config = SettingsConfigDict(env_prefix="STEADYLINE_")

    signing_key: SecretStr | None = Field(
        None,
        description="Private ed25519 key, as PEM, that the trainer signs model events and packages with; "
        "usually given as STEADYLINE_SIGNING_KEY_FILE.",
    )
    trusted_keys: str | None = Field(
        None,
        description="Public keys, as PEM, one after another: what none of them has signed is refused; "
        "usually given as STEADYLINE_TRUSTED_KEYS_FILE. By default nothing is checked.",
    )


class AlertsClientSettings(Settings):
    """How `steadyline alerts` reaches the API of the alerts."""

    model_config = SettingsConfigDict(env_prefix="STEADYLINE_ALERTS_")

    url: str = Field("http://127.0.0.1:8470", description="Address of the alerts' API.")
    token: SecretStr | None = Field(
        None, description="Token of the API; also as STEADYLINE_ALERTS_TOKEN_FILE."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        check_address(url, ("http", "https"))
        return url.rstrip("/")


class CheckoutSettings(Settings):
    """Where set-up has put the local servers."""

    steadyline_home: Path = Field(
        Path("."), description="Checkout in which `make init` ran; local servers are started from there."
    )


S = TypeVar("S", bound=Settings)

SHARED: tuple[type[Settings], ...] = (
    KafkaSettings,
    RedisSettings,
    TritonSettings,
    TelemetrySettings,
    SigningSettings,
    AlertsClientSettings,
    CheckoutSettings,
)

# Variables that the command line reads and no settings class.
_ALSO_KNOWN = frozenset({"STEADYLINE_LINE"})

# Variables that Kubernetes sets for every service of a namespace, whatever its name begins with.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")


def variable_names(classes: Iterable[type[Settings]]) -> list[str]:
    """Return the environment variables that the settings classes read, in the order of their fields."""
    return [
        f"{cls.model_config.get('env_prefix', '')}{name}".upper()
        for cls in classes
        for name in cls.model_fields
    ]


def refuse_unknown(environment: Iterable[str], classes: Iterable[type[Settings]]) -> None:
    """Raise InvalidConfiguration when a ``STEADYLINE_*`` variable is set that nothing reads.

    A misspelt variable of any of ``classes``, one that nearly equals a known one, is refused too.
    """
    named = _ALSO_KNOWN | set(variable_names(classes))
    known = named | {f"{name}_FILE" for name in named}
    for name in sorted(environment):
        if name in known or _SERVICE_LINK.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.93)
        if name.startswith("STEADYLINE_") or near:
            ours = sorted(other for other in named if other.startswith("STEADYLINE_"))
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(ours)}"
            raise InvalidConfiguration(f"unknown variable {name}: {hint}")


def read_settings(cls: type[S]) -> S:
    """Read one settings class from the environment; only ``cli`` modules call this.

    Raises InvalidConfiguration naming the variable when a value is wrong, when a ``NAME_FILE`` cannot be
    read, when ``NAME`` and ``NAME_FILE`` are both set, or when a variable of ours is unknown or misspelt.
    """
    refuse_unknown(os.environ, (*SHARED, cls))
    ours = {name for name in variable_names((cls,)) if name in os.environ}
    for name in sorted(ours):
        check_written(name, os.environ[name])
    try:
        return cls()
    except ValidationError as error:
        prefix = str(cls.model_config.get("env_prefix", ""))
        problems = "; ".join(_problem(prefix, item) for item in error.errors())
        raise InvalidConfiguration(f"environment: {problems}") from None


def _problem(prefix: str, item: ErrorDetails) -> str:
    """Return what is wrong, without the value; a problem of several variables names them itself."""
    told = item["msg"].removeprefix("Value error, ")
    name = f"{prefix}{'__'.join(str(part) for part in item['loc'])}".upper()
    return f"{name}: {told}" if item["loc"] else told
