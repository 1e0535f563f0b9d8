"""What the code itself says of who reads what: found in its syntax, not kept by hand."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tools.packages import CORE, SERVICES
from tools.setup.command import ROOT

_PACKAGES = (*SERVICES, CORE)  # the order in which documents name them


def readers_of(settings: str) -> list[str]:
    """Return the packages whose command line reads a settings class: ``read_settings(Name)``."""
    return [package for package in _PACKAGES if settings in _settings_read(package)]


def importers_of(module: str) -> list[str]:
    """Return the services that import a module of the core."""
    wanted = tuple(module.rsplit(".", 1))
    return [
        service
        for service in SERVICES
        for tree in _trees(ROOT / service)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and _is_import_of(node, wanted, module)
    ]


def metric_modules() -> list[str]:
    """Return the modules that declare metrics: each ``metrics.py``, the core's first."""
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in _PACKAGES
        for path in sorted((ROOT / package).rglob("metrics.py"))
    ]
    return sorted(found, key=lambda name: (not name.startswith("steadyline."), name))


def environment_options() -> dict[str, str]:
    """Return variable → help of the command-line options that a variable stands for."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        for tree in _command_lines(package):
            for call in _calls(tree, "Option"):
                words = {item.arg: item.value for item in call.keywords}
                variable, text = words.get("envvar"), words.get("help")
                if isinstance(variable, ast.Constant) and isinstance(text, ast.Constant):
                    found.setdefault(str(variable.value), str(text.value))
    return found


def settings_classes() -> dict[str, str]:
    """Return class → module of every settings class that is defined anywhere."""
    return {
        node.name: ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in _PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Settings" for base in node.bases)
    }


def _is_import_of(node: ast.ImportFrom, wanted: tuple[str, ...], module: str) -> bool:
    named = {alias.name for alias in node.names}
    return node.module == module or (node.module == wanted[0] and wanted[1] in named)


def _settings_read(package: str) -> set[str]:
    return {
        argument.id
        for tree in _command_lines(package)
        for call in _calls(tree, "read_settings")
        for argument in call.args
        if isinstance(argument, ast.Name)
    }


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] == name:
            yield node


def _command_lines(package: str) -> Iterator[ast.Module]:
    folder = ROOT / package / "cli"
    yield from _trees(folder if folder.is_dir() else ROOT / package / "cli.py")


def _trees(path: Path) -> Iterator[ast.Module]:
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        yield _parsed(file)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
