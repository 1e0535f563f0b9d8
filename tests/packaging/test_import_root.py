"""One distribution, several packages: who may import whom, and that nothing else is importable."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.rules import ROOT, Source, imported, sources
from tools.packages import PACKAGES, SERVICES


def wrong_imports(source: Source) -> list[str]:
    """Return what a file of one package imports of another one that it may not know."""
    forbidden = set(SERVICES) - {source.folder} | {"tests", "tools", "bench"}
    return [
        f"{source.name}:{line}: imports {module}"
        for line, module in imported(source)
        if source.folder in PACKAGES and module.split(".", 1)[0] in forbidden
    ]


def test_services_know_only_themselves_and_the_core_and_the_core_knows_no_service() -> None:
    assert [problem for source in sources() for problem in wrong_imports(source)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scorer/x.py", "import trainer.package"),
        ("scorer/x.py", "def f():\n    from producers import sender"),
        ("steadyline/x.py", "from scorer.frame_task import score"),
        ("trainer/x.py", "from tests.support import eventually"),
    ],
)
def test_the_checker_finds_a_forbidden_import(name: str, text: str) -> None:
    assert wrong_imports(Source.parse(name, text))


def test_system_tests_import_nothing_of_ours() -> None:
    found = [
        f"{source.name}:{line}: imports {module}"
        for source in sources()
        if source.name.startswith("tests/system/")
        for line, module in imported(source)
        if module.split(".", 1)[0] in PACKAGES
    ]
    assert found == []


def test_only_the_listed_packages_are_installed(tmp_path: Path) -> None:
    program = """
import importlib.util, sys
print([name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None])
"""
    names = [*PACKAGES, "tests", "tools", "bench", "deploy", "docs"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *names],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(list(PACKAGES)), done.stderr


def test_every_package_of_the_root_is_in_the_distribution_or_helps_to_make_it() -> None:
    there = {path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")}
    assert there == {*PACKAGES, "tests", "tools", "bench"}


def test_the_distribution_is_not_for_the_public_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "Private :: Do Not Upload" in project["project"]["classifiers"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed_and_is_started_by_three_lines(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    main = (ROOT / package / "__main__.py").read_text(encoding="utf-8")
    assert "sys.exit(main())" in main
    assert len(main.splitlines()) <= 8


def test_no_module_name_of_ours_hides_one_of_the_standard_library() -> None:
    assert [package for package in PACKAGES if package in sys.stdlib_module_names] == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_importing_a_command_line_reads_no_environment_and_starts_nothing(tmp_path: Path) -> None:
    """Settings are read when a command runs; an import with an empty environment must do."""
    for package in PACKAGES:
        program = f"import threading, {package}.cli; assert threading.active_count() == 1"
        done = subprocess.run(
            [sys.executable, "-P", "-c", program], cwd=tmp_path, env={}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{package}: {done.stderr}"
