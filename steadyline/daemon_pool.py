"""A pool of threads that keeps no process alive: a call that hangs in it can be left behind."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from typing_extensions import override

R = TypeVar("R")

_IDLE_SECONDS = 10.0  # an idle thread ends after this


class DaemonPool(Executor):
    """Runs calls on up to ``threads`` daemon threads, which start and end as they are needed.

    The standard pool's threads are waited for when the process ends, however long they hang.
    """

    def __init__(self, threads: int, name: str) -> None:
        self.limit, self.name = threads, name
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._unfinished = 0
        self._threads: set[threading.Thread] = set()
        self._is_closed = False

    @override
    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Queue a call; raises RuntimeError once the pool is closed."""
        future: Future[R] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the pool {self.name} is closed")
            self._calls.put(call)
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self.limit):
                thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                self._threads.add(thread)
                thread.start()
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with ``wait`` return once those under way are done, however long they hang."""
        with self._lock:
            self._is_closed = True
            if cancel_futures:
                self._drop_queued()
            self._calls.put(None)
            threads = tuple(self._threads)
        for thread in threads if wait else ():
            thread.join()

    def close(self, patience: float) -> bool:
        """Drop what is queued, give what is under way ``patience`` seconds; return False if a call hangs."""
        self.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            threads = tuple(self._threads)
        end = time.monotonic() + patience
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _drop_queued(self) -> None:
        while True:
            try:
                self._calls.get_nowait()
            except Empty:
                return

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call()
            del call  # an idle thread holds on to nothing
            with self._lock:
                self._unfinished -= 1

    def _next(self) -> Callable[[], None] | None:
        """Return the next call; None when this thread, which is forgotten then, is to end."""
        while True:
            try:
                call = self._calls.get(timeout=_IDLE_SECONDS)
            except Empty:
                call = None
            with self._lock:
                if call is None and not self._is_closed and not self._calls.empty():
                    continue
                if call is None:
                    self._threads.discard(threading.current_thread())
                    if self._is_closed:
                        self._calls.put(None)  # for the next thread
            return call
