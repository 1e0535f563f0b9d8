"""``make test`` runs every test exactly once, in parts side by side."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.packaging.rules import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TEST_FILES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("test_*.py"))]


def recipe(makefile: str, target: str) -> str:
    """Return the one line of a target."""
    found = re.search(rf"^{target}:.*\n\t(.*)$", makefile, re.MULTILINE)
    assert found is not None, f"there is no target {target}"
    return found[1]


def parts(makefile: str) -> list[str]:
    """Return the pytest commands that ``make test`` runs."""
    targets = re.findall(r"test-[a-z-]+", recipe(makefile, "test"))
    return [recipe(makefile, target) for target in targets]


def runs(command: str, file: str) -> bool:
    """True when a pytest command collects a file."""
    words = iter(command.split("pytest ", 1)[1].split())
    taken, left_out = [], []
    for word in words:
        if word == "--ignore":
            left_out.append(next(words))
        else:
            taken.append(word)
    path = PurePosixPath(file)
    return any(path.is_relative_to(folder) for folder in taken) and not any(
        path.is_relative_to(folder) for folder in left_out
    )


def not_run_once(makefile: str) -> Iterator[str]:
    """Yield the test files that no part runs, or more than one."""
    counts = Counter(file for command in parts(makefile) for file in TEST_FILES if runs(command, file))
    yield from (f"{file} is run {counts[file]} times" for file in TEST_FILES if counts[file] != 1)


def test_every_test_is_run_by_exactly_one_part() -> None:
    assert list(not_run_once(MAKEFILE)) == []


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ("tests/system ", ""),
        (" --ignore tests/integration/trainer", ""),
        (" test-models", ""),
    ],
)
def test_a_folder_that_is_left_out_or_run_twice_is_found(whole: str, broken: str) -> None:
    assert whole in MAKEFILE
    start = MAKEFILE.index("\ntest: ")
    assert list(not_run_once(MAKEFILE[:start] + MAKEFILE[start:].replace(whole, broken)))
