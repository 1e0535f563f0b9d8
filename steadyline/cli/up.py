"""``steadyline up``: Kafka, Redis and Triton on loopback, in the foreground or in the background."""

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.cli.servers import checkout, existing_servers, recorded
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.servers import LocalStack, ServerFailed, StackPaths
from steadyline.servers.procfs import kill_descendants
from steadyline.servers.state import (
    RunningStack,
    end,
    environment_file,
    read_state,
    remove_state,
)
from steadyline.service import EXIT_FAILED
from steadyline.stop_signals import stop_on_signals
from steadyline.terminal import PlainConsole

LOOK_AFTER = timedelta(seconds=1)
START_SECONDS = 240.0
STOP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class _Wish:
    home: Path
    fresh: bool
    as_json: bool

    @property
    def state(self) -> Path:
        """The record of the stack lies beside its home: var/stack.json for var/stack."""
        return self.home.with_suffix(".json")


def command(
    home: Annotated[Path, typer.Option(help="Folder of data, logs and process ids.")] = Path("var/stack"),
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Remove the topics and models of the last run first; by default they are there again.",
        ),
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start in the background and return.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the servers that run in this home and return.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
) -> None:
    """Run Kafka, Redis and Triton on free loopback ports until Ctrl-C.

    A server whose address is in the environment is used and not started. The addresses are written beside
    the home, as JSON and as variables for a shell.
    """
    wish = _Wish(home.resolve(), fresh, as_json)
    console = PlainConsole(stderr=as_json)
    if stop:
        _stop(wish, console)
    elif detach:
        _detach(wish, console)
    else:
        _run(wish, console)


def _run(wish: _Wish, console: PlainConsole) -> None:
    """Hold the stack until a signal comes or one of its servers ends."""
    _refuse_others(wish, read_state(wish.state))
    paths = StackPaths.of_checkout(wish.home, checkout())
    stack = LocalStack(paths, existing=existing_servers(), fresh=wish.fresh)
    clock = SystemClock()
    with ExitStack() as cleanup:
        stop = cleanup.enter_context(stop_on_signals(kill_descendants))
        console.print("starting Kafka, Redis and Triton")
        cleanup.callback(stack.stop)
        try:
            stack.start(stop)
        except ServerFailed:
            if stop.is_set():
                return
            raise
        logs = {str(name): str(server.log) for name, server in stack.servers.items()}
        running = RunningStack(os.getpid(), str(wish.home), logs, stack.addresses)
        cleanup.enter_context(recorded(wish.state, running))
        _show(running, wish, console)
        if not wish.as_json:
            console.print("Ctrl-C stops them")
        while not clock.wait(stop, LOOK_AFTER):
            stack.check()
        console.print("stopping")


def _detach(wish: _Wish, console: PlainConsole) -> None:
    """Start the same command in a session of its own and wait until it has written its record."""
    running = read_state(wish.state)
    _refuse_others(wish, running)
    if running is not None:
        console.print(f"runs already, as process {running.pid}")
        _show(running, wish, console)
        return
    log = wish.home.with_suffix(".log")
    log.unlink(missing_ok=True)
    options = ["--home", str(wish.home), *(["--fresh"] if wish.fresh else [])]
    child = ChildProcess(ChildCommand([sys.executable, "-P", "-m", "steadyline", "up", *options], log))
    console.print("starting Kafka, Redis and Triton in the background")
    running = _await(child, wish.state)
    if running is None:
        raise ServerFailed(
            f"the servers did not start; {log}:", *log.read_text(errors="replace").splitlines()
        )
    _show(running, wish, console)
    if not wish.as_json:
        console.print("`make down` stops them")


def _await(child: ChildProcess, state: Path) -> RunningStack | None:
    clock = SystemClock()
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline:
        running = read_state(state)
        if running is not None and running.pid == child.pid:
            return running
        if child.wait(0.1) is not None:
            return None
    child.stop(STOP_SECONDS)
    return None


def _stop(wish: _Wish, console: PlainConsole) -> None:
    running = read_state(wish.state)
    if running is None:
        remove_state(wish.state)
        _end_abandoned(wish, console)
        return
    _refuse_others(wish, running)
    if not end(running, STOP_SECONDS):
        console.print(f"process {running.pid} did not end within {STOP_SECONDS:.0f} s")
        raise typer.Exit(EXIT_FAILED)
    console.print(f"stopped (process {running.pid}); the data stays in {running.home}")


def _refuse_others(wish: _Wish, running: RunningStack | None) -> None:
    """Raise InvalidConfiguration where the record is of servers in another home, as those of a line are."""
    if running is not None and running.home != str(wish.home):
        raise InvalidConfiguration(
            f"{wish.state} is of the servers in {running.home}, which process {running.pid} runs (it may be "
            "`steadyline run`): end that, or give another --home"
        )


def _end_abandoned(wish: _Wish, console: PlainConsole) -> None:
    """Nobody holds the stack; servers that a killed holder has left behind are ended all the same."""
    if not wish.home.is_dir():
        console.print(f"nothing runs in {wish.home}")
        return
    ended = LocalStack(StackPaths.of_checkout(wish.home, Path())).end_orphans()
    console.print(f"ended what a killed run had left: {', '.join(ended)}" if ended else "nothing runs")


def _show(running: RunningStack, wish: _Wish, console: PlainConsole) -> None:
    if wish.as_json:
        print(json.dumps({"pid": running.pid, "home": running.home, **asdict(running.addresses)}, indent=2))
        return
    addresses = running.addresses
    table = Table("server", "address", "log")
    table.add_row("Kafka", addresses.kafka_bootstrap, running.logs.get("kafka", "not ours"))
    table.add_row("Redis", addresses.redis_url, running.logs.get("redis", "not ours"))
    table.add_row("Triton, gRPC", addresses.triton_grpc, running.logs.get("triton", "not ours"))
    if addresses.triton_http:
        table.add_row("Triton, HTTP", addresses.triton_http, "")
    console.print(table)
    console.print(f"for a shell: set -a; . {_short(environment_file(wish.state))}", soft_wrap=True)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
