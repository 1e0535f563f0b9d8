"""What several verbs ask about the servers: where set-up has put them, and which exist already."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from steadyline.errors import InvalidConfiguration
from steadyline.servers import Addresses
from steadyline.settings import CheckoutSettings, Settings, read_settings


class ExistingServers(Settings):
    """Servers that run already: one whose address is in the environment is used and not started."""

    model_config = SettingsConfigDict(env_prefix="")

    kafka_bootstrap_servers: str = Field("", description="Kafka to use instead of starting one.")
    redis_url: SecretStr = Field(SecretStr(""), description="Redis to use instead of starting one.")
    triton_url: str = Field("", description="Triton to use instead of starting one.")
    triton_admin_key: SecretStr = Field(SecretStr(""), description="Key of that Triton's repository API.")
    triton_repository: str = Field("", description="Model repository that this Triton reads.")


def existing_servers() -> Addresses:
    """Return the addresses that the environment gives; empty where it gives none."""
    found = read_settings(ExistingServers)
    return Addresses(
        kafka_bootstrap=found.kafka_bootstrap_servers,
        redis_url=found.redis_url.get_secret_value(),
        triton_grpc=found.triton_url,
        triton_admin_key=found.triton_admin_key.get_secret_value() if found.triton_url else "",
        triton_repository=found.triton_repository if found.triton_url else "",
    )


def checkout() -> Path:
    """Return where ``make init`` put the servers: STEADYLINE_HOME, or the current folder."""
    home = read_settings(CheckoutSettings).steadyline_home
    if not (home / ".venv-triton").is_dir():
        raise InvalidConfiguration(
            f"{home.resolve()} has no servers: run `make init` there, or set STEADYLINE_HOME to a checkout"
        )
    return home.resolve()
