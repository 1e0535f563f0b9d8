"""Follow the topics of a running line and keep what the table and the summary need."""

import threading
from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steadyline.clock import SystemClock
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.demo.plan import CAMERAS, PRODUCT
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Broker, Record
from steadyline.kafka.messages import MessageFollower, Subscription, ignore_poison

POLL = timedelta(milliseconds=200)
LAG_EVERY_TURNS = 10


@dataclass(slots=True)
class ObservedMessages:
    """The messages of the demonstration's cameras and product so far; hold ``lock`` to read them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    scores: list[Score] = field(default_factory=list)
    statuses: dict[str, CameraStatus] = field(default_factory=dict)
    model: ModelEvent | None = None
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    recent: dict[str, deque[datetime]] = field(default_factory=dict)
    lag: int = 0

    def take_score(self, score: Score) -> None:
        """Add one score; one of another camera is nothing to the demonstration."""
        if score.camera not in CAMERAS:
            return
        self.scores.append(score)
        self.verdicts[score.camera, score.verdict] += 1
        self.recent.setdefault(score.camera, deque(maxlen=60)).append(score.scored_at)

    def rate(self, camera: str, now: datetime, window: timedelta = timedelta(seconds=5)) -> float:
        """Return the scores per second over the last ``window``."""
        times = self.recent.get(camera, deque())
        return sum(abs(now - moment) <= window for moment in times) / window.total_seconds()


class Observer:
    """Reads scores, camera status and model events in one thread until ``close``."""

    def __init__(self, broker: Broker, topics: Topics, group: str) -> None:
        self.seen = ObservedMessages()
        self._broker, self._topics, self._group = broker, topics, group
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-observer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        topics = self._topics
        subscriptions = (
            Subscription(topics.scores.name, Score, self._score, ignore_poison),
            Subscription(topics.camera_status.name, CameraStatus, self._status, ignore_poison),
            Subscription(topics.model_events.name, ModelEvent, self._event, ignore_poison),
        )
        names = [subscription.topic for subscription in subscriptions]
        messages = MessageFollower(
            lambda: self._broker.follower("demo-observer", names), subscriptions, SystemClock()
        )
        with closing(messages):
            turn = 0
            while not self._stop.is_set():
                if messages.turn(POLL, self._stop) is None and turn % LAG_EVERY_TURNS == 0:
                    self._read_lag()
                turn += 1

    def _score(self, record: Record, score: Score) -> None:
        with self.seen.lock:
            self.seen.take_score(score)

    def _status(self, record: Record, status: CameraStatus) -> None:
        with self.seen.lock:
            if status.camera in CAMERAS:
                self.seen.statuses[status.camera] = status

    def _event(self, record: Record, event: ModelEvent) -> None:
        with self.seen.lock:
            if event.product == PRODUCT:
                self.seen.model = event

    def _read_lag(self) -> None:
        frames = self._topics.frames.name
        try:
            ends = self._broker.end_offsets([frames])
            committed = self._broker.committed_offsets(self._group)
        except BrokerUnavailable:
            return  # it is asked again
        lag = sum(end - committed.get(partition, 0) for partition, end in ends.items())
        with self.seen.lock:
            self.seen.lag = lag
