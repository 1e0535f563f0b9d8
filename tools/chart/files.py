"""The files of the chart that are made: topics and rights from the code, rules and dashboards as copies."""

from pathlib import Path

import yaml

from steadyline.contracts.topics import Topics
from tools.chart.rights import rights_of_services
from tools.setup.command import ROOT

CHART = Path("deploy/helm/steadyline")
FILES = CHART / "files"
# folder of the chart → the folder that it is a copy of, and the ending of what is copied
COPIES = {
    FILES / "rules": (Path("deploy/rules"), "yaml"),
    FILES / "dashboards": (Path("deploy/dashboards"), "json"),
}
_NOTICE = "# Made from the code by `python -m tools.chart`. Change the code, not this file.\n"


def chart_files() -> dict[Path, str]:
    """Return path from the root → text of every file that the chart must have."""
    made = {
        FILES / "topics.yaml": _NOTICE + _dump(_topics()),
        FILES / "acls.yaml": _NOTICE + _dump(rights_of_services()),
    }
    for target, (source, ending) in COPIES.items():
        for path in sorted((ROOT / source).glob(f"*.{ending}")):
            made[target / path.name] = path.read_text(encoding="utf-8")
    return made


def stale_files(made: dict[Path, str]) -> list[Path]:
    """Return the files that the chart has and must not have any more."""
    there = {path.relative_to(ROOT) for path in (ROOT / FILES).rglob("*") if path.is_file()}
    return sorted(there - made.keys())


def different_files(made: dict[Path, str]) -> list[Path]:
    """Return the files that are missing or say something else."""
    there = {path: ROOT / path for path in made}
    return [
        path
        for path, place in there.items()
        if not place.exists() or place.read_text(encoding="utf-8") != made[path]
    ]


def _topics() -> list[dict[str, object]]:
    return [
        {"name": topic.name, "partitioned": topic.partitions > 1, "config": topic.config}
        for topic in Topics()
    ]


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=110)
