"""Choose training frames from the stream: confident normals, quarantined, bounded, traceable. Pure.

Nobody can inject training frames through the camera or the store. A picture counts only while its digest is
the one in the score. A frame waits in quarantine; it is dropped when the camera shows a run of anomalous
frames close to it, or when a person labels it. Training sees a uniform sample of fixed size of what is left:
the ``size`` frames with the smallest hash of their id (bottom-k sampling: Cohen and Kaplan, PODC 2007), so
that reading the same scores again gives the same sample.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score

LEAST_P_VALUE = 0.2  # a normal is confident when a fifth of held-out normals look more anomalous
RUN_LENGTH = 2  # anomalous frames in a row that make a run; the false-alarm rate allows single ones
NEAR_FRAMES = 5  # frames before and after a run that are dropped with it


@dataclass(frozen=True, slots=True)
class Normal:
    """One confident normal and where it came from."""

    frame: str
    camera: str
    sequence: int
    captured_at: datetime
    picture_uri: str
    picture_sha256: str
    p_value: float
    model_version: int


@dataclass(slots=True)
class _Camera:
    """What is remembered of the latest frames of one camera."""

    epoch: int = 0
    anomalous: list[int] = field(default_factory=list)  # sequences since the last normal frame
    runs: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))  # ended or not yet


@dataclass(slots=True)
class Reservoir:
    """The quarantined and the admitted normals of one product."""

    size: int
    quarantine: timedelta
    dropped: dict[str, int] = field(default_factory=dict)  # reason word → frames
    _waiting: dict[str, Normal] = field(default_factory=dict)
    _admitted: dict[str, Normal] = field(default_factory=dict)
    _cameras: dict[str, _Camera] = field(default_factory=dict)
    _labelled: set[str] = field(default_factory=set)

    def offer(self, score: Score) -> None:
        """Take note of a score; the scores of a camera must come in order."""
        identity = FrameId.parse(score.frame)
        camera = self._cameras.setdefault(score.camera, _Camera())
        if identity.epoch != camera.epoch:
            camera.epoch, camera.anomalous, camera.runs = identity.epoch, [], deque(maxlen=64)
        if score.verdict == "anomalous":
            self._note_anomalous(score.camera, camera, identity.sequence)
            return
        camera.anomalous.clear()
        if score.picture_uri is None or score.picture_sha256 is None:
            return  # its picture was not kept, or an older scorer does not say which one was
        if score.p_value < LEAST_P_VALUE or score.frame in self._labelled:
            return
        if any(identity.sequence - last <= NEAR_FRAMES for _, last in camera.runs):
            self._count("near_anomalous_run")
            return
        self._waiting[score.frame] = Normal(
            score.frame,
            score.camera,
            identity.sequence,
            score.captured_at,
            score.picture_uri,
            score.picture_sha256,
            score.p_value,
            score.model_version,
        )
        self._bound_waiting()

    def touch(self, frame: str) -> None:
        """Exclude a frame that a person labelled: it is never trained on as a normal, whatever the label."""
        self._labelled.add(frame)
        if self._waiting.pop(frame, None) or self._admitted.pop(frame, None):
            self._count("labelled")

    def admit(self, now: datetime) -> int:
        """Admit the frames that have been in quarantine long enough; return how many of them are new."""
        ready = [item for item in self._waiting.values() if now - item.captured_at >= self.quarantine]
        fresh = 0
        for item in ready:
            del self._waiting[item.frame]
            if item.frame not in self._admitted:
                self._admitted[item.frame] = item
                fresh += 1
        while len(self._admitted) > self.size:
            del self._admitted[max(self._admitted, key=_rank)]
            self._count("not_sampled")
        return fresh

    def normals(self) -> list[Normal]:
        """Return the admitted sample, ordered by frame id."""
        return [self._admitted[frame] for frame in sorted(self._admitted)]

    def newer_than(self, moment: datetime) -> int:
        """Return how many admitted frames left quarantine after ``moment``."""
        return sum(1 for item in self._admitted.values() if item.captured_at + self.quarantine > moment)

    @property
    def waiting(self) -> int:
        """The number of frames in quarantine."""
        return len(self._waiting)

    def _note_anomalous(self, name: str, camera: _Camera, sequence: int) -> None:
        camera.anomalous.append(sequence)
        if len(camera.anomalous) < RUN_LENGTH:
            return
        first = camera.anomalous[0]
        if camera.runs and camera.runs[-1][0] == first:
            camera.runs.pop()
        camera.runs.append((first, sequence))
        self._drop_near(name, camera.epoch, first, sequence)

    def _drop_near(self, camera: str, epoch: int, first: int, last: int) -> None:
        prefix = f"{camera}/{epoch}/"
        near = [
            item.frame
            for item in self._waiting.values()
            if item.frame.startswith(prefix) and first - NEAR_FRAMES <= item.sequence <= last + NEAR_FRAMES
        ]
        for frame in near:
            del self._waiting[frame]
            self._count("near_anomalous_run")

    def _bound_waiting(self) -> None:
        """Bound the quarantine by the same sampling: a long one of a fast line would grow without end."""
        if len(self._waiting) > 8 * self.size:
            del self._waiting[max(self._waiting, key=_rank)]
            self._count("not_sampled")

    def _count(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _rank(frame: str) -> int:
    return int.from_bytes(hashlib.sha256(frame.encode()).digest()[:8])
