"""What several verbs ask about the servers: where set-up has put them, and which exist already."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from steadyline.errors import InvalidConfiguration
from steadyline.servers import Addresses
from steadyline.servers.state import (
    RunningStack,
    environment_file,
    read_state,
    remove_state,
    write_state,
)
from steadyline.settings import (
    CheckoutSettings,
    KafkaSettings,
    RedisSettings,
    Settings,
    TritonSettings,
    read_settings,
)

STATE = Path("var/stack.json")


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


def server_settings(state: Path = STATE) -> tuple[KafkaSettings, RedisSettings, TritonSettings]:
    """Return how to reach the servers: by the environment, by what ``steadyline up`` runs, by defaults.

    ``state`` is the record of ``steadyline up``; one whose process is gone counts for nothing.
    """
    running = read_state(state)
    given = existing_servers()
    found = given.completed_by(running.addresses) if running is not None else given
    kafka, redis = read_settings(KafkaSettings), read_settings(RedisSettings)
    triton = read_settings(TritonSettings)
    if found.kafka_bootstrap:
        kafka = kafka.model_copy(update={"bootstrap_servers": found.kafka_bootstrap})
    if found.redis_url:
        redis = redis.model_copy(update={"url": SecretStr(found.redis_url)})
    if found.triton_grpc and not given.triton_grpc:
        key = SecretStr(found.triton_admin_key)
        local = {"url": found.triton_grpc, "admin_key": key, "repository": found.triton_repository}
        triton = triton.model_copy(update=local)
    return kafka, redis, triton


@contextmanager
def recorded(record: Path, running: RunningStack) -> Iterator[Path | None]:
    """Keep the addresses of servers where other commands look for them, as long as the block runs.

    Yields the file with the variables for a shell; None where another process has its own record there, which
    is left alone.
    """
    if read_state(record) is not None:
        yield None
        return
    write_state(record, running)
    try:
        yield environment_file(record)
    finally:
        found = read_state(record)
        if found is None or found.pid == running.pid:
            remove_state(record)


def checkout() -> Path:
    """Return where ``make init`` put the servers: STEADYLINE_HOME, or the current folder.

    Raises InvalidConfiguration, with what to do, when they are not there.
    """
    home = read_settings(CheckoutSettings).steadyline_home
    if not (home / ".venv-triton").is_dir():
        raise InvalidConfiguration(
            f"{home.resolve()} has no servers: Kafka, Redis and Triton are started from a checkout of "
            "Steadyline in which you have run `make init`; set STEADYLINE_HOME to it, or "
            "KAFKA_BOOTSTRAP_SERVERS, REDIS_URL and TRITON_URL to servers that run"
        )
    return home.resolve()
