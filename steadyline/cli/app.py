"""Mounts the verbs, and turns errors into one clear line and an exit status."""

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from steadyline.service import run
from steadyline.terminal import PlainConsole

# verb -> module; each module has ``app`` (a typer.Typer), mounted as a group, or ``command``, a function.
VERBS = (
    *("init", "run", "up", "demo", "doctor", "topics", "dataset", "models", "bank", "labels", "calibrate"),
    *("keys", "dlq", "audit", "trace", "drill", "alerts", "triton", "backup", "restore"),
)


def _tell_version(asked: bool) -> None:
    if asked:
        PlainConsole(soft_wrap=True).print(f"steadyline {version('steadyline')}")
        raise typer.Exit


def _group(
    asked: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    """Robust visual anomaly detection for production lines."""


def program_for(arguments: Sequence[str]) -> typer.Typer:
    """Return a program of the verb that is asked for, or of all for the help: importing every one takes
    seconds.
    """
    program = typer.Typer(
        name="steadyline",
        help="Robust visual anomaly detection for production lines.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    program.callback()(_group)
    for verb in [name for name in VERBS if name in arguments[:1]] or VERBS:
        try:
            module = importlib.import_module(f"steadyline.cli.{verb}")
        except ModuleNotFoundError as error:
            if error.name != f"steadyline.cli.{verb}":
                raise
            continue
        if hasattr(module, "app"):
            program.add_typer(module.app, name=verb)
        else:
            program.command(name=verb)(module.command)
    return program


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit status."""
    return run(program_for(sys.argv[1:] if argv is None else argv), argv)


if __name__ == "__main__":
    sys.exit(main())
