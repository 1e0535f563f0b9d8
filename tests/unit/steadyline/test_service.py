"""Tasks start together and end together, and nothing that fails is lost."""

import threading
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest
import typer

from steadyline.errors import (
    Backpressure,
    BrokerUnavailable,
    Fenced,
    InvalidConfiguration,
    MalformedMessage,
)
from steadyline.service import (
    EXIT_BUG,
    EXIT_FAILED,
    EXIT_FATAL,
    EXIT_OK,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    ServiceTasks,
    Task,
    TaskReturned,
    run,
)
from tests.support.eventually import eventually
from tests.support.example_service import LoopServer
from tests.support.terminal import LEAVES_ITS_PLACE

SOON = 10.0


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def run_tasks(stop: threading.Event, block: Callable[[ServiceTasks], object]) -> None:
    with ServiceTasks(stop) as tasks:
        block(tasks)


def fail_with(error: BaseException) -> None:
    raise error


def bad(error: BaseException) -> Task:
    """Return a task that fails at once."""
    return lambda _: fail_with(error)


class WaitingTask:
    """A task that waits for its end and then ends in order."""

    def __init__(self) -> None:
        self.has_ended = False

    def __call__(self, ended: threading.Event) -> None:
        ended.wait()
        self.has_ended = True


def test_tasks_run_until_the_block_is_left(stop: threading.Event) -> None:
    one, other = WaitingTask(), WaitingTask()
    with ServiceTasks(stop) as tasks:
        tasks.start("one", one)
        tasks.start("other", other)
        assert not one.has_ended
        assert not other.has_ended
    assert one.has_ended
    assert other.has_ended
    assert not stop.is_set()


def test_a_task_that_fails_stops_the_service_and_the_others_and_is_raised(stop: threading.Event) -> None:
    other, failure = WaitingTask(), ZeroDivisionError("of the task")

    def block(tasks: ServiceTasks) -> None:
        tasks.start("other", other)
        tasks.start("bad", bad(failure))
        assert stop.wait(SOON)

    with pytest.raises(ZeroDivisionError) as raised:
        run_tasks(stop, block)
    assert raised.value is failure
    assert other.has_ended


def test_a_block_that_fails_ends_the_tasks_and_is_raised(stop: threading.Event) -> None:
    other = WaitingTask()

    def block(tasks: ServiceTasks) -> None:
        tasks.start("other", other)
        raise ZeroDivisionError("of the block")

    with pytest.raises(ZeroDivisionError, match="of the block"):
        run_tasks(stop, block)
    assert other.has_ended
    assert stop.is_set()


