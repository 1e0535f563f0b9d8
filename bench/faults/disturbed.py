"""Runs a service whose clock and store are as a file says: ``python -m bench.faults.disturbed FILE NAME …``.

The file holds a ``Disturbance`` as JSON and is read again and again, so that the clock jumps, and the store
becomes slow, while the service runs. The monotonic clock is never changed, as no administrator changes it.
"""

import json
import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fsspec.implementations.local import LocalFileSystem

import steadyline.store
from steadyline.clock import SystemClock
from steadyline.replace_file import replace_file

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Disturbance:
    """By how many seconds the wall clock is off, and how many seconds each call of the store takes longer."""

    clock: float = 0.0
    store: float = 0.0

    def write(self, path: Path) -> None:
        """Make this so for every service that reads the file."""
        replace_file(path, json.dumps(asdict(self)).encode())


class _Watched:
    """The disturbance in force, read from its file at most ten times a second."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_at, self._now = path, 0.0, Disturbance()

    def now(self) -> Disturbance:
        if time.monotonic() - self._read_at > LOOK_SECONDS:
            self._read_at = time.monotonic()
            self._now = Disturbance(**json.loads(self._path.read_text(encoding="utf-8")))
        return self._now


def shift_clock(watched: _Watched) -> None:
    """Let every way to ask for the time of day give the time of the disturbance."""
    seconds, nanoseconds, now = time.time, time.time_ns, SystemClock.now
    # gRPC hands deadlines as times of day to its own C code, whose clock is not shifted.
    channels: Any = import_module("grpc._channel")
    channels.time = SimpleNamespace(**{**vars(time), "time": seconds})

    def shifted(clock: SystemClock) -> datetime:
        return now(clock) + timedelta(seconds=watched.now().clock)

    time.time = lambda: seconds() + watched.now().clock
    time.time_ns = lambda: nanoseconds() + int(watched.now().clock * 1e9)
    SystemClock.now = shifted  # type: ignore[method-assign,assignment]


def slow_store(watched: _Watched) -> None:
    """Let every call to the files of a store in a folder wait first, for as long as the disturbance says."""

    def late(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def waiting(*arguments: Any, **named: Any) -> Any:
            began = time.monotonic()
            while time.monotonic() - began < watched.now().store:
                time.sleep(LOOK_SECONDS)
            return call(*arguments, **named)

        return waiting

    for name in ("_open", "info", "ls", "rm"):
        setattr(LocalFileSystem, name, late(getattr(LocalFileSystem, name)))
    steadyline.store.replace_file = late(replace_file)  # type: ignore[attr-defined]


def main() -> None:
    """Disturb, then run the service as ``python -m`` does."""
    watched = _Watched(Path(sys.argv[1]))
    shift_clock(watched)
    slow_store(watched)
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
