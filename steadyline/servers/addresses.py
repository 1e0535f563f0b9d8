"""The addresses of the servers, and the environment variables that tell them to services."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "kafka": ("kafka_bootstrap",),
    "redis": ("redis_url",),
    "triton": ("triton_grpc", "triton_http", "triton_admin_key", "triton_repository"),
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the servers; empty for a server that is not part of the stack."""

    kafka_bootstrap: str = ""
    redis_url: str = ""
    triton_grpc: str = ""
    triton_http: str = ""
    triton_admin_key: str = ""
    triton_repository: str = ""

    def environment(self) -> dict[str, str]:
        """Return the environment variables that tell services where the servers are."""
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "REDIS_URL": self.redis_url,
            "TRITON_URL": self.triton_grpc,
            "TRITON_ADMIN_KEY": self.triton_admin_key,
            "TRITON_REPOSITORY": self.triton_repository,
        }
        return {name: value for name, value in variables.items() if value}

    def has(self, server: str) -> bool:
        """Tell whether the address of ``kafka``, ``redis`` or ``triton`` is known."""
        return bool(getattr(self, _FIELDS[server][0]))

    def only(self, servers: Collection[str]) -> "Addresses":
        """Return the addresses of these servers alone."""
        others = [name for server in _FIELDS if server not in servers for name in _FIELDS[server]]
        return replace(self, **dict.fromkeys(others, ""))

    def completed_by(self, other: "Addresses") -> "Addresses":
        """Return these addresses, with empty ones taken from ``other``."""
        return Addresses(**{name: value or getattr(other, name) for name, value in asdict(self).items()})
