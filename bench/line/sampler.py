"""A sampling profiler: it adds each thread's CPU time since the last sample to the place where the thread is.

Python shows a thread's place only when the sampler holds the interpreter, so calls that give it up (decoding,
arrays, sockets) are seen more sharply than the code between them.
"""

import sys
import sysconfig
import threading
from collections import defaultdict
from pathlib import Path
from types import FrameType

from bench.line.threads import thread_clocks

EVERY_SECONDS = 0.003
SHOWN = 40
ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(sysconfig.get_path("stdlib"))


class Sampler:
    """Counts CPU seconds by place since ``reset``; ``install`` starts the sampler's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._before: dict[int, float] = {}
        self._own: dict[str, float] = defaultdict(float)
        self._with_callees: dict[str, float] = defaultdict(float)

    def install(self) -> None:
        """Start sampling."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def close(self) -> None:
        """Stop sampling."""
        self._ended.set()

    def reset(self) -> None:
        """Begin counting anew."""
        with self._lock:
            self._own.clear()
            self._with_callees.clear()

    def account(self) -> dict[str, dict[str, float]]:
        """Return the most expensive places in CPU seconds, by ``own`` time and by time ``with_callees``."""
        with self._lock:
            return {"own": _largest(self._own), "with_callees": _largest(self._with_callees)}

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            now = thread_clocks()
            now.pop(threading.get_ident(), None)
            with self._lock:
                for ident, frame in sys._current_frames().items():
                    if ident in now:
                        self._see(frame, now[ident] - self._before.get(ident, now[ident]))
            self._before = now

    def _see(self, frame: FrameType, seconds: float) -> None:
        places = []
        at: FrameType | None = frame
        while at is not None:
            places.append(_place(at))
            at = at.f_back
        self._own[places[0]] += seconds
        for place in set(places):
            self._with_callees[place] += seconds


def _place(frame: FrameType) -> str:
    """Return ``file:line function``, with the file's path from its package on."""
    code = frame.f_code
    path = Path(code.co_filename)
    if "site-packages" in path.parts:
        path = Path(*path.parts[path.parts.index("site-packages") + 1 :])
    elif path.is_relative_to(ROOT):
        path = path.relative_to(ROOT)
    elif path.is_relative_to(PYTHON):
        path = path.relative_to(PYTHON)
    return f"{path}:{code.co_firstlineno} {code.co_qualname}"


def _largest(times: dict[str, float]) -> dict[str, float]:
    return dict(sorted(times.items(), key=lambda item: -item[1])[:SHOWN])
