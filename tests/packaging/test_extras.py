"""Each extra is enough for its service and brings nothing it must not: one environment each."""

import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tools.packages import PACKAGES, SERVICES
from tools.setup.environments import TOOL, python_of, uv_program
from tools.setup.mirrors import uv_environment

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".cache" / "extras"
MADE: dict[str, Path] = {}  # requirements → the environment that has them
# Every module is imported: a service must not meet a missing package in the middle of a shift.
IMPORT_ALL = """
import importlib, pkgutil, sys
for module in pkgutil.walk_packages([importlib.import_module(sys.argv[1]).__path__[0]], sys.argv[1] + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
FIND = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 7)"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel and one extra; commands run in an empty folder."""

    folder: Path
    empty: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its Python with safe path: what is not installed is not there."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [str(self.folder / "bin" / "python"), "-P", *arguments],
            cwd=self.empty,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def has(self, module: str) -> bool:
        """True when a module can be found."""
        return self.python("-c", FIND, module).returncode == 0


@cache
def uv_variables() -> dict[str, str]:
    """Return the environment of uv; asked of pip once, which takes longer than uv itself."""
    return {**os.environ, **uv_environment(python_of(TOOL))}


def uv(*arguments: str) -> str:
    """Run the set-up's uv and return what it prints; the test fails with its words when it does."""
    command = [uv_program(), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=uv_variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves nothing in the checkout, and finds nothing old there."""
    if not Path(uv_program()).exists():
        if os.environ.get("CI"):
            pytest.fail("uv is missing in CI: `make init` must bring it")
        pytest.skip("uv is missing: run `make init`")
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    python = str(ROOT / ".venv" / "bin" / "python")
    uv("build", "-q", "--wheel", "--no-build-isolation", "--python", python, "-o", str(source), str(source))
    return next(source.glob("steadyline-*.whl"))


def locked(extra: str) -> str:
    """Return what the lock says of an extra, a distribution a line."""
    choice = ["--extra", extra] if extra else []
    lock = ["-c", str(ROOT / "requirements" / "dev.lock")]
    plain = ["--universal", "--no-annotate", "--no-header"]
    return uv("pip", "compile", "-q", *plain, "pyproject.toml", *choice, *lock)


def environment(extra: str, wheel: Path, empty: Path) -> Environment:
    """Bring the environment of an extra to exactly what the lock says; kept between runs.

    Extras that need the same distributions share one.
    """
    requirements = locked(extra)
    if requirements not in MADE:
        MADE[requirements] = made(ENVIRONMENTS / (extra or "core"), requirements, wheel)
    return Environment(MADE[requirements], empty)


def made(folder: Path, requirements: str, wheel: Path) -> Path:
    """Bring the environment in a folder to exactly these requirements and the wheel; returns the folder."""
    python, wanted = folder / "bin" / "python", folder.with_suffix(".txt")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not python.exists():
        uv("venv", "-q", "--python", str(ROOT / ".venv" / "bin" / "python"), str(folder))
    wanted.write_text(requirements, encoding="utf-8")
    uv("pip", "sync", "-q", "--python", str(python), str(wanted))
    uv("pip", "install", "-q", "--python", str(python), "--no-deps", "--reinstall", str(wheel))
    return folder


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_needs_only_its_own_extra(service: str, wheel: Path, tmp_path: Path) -> None:
    made = environment(service, wheel, tmp_path)
    for arguments in (["-m", service, "--help"], ["-m", service, "config"], ["-c", IMPORT_ALL, service]):
        done = made.python(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert made.has("torch") == (service == "trainer")


def test_the_command_needs_no_extra(wheel: Path, tmp_path: Path) -> None:
    made = environment("", wheel, tmp_path)
    for arguments in (["-m", "steadyline", "--help"], ["-c", IMPORT_ALL, "steadyline.cli"]):
        done = made.python(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not made.has("torch")


def test_the_wheel_carries_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    there = {
        str(path.relative_to(wheel.parent))
        for name in PACKAGES
        for path in (wheel.parent / name).rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    assert there - carried == set()
