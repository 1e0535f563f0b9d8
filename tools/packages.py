"""The packages of the distribution as ``pyproject.toml`` lists them: every other list is made from these."""

import tomllib
from pathlib import Path

from tools.setup.command import ROOT

CORE = "steadyline"


def listed_packages(root: Path) -> tuple[str, ...]:
    """Return the top-level packages of the distribution whose folder is ``root``, in their order there."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns: list[str] = project["tool"]["setuptools"]["packages"]["find"]["include"]
    return tuple(pattern.removesuffix("*") for pattern in patterns)


PACKAGES = listed_packages(ROOT)
SERVICES = tuple(package for package in PACKAGES if package != CORE)

# Folders whose README says what will stand there, and which are no package yet.
PLANNED = tuple(
    sorted(path.parent.name for path in ROOT.glob("*/README.md") if path.parent.name not in PACKAGES)
)


def is_built(service: str) -> bool:
    """Return whether a service has code; False for one that is only planned."""
    return service in PACKAGES
