"""Mounts the verbs, and turns errors into one clear line and an exit status."""

import importlib
import sys
from collections.abc import Sequence

import typer
from rich.console import Console

from steadyline.errors import Fatal, InvalidConfiguration, Transient
from steadyline.lifecycle import EXIT_FATAL, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE

# verb -> module; each module has ``app`` (a typer.Typer), mounted as a group, or ``command``, a function.
VERBS = ("up", "demo", "doctor", "topics", "dataset", "models", "bank", "dlq", "audit", "trace")

app = typer.Typer(
    name="steadyline",
    help="Robust visual anomaly detection for production lines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Robust visual anomaly detection for production lines."""


def _mount(arguments: Sequence[str]) -> None:
    """Mount the verb that is asked for, all of them for the help: importing every one takes seconds."""
    for verb in [name for name in VERBS if name in arguments[:1]] or VERBS:
        try:
            module = importlib.import_module(f"steadyline.cli.{verb}")
        except ModuleNotFoundError as error:
            if error.name != f"steadyline.cli.{verb}":
                raise
            continue
        if hasattr(module, "app"):
            app.add_typer(module.app, name=verb)
        else:
            app.command(name=verb)(module.command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit status."""
    _mount(sys.argv[1:] if argv is None else argv)
    return run(app, argv)


def run(application: typer.Typer, argv: Sequence[str] | None) -> int:
    """Run a typer application; a verb ends otherwise than well by ``raise typer.Exit(status)``.

    Errors of ours become one line on stderr and a named exit status.
    """
    console = Console(stderr=True)
    try:
        application(args=None if argv is None else list(argv))
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else EXIT_OK
    except InvalidConfiguration as error:
        console.print(f"[red]{error.reason}[/]: {error}", highlight=False, soft_wrap=True)
        return EXIT_USAGE
    except Transient as error:
        console.print(f"[red]{error.reason}[/]: {error}", highlight=False, soft_wrap=True)
        return EXIT_UNAVAILABLE
    except Fatal as error:
        console.print(f"[red]{error.reason}[/]: {error}", highlight=False, soft_wrap=True)
        return EXIT_FATAL
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
