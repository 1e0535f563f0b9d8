"""The one way to run a process: its options, signals, telemetry, tasks on threads, errors and exit status."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

from steadyline.clock import Clock
from steadyline.errors import Fatal, InvalidConfiguration, SteadylineError, Transient
from steadyline.exit_guard import ExitGuard
from steadyline.settings import Settings, TelemetrySettings, read_settings
from steadyline.stop_signals import stop_on_signals
from steadyline.telemetry import telemetry
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import configure_logs, get_logger, is_configured
from steadyline.terminal import PlainConsole, styled

EXIT_OK = 0
EXIT_FAILED = 1  # a check or an audit found something wrong
EXIT_USAGE = 2  # the command line, the line file or the environment is wrong
EXIT_UNAVAILABLE = 3  # a server that must be there at start is not
EXIT_FATAL = 4  # a Fatal error ended the loop
# EXIT_HUNG of exit_guard, 5: it was told to end, and something hung
EXIT_BUG = 70  # anything else: EX_SOFTWARE of sysexits.h

STOP_WITHIN = timedelta(seconds=30)  # what a service has at a stop that has no setting for it
STOP_GRACE = timedelta(seconds=8)  # to close its connections and to send its last traces and metrics

LineFile = Annotated[Path, typer.Option("--line", envvar="STEADYLINE_LINE", help="Path of the line file.")]

# What a service does between its start and its end: it returns when the event is set.
ServiceBody = Callable[[threading.Event, ServiceHealth], None]
# What runs on a thread of its own: it returns when the event is set.
Task = Callable[[threading.Event], None]

log = get_logger(__name__)


def exit_status(error: BaseException) -> int:
    """Return the exit status of a process that an error ends; what is not foreseen is a bug."""
    known = ((InvalidConfiguration, EXIT_USAGE), (Transient, EXIT_UNAVAILABLE), (Fatal, EXIT_FATAL))
    return next((status for kind, status in known if isinstance(error, kind)), EXIT_BUG)


def service_application(name: str, purpose: str) -> typer.Typer:
    """Return the command line of a service, to which it adds ``run`` and ``config``."""
    return typer.Typer(
        name=name,
        help=purpose,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )


def config_command(*kinds: type[Settings]) -> Callable[[], None]:
    """Return the command ``config`` of a service that reads settings of these classes."""

    def config() -> None:
        """Print the effective settings, secrets hidden."""
        console = PlainConsole(soft_wrap=True)
        for settings in [read_settings(kind) for kind in kinds]:
            prefix = str(settings.model_config.get("env_prefix", ""))
            for name, value in settings:
                console.print(f"{prefix}{name}".upper() + f"={value}")

    return config


def run(application: typer.Typer, argv: Sequence[str] | None) -> int:
    """Run a command line and return its exit status; a verb ends otherwise than well by ``raise typer.Exit``.

    An error of ours becomes a clear line on stderr and a named status. Any other exception is a bug: it is
    logged once, as the event ``bug`` with its stack, and the status is 70.
    """
    try:
        application(args=None if argv is None else list(argv))
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else EXIT_OK
    except Exception as error:
        status = exit_status(error)
        if isinstance(error, SteadylineError) and status != EXIT_BUG:
            _print_error(error)
        else:
            _log_bug(str(application.info.name), error)
        return status
    return EXIT_OK


def run_service(
    name: str,
    settings: TelemetrySettings,
    clock: Clock,
    body: ServiceBody,
    stop_within: timedelta = STOP_WITHIN,
) -> None:
    """Run ``body`` with signals turned into its stop event, and with logs, traces, metrics and health.

    Called by a service's ``run`` command, below ``run`` of this module. What ends the body is logged before
    anything is torn down: an error of ours with its reason, then raised; a bug with its stack, then raised as
    the exit status 70. Import the service's metrics before: what is declared later is not exported.

    The body finishes its work ``stop_within`` this time once the event is set, and a process that has not
    ended STOP_GRACE later ends with the status 5, whatever hangs in it.
    """
    with (
        stop_on_signals() as stop,
        ExitGuard(stop, stop_within + STOP_GRACE),
        telemetry(name, settings, clock) as health,
    ):
        try:
            body(stop, health)
        except Exception as error:
            if isinstance(error, SteadylineError) and exit_status(error) != EXIT_BUG:
                log.error(f"{name}_ended", reason=error.reason, error=str(error))
                raise
            _log_bug(name, error)
            raise typer.Exit(EXIT_BUG) from error


class TaskReturned(Exception):
    """A task returned although nobody had told it to end; without it the service is not whole."""


@dataclass(frozen=True, slots=True)
class _RunningTask:
    thread: threading.Thread
    request_stop: Callable[[], None]


class ServiceTasks:
    """Named tasks on threads of their own, in a ``with`` block; the first failure ends all of them.

    ``stop`` is the service's own event. A task that fails sets it, so that the block, which waits for it or
    works until then, is left. At the end of the block every task is told to end and waited for, ``patience``
    for each (a daemon thread that hangs longer is left behind), without limit when it is None. Then the first
    failure is raised, whether of a task or of the block; each later one is logged with its stack.
    """

    def __init__(self, stop: threading.Event, patience: timedelta | None = None) -> None:
        self._stop, self._patience = stop, patience
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._running: list[_RunningTask] = []
        self._failure: BaseException | None = None

    def start(
        self,
        name: str,
        task: Task,
        *,
        request_stop: Callable[[], None] = lambda: None,
        may_return: bool = False,
    ) -> None:
        """Run ``task`` on a thread, with the event that tells it to end; to return before that is a failure.

        ``request_stop`` is for a task that looks at a flag of its own instead: it is called, on another
        thread, when all are to end. With ``may_return`` the task may end at any time. Safe from any thread.
        """
        thread = threading.Thread(target=self._run, args=(name, task, may_return), name=name, daemon=True)
        with self._lock:
            thread.start()
            self._running.append(_RunningTask(thread, request_stop))

    def check(self) -> None:
        """Raise the first failure, if there is one: for a block that must not finish its work after it."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "ServiceTasks":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._fail("main", error)
        self._ended.set()
        while running := self._take():
            for task in running:
                self._request(task)
            for task in running:
                task.thread.join(None if self._patience is None else self._patience.total_seconds())
                if task.thread.is_alive():
                    log.warning("task_left_running", task=task.thread.name)
        if self._failure is not None and self._failure is not error:
            raise self._failure

    def _run(self, name: str, task: Task, may_return: bool) -> None:
        try:
            try:
                task(self._ended)
            except SystemExit:  # a server's way to give up: it ends its own thread only
                may_return = False
            if not may_return and not self._ended.is_set():
                raise TaskReturned(f"the task {name} returned before it was told to end")
        except BaseException as error:
            self._fail(name, error)

    def _fail(self, name: str, error: BaseException) -> None:
        with self._lock:
            is_first = self._failure is None
            if is_first:
                self._failure = error
        if not is_first and error is not self._failure:
            log.error("task_failed", task=name, error=str(error), exc_info=error)
        self._stop.set()

    def _take(self) -> list[_RunningTask]:
        with self._lock:
            running, self._running = self._running, []
        return running

    def _request(self, task: _RunningTask) -> None:
        try:
            task.request_stop()
        except Exception as error:
            self._fail(task.thread.name, error)


def _print_error(error: SteadylineError) -> None:
    console = PlainConsole(stderr=True, soft_wrap=True)
    first, *others = error.lines or ("",)
    console.print(styled((error.reason, "red"), f": {first}"))
    for line in others:
        console.print(line)


def _log_bug(name: str, error: Exception) -> None:
    """Log what nobody foresaw; a command that has set up no logs, or failed before, gets them now."""
    if not is_configured():
        try:
            settings = read_settings(TelemetrySettings)
        except InvalidConfiguration:
            settings = TelemetrySettings.model_construct()
        configure_logs(name, settings)
    log.error("bug", error=str(error), exc_info=error)
