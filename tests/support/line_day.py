"""Frames, scores, letters and statuses written to a broker as the services write them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.score import Peak, Score
from steadyline.contracts.topics import Topics
from steadyline.errors import EmptyPicture, PoisonMessage
from steadyline.kafka.broker import Broker, Message, Partition
from steadyline.kafka.loop.dead_letter import dead_letter
from tests.support.eventually import eventually

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
EPOCH = int(START.timestamp()) * 10**9


@dataclass(slots=True)
class LineDay:
    """Writes what one camera and its scorer would write, one thing at a time."""

    broker: Broker
    topics: Topics
    camera: str = "east-1"
    epoch: int = EPOCH

    def publish(self, *messages: Message) -> None:
        """Write messages and wait for their acknowledgement."""
        publisher = self.broker.publisher("test")
        results: list[Exception | None] = []
        for message in messages:
            publisher.publish(message, results.append)
        assert publisher.flush(timedelta(seconds=20))
        publisher.close()
        assert results == [None] * len(messages)

    def frame(self, sequence: int, picture: bytes = b"\xff\xd8picture") -> Frame:
        """Return a frame of the camera."""
        identity = FrameId(self.camera, self.epoch, sequence)
        moment = START + timedelta(seconds=sequence)
        return Frame(identity, "cells-1", "cell", moment, "image/jpeg", picture)

    def message(self, sequence: int, picture: bytes = b"\xff\xd8picture") -> Message:
        """Return a frame as it is published."""
        frame = self.frame(sequence, picture)
        return Message(self.topics.frames.name, frame.key, frame.picture, frame.headers(), 0)

    def capture(self, *sequences: int) -> None:
        """Publish frames."""
        self.publish(*(self.message(sequence) for sequence in sequences))

    def score_message(self, sequence: int, offset: int, partition: int = 0) -> Message:
        """Return the score of a frame that was read at ``offset``."""
        moment = START + timedelta(seconds=sequence)
        score = Score(
            frame=f"{self.camera}/{self.epoch}/{sequence}",
            camera=self.camera,
            product="cell",
            captured_at=moment,
            scored_at=moment + timedelta(milliseconds=40),
            model_version=1,
            score=0.5,
            p_value=0.5,
            threshold=1.0,
            threshold_version=1,
            verdict="normal",
            peak=Peak(x=0.5, y=0.5, value=1.0),
            source_partition=partition,
            source_offset=offset,
        )
        headers = score.headers("cells-1", self.camera, moment)
        return Message(self.topics.scores.name, self.camera.encode(), score.encode(), headers, partition)

    def score(self, *places: tuple[int, int]) -> None:
        """Write scores of (sequence, offset on the frames topic), outside any group."""
        self.publish(*(self.score_message(sequence, offset) for sequence, offset in places))

    def refuse(self, *offsets: int, error: PoisonMessage | None = None) -> None:
        """Dead-letter the frames at these offsets of partition 0, as the loop does."""
        why = error or EmptyPicture("no bytes")
        frames = self.broker.reader("test").read(self.topics.frames.name)
        chosen = [record for record in frames if record.partition.number == 0 and record.offset in offsets]
        self.publish(*(dead_letter(record, why, self.topics.dead_letters.name) for record in chosen))

    def status(self, captured: int, pending: int = 0, drops: dict[int, str] | None = None) -> None:
        """Write the producer's account: every frame not dropped and not pending is published."""
        reasons = drops or {}
        counts: dict[str, int] = {}
        for reason in reasons.values():
            counts[reason] = counts.get(reason, 0) + 1
        status = CameraStatus(
            camera=self.camera,
            product="cell",
            epoch=self.epoch,
            at=START + timedelta(minutes=10),
            state="up",
            reason="capturing",
            sequence=captured,
            captured=captured,
            published=captured - pending - len(reasons),
            pending=pending,
            dropped=counts,
            dropped_sequences=[(sequence, sequence, reason) for sequence, reason in sorted(reasons.items())],
        )
        key = f"{self.camera}/{self.epoch}".encode()
        headers = status.headers("cells-1", key.decode(), status.at)
        self.publish(Message(self.topics.camera_status.name, key, status.encode(), headers))

    def commit(self, group: str, offset: int) -> None:
        """Let the group have consumed the frames before ``offset``."""
        partition = Partition(self.topics.frames.name, 0)
        worker = self.broker.worker(group, "test", [self.topics.frames.name])
        for _ in range(400):
            worker.poll(timedelta(milliseconds=50))
            worker.take_lost()
            if worker.commit([], {partition: offset}):
                break
        worker.close()
        # The commit is decided; its mark reaches the group's offsets a moment later.
        eventually(lambda: self.broker.committed_offsets(group).get(partition) == offset, 10, "the offset")
