"""Runs the one command of a bench: an error of ours is a clear line and a named exit status."""

from collections.abc import Callable, Sequence

import typer

from steadyline.service import run


def run_main(main: Callable[..., None], argv: Sequence[str] | None = None) -> int:
    """Run a function as a command line; returns its exit status."""
    app = typer.Typer(name="bench", add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    return run(app, argv)
