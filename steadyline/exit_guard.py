"""Ends a process that does not end by itself: nothing that hangs may outlast the time it has for its stop."""

import os
import sys
import threading
import traceback
from datetime import timedelta
from pathlib import Path
from types import FrameType, TracebackType

from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

EXIT_HUNG = 5  # it was told to end and something hung
_TOP = 5  # frames of a thread that are told: the innermost ones only say that it waits


class ExitGuard:
    """In a ``with`` block: once ``stop`` is set the block must be left ``within`` that time.

    Otherwise the process says which threads it still has and what each is doing, and exits with EXIT_HUNG,
    whatever they wait for. ``stop`` is set at the end of the block.
    """

    def __init__(self, stop: threading.Event, within: timedelta) -> None:
        self._stop, self._within = stop, within
        self._is_over = threading.Event()

    def __enter__(self) -> "ExitGuard":
        threading.Thread(target=self._watch, name="exit-guard", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._stop.set()

    def _watch(self) -> None:
        self._stop.wait()
        if self._is_over.wait(self._within.total_seconds()):
            return
        log.error("exit_forced", seconds=self._within.total_seconds(), threads=running_threads())
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(EXIT_HUNG)


def running_threads() -> dict[str, str]:
    """Return the name of every other thread and the top of its stack, innermost first."""
    frames = sys._current_frames()
    threads = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    return {thread.name: _top(frames.get(thread.ident or 0)) for thread in threads}


def _top(frame: FrameType | None) -> str:
    summaries = reversed(traceback.extract_stack(frame)[-_TOP:]) if frame is not None else ()
    return " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in summaries)
