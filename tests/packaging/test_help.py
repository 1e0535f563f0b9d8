"""Every option and argument of every command explains itself in its help text."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Annotated

import pytest
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from steadyline.cli.app import VERBS
from tests.packaging.rules import sources

Parameter = TyperArgument | TyperOption

FEWEST_WORDS = 3


@cache
def commands() -> dict[str, TyperCommand]:
    """Return every command of the tree by its module and name."""
    names = [f"steadyline.cli.{verb}" for verb in VERBS]
    names += [
        source.name.removesuffix(".py").replace("/", ".")
        for source in sources()
        if source.folder not in ("steadyline", "tests", "tools")
        and re.search(r"\b(typer\.(Typer|run)|service_application|run_main)\(", source.text)
        and source.name not in ("steadyline/service.py", "bench/command.py")  # what the others are made by
    ]
    return {name: command for module in names for name, command in _commands_of(import_module(module))}


def _commands_of(module: ModuleType) -> Iterator[tuple[str, TyperCommand]]:
    if hasattr(module, "app"):
        top = typer.main.get_command(module.app)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command()(module.command if hasattr(module, "command") else module.main)
        top = typer.main.get_command(alone)
    yield from _leaves(module.__name__, top)


def _leaves(name: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for own, inner in command.commands.items():
            yield from _leaves(f"{name} {own}", inner)
    else:
        assert isinstance(command, TyperCommand)
        yield name, command


def problems(parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with the help text of an option or an argument."""
    text = parameter.help or ""
    if len(text.split()) < FEWEST_WORDS:
        yield f"{text!r} has fewer than {FEWEST_WORDS} words"
    if not text[:1].isupper():
        yield f"{text!r} does not begin with a capital letter"
    if not text.endswith("."):
        yield f"{text!r} does not end with a full stop"
    is_optional = not parameter.required and parameter.default is None
    if is_optional and not re.search(r"\bby default\b|\bdefault(s)? (is|are|to)\b", text):
        yield f"{text!r} does not name the default, which the help would not show"
    named = re.search(r"\bby default (\d[\d.]*\d|\d)\b", text)
    if named and isinstance(parameter.default, float | int) and float(named[1]) != parameter.default:
        yield f"{text!r} names another default than {parameter.default}"


def test_the_commands_of_every_service_and_bench_are_found() -> None:
    found = {name.split(" ")[0] for name in commands()}
    assert {
        "alerts.cli",
        "producers.cli",
        "scorer.cli",
        "trainer.cli",
        "bench.robustness.cli",
        "bench.line.__main__",
    } <= found
    assert {f"steadyline.cli.{verb}" for verb in VERBS} <= found


def test_every_help_text_is_a_phrase_that_stands_alone() -> None:
    found = [
        f"{name}: {parameter.name}: {problem}"
        for name, command in sorted(commands().items())
        for parameter in command.params
        if isinstance(parameter, Parameter)
        for problem in problems(parameter)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "default"),
    [("", None), ("Of 255; 2 and 4.", None), ("whose pixels are attacked.", None), ("Of training.", None),
     ("Longest time in seconds; by default 30.", 120)],
)  # fmt: skip
def test_a_riddle_is_refused(text: str, default: int | None) -> None:
    def riddle(x: Annotated[int | None, typer.Option(help=text)] = default) -> None: ...

    alone = typer.Typer(add_completion=False)
    alone.command()(riddle)
    (_, command), *_ = _leaves("riddle", typer.main.get_command(alone))
    (option, *_) = command.params
    assert isinstance(option, TyperOption)
    assert list(problems(option))
