"""Takes what the topics bring to the trainer: commands for its controllers; for the reservoirs scores, what
people say of frames, and incidents.
"""

import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.contracts.feedback import Feedback
from steadyline.contracts.frame import FrameId
from steadyline.contracts.headers import check_event, require_key
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable, MalformedMessage, PoisonMessage, UnknownCamera
from steadyline.kafka.broker import Broker, Follower, Partition, Record
from steadyline.kafka.messages import MessageFollower, Subscription
from steadyline.kafka.model_events import EventSeal
from steadyline.kafka.shared_prefix import say_shared_prefix
from steadyline.line import Line
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.data.labels import Label
from trainer.data.normals import is_own_picture
from trainer.data.reservoir import Reservoir, ReservoirRules
from trainer.data.score_trail import TrailScore
from trainer.data.sightings import LabelledFrame, Normal
from trainer.lifecycle.event_log import newest_events
from trainer.lifecycle.transitions import answered_until

log = get_logger(__name__)

CLIENT = "trainer-intake"
OUTAGE_PAUSE = timedelta(milliseconds=250)
KEEP = timedelta(milliseconds=Topics().scores.retention_ms)  # a restarted trainer reads no older scores


def reservoir_rules(line: Line, product: str, key: bytes, store: Store) -> ReservoirRules:
    """Return what the reservoir of one product goes by."""
    cameras = frozenset(camera.id for camera in line.cameras if camera.product == product)
    retrain = line.products[product].retrain
    return ReservoirRules(
        retrain.reservoir,
        retrain.quarantine,
        KEEP,
        key,
        partial(is_own_picture, store, line),
        cameras if line.cameras else None,
    )


class ProductInbox:
    """One product's commands and reservoir: the reading thread fills them, the controller's uses them."""

    def __init__(self, product: str, rules: ReservoirRules) -> None:
        self._product, self._cameras, self._lock = product, rules.cameras, threading.Lock()
        self._commands: deque[tuple[int, ModelCommand]] = deque()
        self._reservoir = Reservoir(rules)
        self._has_read_history = threading.Event()
        self.commands_topic = ""  # the id of the topic that the offsets of the commands are of
        self._counted: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}

    @property
    def has_read_history(self) -> bool:
        """True once the reservoir has seen every score that was there at the start."""
        return self._has_read_history.is_set()

    def end_history(self) -> None:
        """Note that every command and score that was there at the start has been read."""
        self._has_read_history.set()

    def put_command(self, offset: int, command: ModelCommand) -> None:
        """Take a command from the topic."""
        with self._lock:
            self._commands.append((offset, command))

    def next_command(self) -> tuple[int, ModelCommand] | None:
        """Return the oldest unanswered command with its offset; it stays here until ``done_with``."""
        with self._lock:
            return self._commands[0] if self._commands else None

    def done_with(self, offset: int) -> None:
        """Forget the commands up to ``offset``."""
        with self._lock:
            while self._commands and self._commands[0][0] <= offset:
                self._commands.popleft()

    def put_score(self, record: Record, score: Score) -> None:
        """Show a score to the reservoir, with its place and the broker's time; raises PoisonMessage."""
        with self._lock:
            self._reservoir.offer(score, record.partition.number, _written_at(record))

    def put_feedback(self, record: Record, feedback: Feedback) -> None:
        """Take note of what somebody has said of a frame; raises PoisonMessage."""
        label = Label.of(feedback, _written_at(record))
        self._require_own(label.frame, feedback.camera)
        with self._lock:
            self._reservoir.label(label)

    def put_alert(self, alert: Alert) -> None:
        """Keep the frames of an incident of anomalous ones out of the reservoir; raises PoisonMessage."""
        if alert.kind != "anomaly":
            return
        if alert.anomaly is None or alert.camera is None:
            raise MalformedMessage(f"the incident {alert.incident} says nothing of its frames")
        first, last = FrameId.parse(alert.anomaly.first_frame), FrameId.parse(alert.anomaly.last_frame)
        for frame in (first, last):
            self._require_own(frame, alert.camera)
        with self._lock:
            self._reservoir.incident(first, last)

    def report(self) -> None:
        """Export how many frames wait, are admitted and were dropped."""
        with self._lock:
            waiting, admitted = self._reservoir.waiting, self._reservoir.admitted
            dropped = dict(self._reservoir.dropped)
            forgotten = {
                "label": self._reservoir.labels.forgotten,
                "incident": self._reservoir.spans.forgotten,
            }
        metrics.RESERVOIR.set(waiting, product=self._product, state="quarantined")
        metrics.RESERVOIR.set(admitted, product=self._product, state="admitted")
        for reason, count in dropped.items():
            metrics.RESERVOIR_DROPPED.add(
                count - self._counted.get(reason, 0), product=self._product, reason=reason
            )
        self._counted = dropped
        for kind, count in forgotten.items():
            metrics.JUDGEMENTS_FORGOTTEN.add(
                count - self._forgotten.get(kind, 0), product=self._product, kind=kind
            )
        self._forgotten = forgotten

    def normals(self) -> list[Normal]:
        """Return the admitted frames."""
        with self._lock:
            return self._reservoir.normals()

    def recent_scores(self, since: datetime) -> dict[str, list[TrailScore]]:
        """Return of each camera the raw scores after ``since`` that its threshold may follow."""
        with self._lock:
            return self._reservoir.recent_scores(since)

    def newer_than(self, moment: datetime) -> int:
        """Return how many frames were admitted after ``moment``."""
        with self._lock:
            return self._reservoir.newer_than(moment)

    def newer_labels_than(self, moment: datetime) -> int:
        """Return how many frames were labelled after ``moment``."""
        with self._lock:
            return self._reservoir.labels.newer_than(moment)

    @property
    def labels_revision(self) -> int:
        """A number that grows with each label that is read."""
        return self._reservoir.labels.revision

    def labelled(self) -> list[LabelledFrame]:
        """Return every frame with a label, those taken back included, and its picture where it is known."""
        with self._lock:
            found = [(label, self._reservoir.sighting(label.frame)) for label in self._reservoir.labels.all()]
        return [LabelledFrame(label, None if seen is None else seen.normal) for label, seen in found]

    def _require_own(self, frame: FrameId, camera: str) -> None:
        if frame.camera != camera:
            raise MalformedMessage(f"the frame {frame} is not of the camera {camera}")
        if self._cameras is not None and camera not in self._cameras:
            raise UnknownCamera(f"{self._product} has no camera {camera}")


