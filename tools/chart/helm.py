"""Running helm on the chart: the one that set-up has brought, or the one in the PATH."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.chart.files import CHART
from tools.setup.command import ROOT
from tools.setup.environments import DEPLOY

KUBERNETES = "1.36.0"  # helm has no server to ask
RELEASE, NAMESPACE = "rel", "line"


class HelmRefused(Exception):
    """What helm said when it refused values or a template."""


def helm_program() -> str | None:
    """Return the path of helm; None where there is none."""
    own = DEPLOY / "bin" / "helm"
    return str(own) if own.exists() else shutil.which("helm")


def values_files() -> list[Path]:
    """Return the values files of the chart beside the defaults, from the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / CHART).glob("values-*.yaml"))


def lint(values: Sequence[Path | str] = ()) -> None:
    """Hold the chart against its schema and render it; raises HelmRefused."""
    _run("lint", "--strict", "--kube-version", KUBERNETES, str(CHART), *_options(values))


def render(values: Sequence[Path | str] = (), chart: Path = CHART) -> list[dict[str, Any]]:
    """Return the objects of the chart, hooks and tests included; raises HelmRefused.

    ``values`` are paths of files, or texts like ``scorer.replicas=3``; a later one counts.
    """
    command = ["template", RELEASE, str(chart), "--namespace", NAMESPACE, "--kube-version", KUBERNETES]
    text = _run(*command, *_options(values))
    return [found for found in yaml.load_all(text, Loader=_LOADER) if found]


def _options(values: Sequence[Path | str]) -> list[str]:
    options = []
    for value in values:
        options += ["--values", str(value)] if isinstance(value, Path) else ["--set-json", value]
    return options


def _run(*arguments: str) -> str:
    program = helm_program()
    if program is None:
        raise FileNotFoundError("helm is not there: `make init` brings it")
    # A cluster of this machine's user has no say in it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    done = subprocess.run(
        [program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise HelmRefused((done.stdout if arguments[0] == "lint" else "") + done.stderr)
    return done.stdout


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
