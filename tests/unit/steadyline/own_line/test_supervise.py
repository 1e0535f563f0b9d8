"""Services that end by themselves, as real processes."""

import io
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steadyline.clock import ManualClock
from steadyline.own_line.services import Service, ServiceDied
from steadyline.own_line.supervise import PAUSE, Supervisor
from steadyline.terminal import PlainConsole
from tests.support.eventually import eventually

SOON = 30.0


class Rig:
    """A supervisor whose clock is moved by hand, and what it prints."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock, self.out, self.stop = ManualClock(), io.StringIO(), threading.Event()
        self.supervisor = Supervisor(self.clock, PlainConsole(file=self.out, width=300), self.stop)
        self._logs, self._folder = tmp_path / "logs", tmp_path

    def service(self, body: str) -> Callable[[], Service]:
        """Return what starts a module of one line as a service."""
        (self._folder / "a_service.py").write_text(body)
        return lambda: Service("a_service", [], {"PYTHONPATH": str(self._folder)}, self._logs)

    def look_until_ended(self) -> None:
        (service,) = self.supervisor.running
        eventually(lambda: service.poll() is not None, within=SOON)
        self.supervisor.look()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.supervisor.stop()


def test_a_service_that_ended_is_started_again_after_a_pause(rig: Rig) -> None:
    rig.supervisor.start("a", rig.service("import sys, time\ntime.sleep(0)\nsys.exit(3)"))
    rig.look_until_ended()
    assert "status 3" in rig.out.getvalue()
    assert rig.supervisor.running == []
    rig.supervisor.look()
    assert rig.supervisor.running == []
    rig.clock.advance(PAUSE)
    rig.supervisor.look()
    assert len(rig.supervisor.running) == 1


@pytest.mark.parametrize(("status", "is_started_again"), [(0, False), (3, True)])
def test_a_service_that_has_done_its_work_does_not_do_it_again(
    rig: Rig, status: int, is_started_again: bool
) -> None:
    rig.supervisor.start("a", rig.service(f"import sys\nsys.exit({status})"), "all is sent")
    rig.look_until_ended()
    rig.clock.advance(PAUSE * 10)
    rig.supervisor.look()
    assert bool(rig.supervisor.running) is is_started_again
    assert ("a has ended: all is sent" in rig.out.getvalue()) is not is_started_again


def test_wrong_settings_end_the_line_with_what_the_service_said(rig: Rig) -> None:
    rig.supervisor.start("a", rig.service("import sys\nprint('no such field', file=sys.stderr)\nsys.exit(2)"))
    with pytest.raises(ServiceDied, match="no such field"):
        rig.look_until_ended()


def test_what_ends_because_of_a_signal_to_all_is_not_started_again(rig: Rig) -> None:
    rig.supervisor.start("a", rig.service("import time\ntime.sleep(60)"))
    (service,) = rig.supervisor.running
    service.kill()
    rig.stop.set()
    rig.supervisor.look()
    rig.clock.advance(PAUSE)
    rig.supervisor.look()
    assert rig.out.getvalue() == ""
    assert service.poll() == -signal.SIGKILL
