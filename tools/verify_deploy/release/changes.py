"""Changes of the line file of the plant's values, and who reads what each of them changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.verify_deploy.report import CheckFailed


@dataclass(frozen=True, slots=True)
class LineChange:
    """Other words in the line file, and the services that read what they change."""

    name: str
    old: str
    new: str
    readers: Sequence[str]


# A producer reads its own cameras; alerts reads all of them, and its rules.
CHANGES = (
    LineChange("rules of alerts", "cameras:\n", "alerts: {quiet: [camera_slow]}\ncameras:\n", ("alerts",)),
    LineChange("one camera", "10.20.0.11/stream?fps=5", "10.20.0.11/frames", ("alerts", "producers-east")),
)
MORE_PARTITIONS = LineChange("more partitions", "partitions: 12", "partitions: 16", ())


def changed_lines(values: Path, folder: Path) -> Iterator[tuple[LineChange, Path]]:
    """Yield each change, and a file in a folder with the line as it is after all changes so far."""
    line = _line_of(values)
    for number, change in enumerate(CHANGES):
        line = _changed(line, change)
        path = folder / f"line-{number}.yaml"
        path.write_text(line, encoding="utf-8")
        yield change, path


def more_partitions(values: Path, folder: Path) -> Path:
    """Write the line with more partitions into a folder; returns its file."""
    path = folder / "more-partitions.yaml"
    path.write_text(_changed(_line_of(values), MORE_PARTITIONS), encoding="utf-8")
    return path


def _line_of(values: Path) -> str:
    return str(yaml.safe_load(values.read_text(encoding="utf-8"))["line"]["file"])


def _changed(line: str, change: LineChange) -> str:
    """Return a line with other words; raises CheckFailed when the words are not there once."""
    if line.count(change.old) != 1:
        raise CheckFailed(f"{change.name}: the line file of the plant does not say {change.old!r} once")
    return line.replace(change.old, change.new)
