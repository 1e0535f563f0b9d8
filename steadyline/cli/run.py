"""``steadyline run``: a whole line in one terminal, until Ctrl-C."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.servers import STATE, checkout, existing_servers, recorded
from steadyline.clock import SystemClock
from steadyline.line import load_line
from steadyline.own_line.folders import LineFolders
from steadyline.own_line.run import OwnLine, check_normals
from steadyline.servers import LocalStack, ServerFailed, StackPaths
from steadyline.servers.procfs import kill_descendants
from steadyline.servers.state import RunningStack, read_state
from steadyline.service import LineFile
from steadyline.stop_signals import stop_on_signals
from steadyline.terminal import PlainConsole

_HOME = (
    "Folder of everything that the line writes beside its store: topics, models, logs, the database "
    "of alerts, keys; by default var beside the line file. What lies there is gone on with."
)


def command(
    line: LineFile = Path("line.yaml"),
    home: Annotated[Path | None, typer.Option(help=_HOME)] = None,
) -> None:
    """Run a whole line on this machine: Kafka, Redis and Triton, trainer, alerts, scorer and cameras.

    A server whose address is in the environment is used and not started. The logs of all services are shown
    as one. Ctrl-C ends everything in order, a second one at once; another run goes on where this one ended.
    """
    console, clock = PlainConsole(), SystemClock()
    found = load_line(line)
    check_normals(found)
    folders = LineFolders(line.resolve(), (home or line.resolve().parent / "var").resolve())
    existing = existing_servers()
    are_given = all(existing.has(server) for server in ("kafka", "redis", "triton"))
    root = folders.home if are_given else checkout()
    stack = LocalStack(StackPaths.of_checkout(folders.servers, root), existing=existing)
    with stop_on_signals(kill_descendants) as stop:
        console.print("starting Kafka, Redis and Triton")
        try:
            stack.start(stop)
        except ServerFailed:
            if stop.is_set():
                return
            raise
        logs = {str(name): str(server.log) for name, server in stack.servers.items()}
        running = RunningStack(os.getpid(), str(folders.servers), logs, stack.addresses)
        try:
            with recorded(folders.home / STATE.name, running) as variables:
                _tell_where(variables, folders, console)
                environment, given = stack.addresses.environment(), frozenset(os.environ)
                OwnLine(found, folders, environment, given, console, clock, stack.check).run(stop)
        finally:
            stack.stop()
    console.print(
        f"ended; `steadyline run` goes on from here, with what lies in {folders.home}", soft_wrap=True
    )


def _tell_where(variables: Path | None, folders: LineFolders, console: PlainConsole) -> None:
    """Say how other commands reach this line, or that they will not."""
    record = folders.home / STATE.name
    if variables is None:
        found = read_state(record)
        told = "" if found is None else f" of process {found.pid}"
        console.print(
            f"{record} is{told}, whose servers other commands in this folder go on to use: end that, or give "
            "this line another --home",
            soft_wrap=True,
        )
        return
    load = f"set -a; . {shlex.quote(str(variables))}"
    console.print(f"for commands in another shell: {load}", soft_wrap=True)
