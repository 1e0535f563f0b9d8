"""Start and stop of a process: signals turned into one event, errors into one clear line and an exit code."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from steadyline.errors import Fatal, InvalidConfiguration, SteadylineError, Transient
from steadyline.terminal import PlainConsole, styled

EXIT_OK = 0
EXIT_FAILED = 1  # a check or an audit found something wrong
EXIT_USAGE = 2  # the command line, the line file or the environment is wrong
EXIT_UNAVAILABLE = 3  # a server that must be there at start is not
EXIT_FATAL = 4  # a Fatal error ended the loop
EXIT_BUG = 70  # anything else: EX_SOFTWARE of sysexits.h

LineFile = Annotated[Path, typer.Option("--line", envvar="STEADYLINE_LINE", help="The line file.")]


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; a second signal exits at once with 128 + its number."""
    stop = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run(application: typer.Typer, argv: Sequence[str] | None) -> int:
    """Run a typer application; a verb ends otherwise than well by ``raise typer.Exit(status)``.

    Errors of ours become one line on stderr and a named exit status.
    """
    try:
        application(args=None if argv is None else list(argv))
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else EXIT_OK
    except InvalidConfiguration as error:
        _print_error(error)
        return EXIT_USAGE
    except Transient as error:
        _print_error(error)
        return EXIT_UNAVAILABLE
    except Fatal as error:
        _print_error(error)
        return EXIT_FATAL
    return EXIT_OK


def _print_error(error: SteadylineError) -> None:
    console = PlainConsole(stderr=True, soft_wrap=True)
    first, *others = str(error).split("\n")
    console.print(styled((error.reason, "red"), f": {first}"))
    for line in others:
        console.print(line)