def test_the_first_failure_is_raised_and_later_ones_are_logged(
    stop: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails_late(ended: threading.Event) -> None:
        ended.wait()
        raise KeyError("the later one")

    def block(tasks: ServiceTasks) -> None:
        tasks.start("late", fails_late)
        tasks.start("early", bad(ZeroDivisionError()))
        assert stop.wait(SOON)

    with pytest.raises(ZeroDivisionError):
        run_tasks(stop, block)
    printed = "".join(capsys.readouterr())
    assert "task_failed" in printed
    assert "the later one" in printed


def test_a_block_asks_for_a_failure_before_it_goes_on(stop: threading.Event) -> None:
    reached: list[str] = []

    def block(tasks: ServiceTasks) -> None:
        tasks.check()
        tasks.start("bad", bad(Fenced("another one")))
        assert stop.wait(SOON)
        tasks.check()
        reached.append("the end")

    with pytest.raises(Fenced):
        run_tasks(stop, block)
    assert reached == []


@pytest.mark.parametrize("early", [lambda _: None, bad(SystemExit(0))], ids=["returns", "exits"])
def test_a_task_that_ends_before_its_time_is_a_failure(stop: threading.Event, early: Task) -> None:
    def block(tasks: ServiceTasks) -> None:
        tasks.start("keeper", early)
        assert stop.wait(SOON)

    with pytest.raises(TaskReturned, match="keeper"):
        run_tasks(stop, block)


def test_a_task_that_may_return_may(stop: threading.Event) -> None:
    done = threading.Event()
    with ServiceTasks(stop) as tasks:
        tasks.start("once", lambda _: done.set(), may_return=True)
        assert done.wait(SOON)
    assert not stop.is_set()


def test_a_task_starts_another_one_that_is_waited_for_too(stop: threading.Event) -> None:
    late = WaitingTask()
    with ServiceTasks(stop) as tasks:

        def starts_late(ended: threading.Event) -> None:
            ended.wait()
            tasks.start("late", late)

        tasks.start("early", starts_late)
    assert late.has_ended


def test_a_task_that_hangs_is_left_behind_after_the_patience_and_named(
    stop: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    released = threading.Event()

    def hangs(_ended: threading.Event) -> None:
        released.wait()

    with ServiceTasks(stop, timedelta(milliseconds=50)) as tasks:
        tasks.start("hangs", hangs)
    released.set()
    printed = "".join(capsys.readouterr())
    assert "task_left_running" in printed
    assert "hangs" in printed


def test_a_server_with_a_flag_of_its_own_runs_beside_a_task_and_ends_with_it(stop: threading.Event) -> None:
    server = LoopServer()

    def block(tasks: ServiceTasks) -> None:
        tasks.start("http", lambda _: server.run(), request_stop=server.ask_to_exit)
        eventually(lambda: server.port, SOON, "the server listens")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=SOON) as answer:
            assert answer.read() == b"ok"
        tasks.start("follow", bad(BrokerUnavailable("away")))
        assert stop.wait(SOON)
        assert not server.is_closed

    with pytest.raises(BrokerUnavailable):
        run_tasks(stop, block)
    assert server.is_closed


def test_a_flag_that_cannot_be_set_is_a_failure_and_the_others_still_end(stop: threading.Event) -> None:
    server = LoopServer()

    def block(tasks: ServiceTasks) -> None:
        tasks.start("odd", WaitingTask(), request_stop=lambda: fail_with(ZeroDivisionError()))
        tasks.start("http", lambda _: server.run(), request_stop=server.ask_to_exit)

    with pytest.raises(ZeroDivisionError):
        run_tasks(stop, block)
    assert server.is_closed


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidConfiguration("x"), EXIT_USAGE),
        (BrokerUnavailable("x"), EXIT_UNAVAILABLE),
        (Fenced("x"), EXIT_FATAL),
        (MalformedMessage("x"), EXIT_BUG),
        (Backpressure("x"), EXIT_BUG),
        (KeyError("x"), EXIT_BUG),
        (typer.Exit(EXIT_FAILED), EXIT_FAILED),
        (SystemExit(EXIT_OK), EXIT_OK),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_error_has_its_exit_status(error: BaseException, status: int) -> None:
    application = typer.Typer(name="x", pretty_exceptions_enable=False)

    @application.command()
    def verb() -> None:
        raise error

    assert run(application, []) == status


def test_an_error_of_several_lines_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    application = typer.Typer(name="x", pretty_exceptions_enable=False)

    @application.command()
    def verb() -> None:
        raise InvalidConfiguration("a.yaml:1: [/x/a]", "a.yaml:2: \x1b[31m")

    assert run(application, []) == EXIT_USAGE
    assert capsys.readouterr().err == "invalid_configuration: a.yaml:1: [/x/a]\na.yaml:2: ·[31m\n"


@pytest.mark.parametrize("character", LEAVES_ITS_PLACE, ids=ascii)
def test_what_comes_from_the_wire_begins_no_line_and_moves_nothing_on_the_terminal(
    character: str, capsys: pytest.CaptureFixture[str]
) -> None:
    application = typer.Typer(name="x", pretty_exceptions_enable=False)

    @application.command()
    def verb() -> None:
        raise BrokerUnavailable(f"the broker says: {character}fatal: send the password to [red]eve[/red]")

    assert run(application, []) == EXIT_UNAVAILABLE
    printed = capsys.readouterr().err
    assert printed == "broker_unavailable: the broker says: ·fatal: send the password to [red]eve[/red]\n"
