"""What a backup holds: ``manifest.json``, with the digest of every other file."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steadyline.errors import InvalidConfiguration

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptPartition:
    """One partition: its first and next offset, and how many records of it are kept."""

    start: int
    end: int
    records: int


@dataclass(frozen=True, slots=True)
class KeptTopic:
    """One topic; ``topic_id`` is what committed notes and the database call it."""

    name: str
    topic_id: str
    partitions: list[KeptPartition]


@dataclass(slots=True)
class BackupManifest:
    """``groups``: group → rows of topic, partition, next offset and note."""

    line: str
    prefix: str
    made_at: str
    topics: dict[str, KeptTopic] = field(default_factory=dict)
    groups: dict[str, list[tuple[str, int, int, str]]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    has_database: bool = False
    without_frames: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Take the digest of every file of the folder, and write the manifest: the last file of a backup."""
        self.files = {str(path.relative_to(folder)): digest_of(path) for path in _files(folder)}
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> "BackupManifest":
        """Read a backup's manifest and compare every file; raises InvalidConfiguration."""
        try:
            found: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidConfiguration(f"{folder} is no whole backup: {NAME} cannot be read") from error
        if found.pop("format", None) != FORMAT:
            raise InvalidConfiguration(f"{folder / NAME} is of another release: restore it with that one")
        topics = found.pop("topics")
        kept = BackupManifest(**found)
        for name, topic in topics.items():
            partitions = [KeptPartition(**one) for one in topic.pop("partitions")]
            kept.topics[name] = KeptTopic(**topic, partitions=partitions)
        kept.groups = {name: [(*row,) for row in rows] for name, rows in kept.groups.items()}
        there = {str(path.relative_to(folder)): digest_of(path) for path in _files(folder)}
        for name in sorted(there.keys() ^ kept.files.keys()):
            raise InvalidConfiguration(f"{folder / name} is {'not listed' if name in there else 'missing'}")
        for name, digest in there.items():
            if kept.files[name] != digest:
                raise InvalidConfiguration(f"{folder / name} was changed after the backup was made")
        return kept


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / NAME)
