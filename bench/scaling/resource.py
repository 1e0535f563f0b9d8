"""Simulated time, and resources that serve what is asked of them in order."""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count

Act = Callable[[], None]


class SimulatedTime:
    """Runs what is planned, in the order of its time in seconds; what is planned for one time, as planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Act]] = []
        self._numbers = count()

    def at(self, when: float, act: Act) -> None:
        """Plan ``act`` for a time, which is not before now."""
        heapq.heappush(self._planned, (max(when, self.now), next(self._numbers), act))

    def after(self, seconds: float, act: Act) -> None:
        """Plan ``act`` for ``seconds`` from now."""
        self.at(self.now + seconds, act)

    def run(self, until: float) -> None:
        """Run all that is planned before ``until``."""
        while self._planned and self._planned[0][0] < until:
            self.now, _, act = heapq.heappop(self._planned)
            act()
        self.now = until


class Resource:
    """Cores, or a card: ``servers`` things are worked on at once, the rest waits in its order.

    Strangers come behind all others: a scheduler lets a process that wakes up, and works little, go first.
    """

    def __init__(self, time: SimulatedTime, servers: int) -> None:
        self._time, self._free = time, servers
        self._waiting: deque[tuple[float, Act]] = deque()
        self._strangers: deque[tuple[float, Act]] = deque()
        self.busy_seconds = 0.0

    def use(self, seconds: float, then: Act) -> None:
        """Work for ``seconds`` as soon as a server is free, and call ``then`` afterwards."""
        self._waiting.append((seconds, then))
        self._begin()

    def use_by_a_stranger(self, seconds: float) -> None:
        """Work for ``seconds`` as soon as a server is free for which nobody else waits."""
        self._strangers.append((seconds, lambda: None))
        self._begin()

    def _begin(self) -> None:
        while self._free and (queue := self._waiting or self._strangers):
            seconds, then = queue.popleft()
            self._free -= 1
            self.busy_seconds += seconds
            self._time.after(seconds, lambda then=then: self._end(then))  # type: ignore[misc]

    def _end(self, then: Act) -> None:
        self._free += 1
        then()
        self._begin()
