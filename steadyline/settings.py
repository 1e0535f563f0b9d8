"""Settings that several services share: a ``cli`` module reads them once, and passes them down unchanged."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from steadyline.errors import InvalidConfiguration

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
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\n"), field_name, False
        except OSError as error:
            raise InvalidConfiguration(f"{name}_FILE={path} cannot be read: {error}") from error

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
    sasl_mechanism: str | None = Field(None, description="SASL mechanism, SCRAM-SHA-512 for example.")
    sasl_username: str | None = Field(None, description="SASL user.")
    sasl_password: SecretStr | None = Field(
        None, description="SASL password; also as KAFKA_SASL_PASSWORD_FILE."
    )
    ssl_ca_location: Path | None = Field(
        None, description="PEM file of the authority that signed the broker."
    )


class RedisSettings(Settings):
    """How to reach Redis."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis address; also as REDIS_URL_FILE."
    )
    timeout_seconds: PositiveFloat = Field(10.0, description="Deadline of one Redis command.")


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
    timeout_seconds: PositiveFloat = Field(5.0, description="Deadline of one inference request.")
    connections: PositiveInt = Field(1, description="gRPC channels per process.")


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
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP endpoint for traces and metrics; by default none is sent."
    )
    otel_metric_export_interval: PositiveInt = Field(
        15_000, description="Milliseconds between two pushes of metrics."
    )


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
    try:
        return cls()
    except ValidationError as error:
        prefix = str(cls.model_config.get("env_prefix", ""))
        problems = "; ".join(
            f"{prefix}{'__'.join(str(part) for part in item['loc'])}".upper() + f": {item['msg']}"
            for item in error.errors()
        )
        raise InvalidConfiguration(f"environment: {problems}") from error
