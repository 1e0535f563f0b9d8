"""Where a line of one's own keeps what it writes: only paths."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LineFolders:
    """The line file, and the folder of all that the line writes beside the store."""

    line_file: Path
    home: Path

    @property
    def servers(self) -> Path:
        """The folder of Kafka, Redis and Triton."""
        return self.home / "servers"

    @property
    def logs(self) -> Path:
        """One file for each service."""
        return self.home / "logs"

    @property
    def keys(self) -> Path:
        """The pair of keys by which the line knows its trainer."""
        return self.home / "keys"

    @property
    def token(self) -> Path:
        """The first token of the alerts' API."""
        return self.home / "api-token"

    @property
    def database(self) -> Path:
        """The alerts' database."""
        return self.home / "alerts" / "alerts.db"
