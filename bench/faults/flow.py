"""Watches the scores of a line as they come: how long none came, and when the line had caught up again."""

import threading
import time
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka.broker import Broker, Follower

POLL = timedelta(milliseconds=200)
LAG_SECONDS = 0.5


class FlowWatch:
    """Follows the scores and the lag of ``group`` in two threads until ``close``; an outage is waited out."""

    def __init__(self, broker: Broker, topics: Topics, group: str) -> None:
        self._broker, self._topics, self._group = broker, topics, group
        self._stop = threading.Event()
        self._scored: list[float] = []  # times of arrival
        self._lags: list[tuple[float, int]] = []
        self._threads = [
            threading.Thread(target=task, name=task.__name__, daemon=True)
            for task in (self._follow, self._measure)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def scored(self) -> int:
        """How many scores have come."""
        return len(self._scored)

    def lag(self) -> int | None:
        """Return the newest lag; None before the first one."""
        return self._lags[-1][1] if self._lags else None

    def first_score_after(self, moment: float) -> float | None:
        """Return the seconds from ``moment`` to the first score after it; None when none came."""
        return next((at - moment for at in self._scored if at > moment), None)

    def caught_up_after(self, moment: float, most: int) -> float | None:
        """Return the seconds from ``moment`` until a score came and the lag was at most ``most``, for good.

        None when the lag is larger now.
        """
        first = self.first_score_after(moment)
        if first is None or not self._lags or self._lags[-1][1] > most:
            return None
        behind = [at for at, lag in self._lags if at > moment and lag > most]
        return max([first, *(at + LAG_SECONDS - moment for at in behind[-1:])])

    def longest_gap(self, since: float) -> float:
        """Return the longest time in seconds without a score since a moment."""
        times = [since, *(at for at in self._scored if at > since), time.monotonic()]
        return max(after - before for before, after in pairwise(times))

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                follower = self._broker.follower("bench-flow", [self._topics.scores.name])
                with closing(follower):
                    self._take(follower)
            except ContractBroken:
                self._stop.wait(LAG_SECONDS)  # the topic is being made anew

    def _take(self, follower: Follower) -> None:
        seen = 0  # a follower that is made again begins at the beginning
        known = len(self._scored)
        while not self._stop.is_set():
            try:
                records = follower.poll(POLL)
            except BrokerUnavailable:
                self._stop.wait(LAG_SECONDS)
                continue
            now = time.monotonic()
            for _ in records:
                seen += 1
                if seen > known:
                    self._scored.append(now)

    def _measure(self) -> None:
        frames = self._topics.frames.name
        while not self._stop.wait(LAG_SECONDS):
            try:
                ends = self._broker.end_offsets([frames])
                committed = self._broker.committed_offsets(self._group)
            except (BrokerUnavailable, ContractBroken):
                continue
            lag = sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())
            self._lags.append((time.monotonic(), lag))
