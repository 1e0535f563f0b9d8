"""``python -m tools.lint_deploy``: what of a deployment can be checked within seconds, without a server."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.chart.files import CHART, chart_files, different_files, stale_files
from tools.chart.helm import HelmRefused, helm_program, lint, render, values_files
from tools.chart.schemas import SCHEMAS, schema_problems, schemas_are_there
from tools.setup.command import ROOT
from tools.setup.environments import DEPLOY

PLANT = CHART / "values-plant.yaml"
ON_TOP = ("values-gpu.yaml", "values-airgapped.yaml")  # of the plant's
SHOWN = 40  # of the problems of one step


class StepSkipped(Exception):
    """What is missing for a step, and what brings it."""


@dataclass(frozen=True, slots=True)
class LintStep:
    """One step: ``problems`` yields what is wrong; it raises StepSkipped where it cannot look."""

    name: str
    problems: Callable[[], Iterator[str]]


def sets_of_values() -> list[list[Path]]:
    """Return the sets of values that docs/kubernetes.md names: each file alone, two on top of the plant's."""
    return [[], *([path] for path in values_files()), *([PLANT, CHART / name] for name in ON_TOP)]


def made_files() -> Iterator[str]:
    """Say which files of the chart are not what the code says."""
    made = chart_files()
    for path in (*different_files(made), *stale_files(made)):
        yield f"{path} is not what the code says: `python -m tools.chart` writes it"


def helm_lint() -> Iterator[str]:
    """Lint the chart with each set of values."""
    _need(helm_program(), "helm", "`make init`")
    for values in sets_of_values():
        try:
            lint(values)
        except HelmRefused as error:
            yield f"{_told(values)}: {error}"


def schemas() -> Iterator[str]:
    """Render the chart with each set of values, and hold every object against its schema."""
    _need(helm_program(), "helm", "`make init`")
    if not schemas_are_there():
        raise StepSkipped(f"{SCHEMAS} is not there: `python -m tools.deploy_schemas` makes it")
    for values in sets_of_values():
        try:
            yield from (f"{_told(values)}: {problem}" for problem in schema_problems(render(values)))
        except HelmRefused as error:
            yield f"{_told(values)}: {error}"


def rules() -> Iterator[str]:
    """Check the rules of Prometheus, and run their unit tests."""
    program = _need(shutil.which("promtool"), "promtool", "the Debian package prometheus")
    folder = ROOT / "deploy" / "rules"
    checked, tests = sorted(folder.glob("*.yaml")), sorted((folder / "tests").glob("*.yaml"))
    if not checked:
        raise StepSkipped("there are no rules in deploy/rules")
    yield from _said_by([program, "check", "rules", *map(str, checked)])
    if tests:
        yield from _said_by([program, "test", "rules", *map(str, tests)])


def dockerfiles() -> Iterator[str]:
    """Lint the Dockerfiles."""
    own = DEPLOY / "bin" / "hadolint"
    program = _need(str(own) if own.exists() else shutil.which("hadolint"), "hadolint", "`make init`")
    found = sorted((ROOT / "deploy" / "images").rglob("*Dockerfile"))
    if not found:
        raise StepSkipped("there are no Dockerfiles in deploy/images")
    yield from _said_by([program, *(str(path.relative_to(ROOT)) for path in found)])


def compose() -> Iterator[str]:
    """Parse the compose file, and look that each of its services names an image and takes no privileges."""
    path = ROOT / "deploy" / "compose.yaml"
    if not path.exists():
        raise StepSkipped("there is no deploy/compose.yaml")
    services = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("services") or {}
    if not services:
        yield "deploy/compose.yaml has no services"
    for name, service in services.items():
        if "image" not in service:
            yield f"{name} names no image"
        if service.get("privileged") or "host" in (service.get("network_mode"), service.get("pid")):
            yield f"{name} asks for what no service of ours needs"


STEPS = (
    LintStep("files of the chart", made_files),
    LintStep("helm lint", helm_lint),
    LintStep("schemas of Kubernetes", schemas),
    LintStep("rules of Prometheus", rules),
    LintStep("Dockerfiles", dockerfiles),
    LintStep("compose", compose),
)
# What is not built yet may be missing in CI too; what set-up brings may not.
MAY_BE_MISSING = ("there is no", "there are no")


def main() -> int:
    """Run every step and say how each went; 1 where something is wrong, or cannot be looked at in CI."""
    is_wrong = False
    for step in STEPS:
        started = time.monotonic()
        try:
            problems = list(step.problems())
        except StepSkipped as reason:
            fails = bool(os.environ.get("CI")) and not str(reason).startswith(MAY_BE_MISSING)
            is_wrong = is_wrong or fails
            print(f"{'FAILED ' if fails else 'SKIPPED'} {step.name}: {reason}")
            continue
        is_wrong = is_wrong or bool(problems)
        print(f"{'FAILED ' if problems else 'ok     '} {step.name} ({time.monotonic() - started:.1f} s)")
        for problem in problems[:SHOWN]:
            print(f"        {problem}")
        if len(problems) > SHOWN:
            print(f"        and {len(problems) - SHOWN} more")
    return 1 if is_wrong else 0


def _need(program: str | None, name: str, brings: str) -> str:
    if program is None:
        raise StepSkipped(f"{name} is missing: {brings} brings it")
    return program


def _told(values: Sequence[Path]) -> str:
    return " + ".join(path.name for path in values) or "values.yaml"


def _said_by(command: Sequence[str]) -> Iterator[str]:
    """Yield what a program says when it ends with anything but 0."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield from (line for line in (done.stdout + done.stderr).splitlines() if line.strip())


if __name__ == "__main__":
    sys.exit(main())
