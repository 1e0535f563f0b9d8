"""The producers process: all its cameras, their statuses, and an orderly stop."""

import threading
from collections.abc import Sequence
from datetime import timedelta

from producers.camera import Camera
from producers.delivery.connection import LazyPublisher
from steadyline.clock import Clock
from steadyline.service import ServiceTasks
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

_TURN = timedelta(milliseconds=200)  # a change of state is announced within this time
_LAST_TURN = timedelta(milliseconds=20)
_JOIN = timedelta(seconds=2)

log = get_logger(__name__)


class Producers:
    """Runs until every source has ended or ``stop`` is set."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        publisher: LazyPublisher,
        health: ServiceHealth,
        stop_within: timedelta,
        clock: Clock,
    ) -> None:
        self._cameras = cameras
        self._publisher = publisher
        self._health = health
        self._stop_within = stop_within
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Capture and publish; then flush, send the final statuses and close.

        Raises what ended a thread of a camera: Fatal, or a bug.
        """
        try:
            with ServiceTasks(stop, _JOIN) as tasks:
                for camera in self._cameras:
                    camera.start(stop, tasks)
                tasks.start("shared-prefix", self._look_for_other_lines, may_return=True)
                log.info("producers_started", cameras=[camera.id for camera in self._cameras])
                while not stop.is_set() and not self._turn(tasks):
                    self._clock.wait(stop, _TURN)
                stop.set()
                self._finish(tasks)
        finally:
            for camera in self._cameras:
                camera.close()
            self._publisher.close()
        log.info("producers_stopped")

    def _turn(self, tasks: ServiceTasks) -> bool:
        """Let each camera announce itself; True when all are finished. Raises what ended a thread."""
        tasks.check()
        self._health.beat()
        self._health.set_ready("broker", not self._publisher.problem, self._publisher.problem)
        for camera in self._cameras:
            camera.tick()
        return all(camera.is_finished for camera in self._cameras)

    def _look_for_other_lines(self, ended: threading.Event) -> None:
        """Look once the broker answers, beside the cameras: their buffers are short, and would overflow."""
        while not self._publisher.is_connected and not self._clock.wait(ended, _TURN):
            pass
        if self._publisher.is_connected:
            self._publisher.say_shared_prefix()

    def _finish(self, tasks: ServiceTasks) -> None:
        deadline = self._clock.monotonic() + self._stop_within.total_seconds()
        patience = threading.Event()
        while not self._turn(tasks) and self._clock.monotonic() < deadline:
            self._clock.wait(patience, _LAST_TURN)
