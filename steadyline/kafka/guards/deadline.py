"""A thread on which calls of the client run, so that one which never returns is noticed and binds nobody."""

from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import TypeVar

from steadyline.daemon_pool import DaemonPool
from steadyline.errors import ContractBroken

T = TypeVar("T")

# Far above what any call needs whose broker is away; a service is not live after half of it.
CALL_DEADLINE = timedelta(seconds=60)


class CallThread:
    """Runs calls one after the other, no two at once, for an owner that makes them from one thread.

    A call that does not return within ``deadline`` raises ContractBroken, which ends the process, and so does
    every later one: the thread cannot be stopped, and what it does to the client can no longer be known.
    """

    def __init__(self, name: str, deadline: timedelta = CALL_DEADLINE) -> None:
        self._name, self._deadline = name, deadline
        self._pool = DaemonPool(1, f"calls-{name}")
        self.is_hung = False

    def call(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, or raise what it raises."""
        if not self.is_hung:
            answer = self._pool.submit(call)
            try:
                return answer.result(self._deadline.total_seconds())
            except FutureTimeout:
                if answer.done():
                    raise
                self.is_hung = True
        raise ContractBroken(
            f"the Kafka client of {self._name} has not returned from a call within "
            f"{self._deadline.total_seconds():g} s and never will: start the process again"
        )

    def close(self) -> None:
        """Let the thread end behind its last call; this never waits."""
        self._pool.shutdown(wait=False)
