"""What the compose file and the units of systemd give each service: its command, variables and secrets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.setup.command import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
UNITS = ROOT / "deploy" / "systemd"
_PROGRAM = "/opt/steadyline/bin/python -m "
_OURS = re.compile(r"\$\{IMAGE_(PRODUCERS|SCORER|TRAINER|ALERTS|COMMAND|SERVER_CPU|SERVER_GPU):\?\}")


@dataclass(frozen=True, slots=True)
class BoxedService:
    """One service of ours: ``package`` runs with ``command``; variables that end in _FILE name secrets."""

    name: str
    package: str
    command: tuple[str, ...]
    environment: dict[str, str]
    stop_seconds: float


def compose_file() -> dict[str, Any]:
    """Return the compose file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def compose_services() -> Iterator[BoxedService]:
    """Yield our services of the compose file; ``folders``, which runs no command of ours, is left out."""
    for name, service in compose_file()["services"].items():
        image = _OURS.fullmatch(service["image"])
        if image is None or "entrypoint" in service:
            continue
        word = image[1].lower()
        package = word if word in ("producers", "scorer", "trainer", "alerts") else "steadyline"
        command = service["command"]
        if word.startswith("server"):
            command = ["triton", *command]
        stop = float(str(service.get("stop_grace_period", "10s")).removesuffix("s"))
        yield BoxedService(name, package, tuple(command), dict(service.get("environment") or {}), stop)


def unit_rows(path: Path) -> list[tuple[str, str]]:
    """Return the settings of a unit, in order; a name may come several times."""
    rows = (row for row in path.read_text(encoding="utf-8").splitlines() if row and row[0] not in "#[")
    return [(name, value) for name, _, value in (row.partition("=") for row in rows)]


def unit_services() -> Iterator[BoxedService]:
    """Yield the service of each unit, with the variables of the environment file."""
    shared = dict(unit_rows(UNITS / "line.env"))
    for path in sorted(UNITS.glob("*.service")):
        rows = unit_rows(path)
        command = dict(rows)["ExecStart"]
        assert command.startswith(_PROGRAM), f"{path.name}: {command}"
        package, *arguments = command.removeprefix(_PROGRAM).split()
        pairs = [pair for name, value in rows if name == "Environment" for pair in value.split()]
        environment = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
        stop = float(dict(rows).get("TimeoutStopSec", "90"))
        yield BoxedService(path.stem, package, tuple(arguments), shared | environment, stop)
