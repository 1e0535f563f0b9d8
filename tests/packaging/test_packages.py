"""A service is known everywhere as soon as ``pyproject.toml`` lists it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.rules import ROOT
from tools.packages import CORE, PACKAGES, PLANNED, SERVICES, listed_packages

PLANTED = """import os

import redis

import scorer.handler

key = os.environ["KEY"]
"""
HELD = """
from tests.packaging.rules import RULES, sources
from tests.packaging.test_import_root import wrong_imports
from tests.packaging.walls import without_a_layer
found = sources()
problems = [problem for source in found for rule in (*RULES, wrong_imports) for problem in rule(source)]
print(*problems, *without_a_layer(found), sep="\\n")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the rules, their own pyproject.toml, and a service that breaks four of them."""
    for folder in ("tools", "tests/packaging"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "mending").mkdir()
    (tmp_path / "mending/app.py").write_text(PLANTED)
    return tmp_path


def problems_in(tree: Path) -> str:
    """Return what the rules of a tree find in it."""
    done = subprocess.run([sys.executable, "-c", HELD], cwd=tree, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_service_that_pyproject_lists_is_held_by_every_rule(tree: Path) -> None:
    assert problems_in(tree).strip() == ""
    listed = tree / "pyproject.toml"
    listed.write_text(listed.read_text().replace("\ninclude = [", '\ninclude = ["mending*", ', 1))
    found = problems_in(tree)
    for problem in (
        "mending/app.py: the module says nothing of itself",
        "mending/app.py:7: reads the environment below the command line",
        "mending/app.py:3: imports redis, which belongs to steadyline/bank/redis.py",
        "mending/app.py:5: imports scorer.handler",
    ):
        assert problem in found
    assert "\nmending/app.py\n" in found, "it stands in no room of the table"


def test_the_packages_are_those_of_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.setuptools.packages.find]\ninclude = ["steadyline*", "alerts*"]\n'
    )
    assert listed_packages(tmp_path) == ("steadyline", "alerts")
    assert {*SERVICES, CORE} == {*PACKAGES}
    assert not {*PLANNED} & {*PACKAGES}