class InboxDispatcher:
    """Hands what the topics bring to the inboxes of their products; it is used from one thread.

    Commands are read from the first that may be unanswered. All else is read from the beginning: sampling by
    rank gives the same reservoir every time, and no label or incident is forgotten by a restart.
    """

    def __init__(
        self,
        broker: Broker,
        line: Line,
        inboxes: Mapping[str, ProductInbox],
        seal: EventSeal,
        clock: Clock,
    ) -> None:
        self._broker, self._line, self._inboxes, self._seal = broker, line.line, inboxes, seal
        self._clock = clock
        topics = self._topics = line.kafka_topics()
        subscriptions = (
            Subscription(topics.model_commands.name, ModelCommand, self._command, _unreadable_command),
            Subscription(topics.scores.name, Score, self._score, _unreadable_score),
            Subscription(topics.feedback.name, Feedback, self._feedback, _unreadable_judgement),
            Subscription(topics.alerts.name, Alert, self._alert, _unreadable_judgement),
        )
        self._messages = MessageFollower(self._follower, subscriptions, clock, OUTAGE_PAUSE)
        self.has_read_history = False

    def turn(self, wait: timedelta, stop: threading.Event) -> BrokerUnavailable | None:
        """Hand on what comes within ``wait``; return the broker's error, or None when the broker answered."""
        outage = self._messages.turn(wait, stop)
        if not self.has_read_history and self._messages.is_at_end():
            self.has_read_history = True
            for inbox in self._inboxes.values():
                inbox.end_history()
            log.info("history_read")
        return outage

    def close(self) -> None:
        """Close the connections; it never hangs."""
        self._messages.close()

    def _follower(self) -> Follower:
        topics = self._topics
        commands = topics.model_commands.name
        topic = self._broker.topic_ids([commands]).get(commands, "")
        for inbox in self._inboxes.values():
            inbox.commands_topic = topic
        start = {Partition(commands, 0): self._answered_until(topic)}
        followed = [commands, topics.scores.name, topics.feedback.name, topics.alerts.name]
        follower = self._broker.follower(CLIENT, followed, start)
        say_shared_prefix(self._broker, self._topics, self._line, self._clock)
        return follower

    def _answered_until(self, topic: str) -> int:
        """Return the offset before which the commands of all products are answered."""
        reader = self._broker.reader(CLIENT)
        try:
            events = newest_events(reader, self._topics.model_events.name, self._inboxes, self._seal)
        finally:
            reader.close()
        until = {product: answered_until(event, topic) for product, event in events.items()}
        return min((until.get(product, 0) for product in self._inboxes), default=0)

    def _command(self, record: Record, command: ModelCommand) -> None:
        check_event(record.headers, record.key, ModelCommand.TYPE, self._line)
        require_key(record.key, command.product)
        self._inbox_of(command.product).put_command(record.offset, command)

    def _score(self, record: Record, score: Score) -> None:
        inbox = self._inboxes.get(score.product)
        if inbox is None:
            return
        if record.key != score.camera.encode():
            raise MalformedMessage(f"the key of a score of camera {score.camera} is {record.key!r:.80}")
        if score.source_partition != record.partition.number:
            raise MalformedMessage(
                f"a score of a frame on partition {score.source_partition} is on {record.partition.number}, "
                "where the scores that speak against it are not"
            )
        inbox.put_score(record, score)

    def _feedback(self, record: Record, feedback: Feedback) -> None:
        check_event(record.headers, record.key, Feedback.TYPE, self._line)
        require_key(record.key, feedback.frame)
        self._inbox_of(feedback.product).put_feedback(record, feedback)

    def _alert(self, record: Record, alert: Alert) -> None:
        check_event(record.headers, record.key, Alert.TYPE, self._line)
        require_key(record.key, alert.incident)
        if alert.product is not None:
            self._inbox_of(alert.product).put_alert(alert)

    def _inbox_of(self, product: str) -> ProductInbox:
        inbox = self._inboxes.get(product)
        if inbox is None:
            raise MalformedMessage(f"the line has no product {product!r}")
        return inbox


def _written_at(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)


def _unreadable_command(record: Record, error: PoisonMessage) -> None:
    metrics.COMMANDS_PASSED_OVER.add(reason=error.reason)
    log.error("unreadable_command", offset=record.offset, reason=error.reason, error=str(error))


def _unreadable_score(record: Record, error: PoisonMessage) -> None:
    metrics.SCORES_REFUSED.add(reason=error.reason)
    log.error(
        "unreadable_score",
        partition=record.partition.number,
        offset=record.offset,
        reason=error.reason,
        error=str(error),
    )


def _unreadable_judgement(record: Record, error: PoisonMessage) -> None:
    topic = record.partition.topic
    kind = "feedback" if topic.endswith(Topics().feedback.name) else "alert"
    metrics.JUDGEMENTS_REFUSED.add(kind=kind, reason=error.reason)
    log.error(f"unreadable_{kind}", offset=record.offset, reason=error.reason, error=str(error))
