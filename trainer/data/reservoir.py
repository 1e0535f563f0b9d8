"""Choose training frames from the stream: confident normals, quarantined, bounded, traceable. Pure.

Nobody trains the line by feeding it. A picture counts only while its digest is the one in the score. A frame
waits in quarantine, by the broker's clock and never by a camera's, and is admitted when the scores of its
camera have been read past the end of that time; a run of anomalous frames close to it takes it out, before
and after. Time passes only as scores are read, so that reading the same scores again gives the same sample.

Training sees a sample of fixed size: of each camera and day the frames with the smallest ranks (bottom-k
sampling: Cohen and Kaplan, PODC 2007), as many of each as the others leave room for. A rank is an HMAC of the
frame's id under a key that no writer of the topics or of the store knows, so nobody can choose ids that win.

People come before scores: a frame that is labelled a defect, or that lies within an incident, is not taken,
and leaves when that becomes known later; one that is labelled good is taken whatever its score. It then sits
out its quarantine and counts in its camera's share as any other.
"""

import hmac
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score
from trainer.data.incident_spans import IncidentSpans
from trainer.data.labels import Label, LabelBook
from trainer.data.lowest_ranks import LowestRanks
from trainer.data.reservoir_day import ReservoirDay
from trainer.data.score_trail import ScoreTrail, TrailScore
from trainer.data.sightings import FrameSightings, Normal, Sighting

LEAST_P_VALUE = 0.2  # a normal is confident when a fifth of held-out normals look more anomalous
RUN_LENGTH = 2  # anomalous frames in a row that make a run; the false-alarm rate allows single ones
NEAR_FRAMES = 5  # frames before and after an anomalous frame of a run that are dropped with it
DAYS_TO_FILL = 7  # one camera gives no more of the sample in a day than it takes to fill it in so many
SPARE = 4  # so many times the quota of a camera's day may wait, lest a run leaves the day short
MOST_CAMERAS = 64  # of a line file that lists none: their names then come from the wire
MOST_EPOCHS = 8  # of one camera whose runs are remembered
MOST_REMEMBERED = 64  # anomalous frames of runs, of one epoch
UNSURE = "unsure"  # a frame that is only just normal, or not even that, is passed over without a word


@dataclass(frozen=True, slots=True)
class ReservoirRules:
    """What a reservoir goes by: how many frames it gives, how long they wait and when they are too old.

    ``key`` is known to the trainer alone. ``is_own_picture`` tells whether the picture that a score names is
    the evidence of its own frame. ``cameras`` are those of the product, None when the line file lists none.
    """

    size: int
    quarantine: timedelta
    keep: timedelta
    key: bytes
    is_own_picture: Callable[[Score], bool]
    cameras: frozenset[str] | None = None

    @property
    def quota(self) -> int:
        """How many frames of one camera's day may be in the sample."""
        return -(-self.size // DAYS_TO_FILL)

    def rank(self, name: str) -> int:
        """Return a number that only the holder of the key can foresee."""
        return int.from_bytes(hmac.digest(self.key, name.encode(), "sha256")[:8])


@dataclass(slots=True)
class _Epoch:
    """What is remembered of one run of a producer."""

    streak: list[int] = field(default_factory=list)  # the first anomalous frame since a normal one, the last
    anomalous: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))  # frames of runs

    def is_near(self, sequence: int) -> bool:
        return any(abs(sequence - other) <= NEAR_FRAMES for other in self.anomalous)


@dataclass(slots=True)
class _Camera:
    """One camera on one partition; ``read_until`` is the broker's time up to which its scores are read."""

    read_until: datetime
    epochs: OrderedDict[int, _Epoch] = field(default_factory=OrderedDict)
    days: dict[int, ReservoirDay] = field(default_factory=dict)

    def epoch(self, number: int) -> _Epoch:
        """Return the memory of an epoch; the one that was longest without a score gives way."""
        known = self.epochs.setdefault(number, _Epoch())
        self.epochs.move_to_end(number)
        if len(self.epochs) > MOST_EPOCHS:
            self.epochs.popitem(last=False)
        return known


class Reservoir:
    """The quarantined and the admitted normals of one product."""

    def __init__(self, rules: ReservoirRules) -> None:
        self._rules = rules
        self._cameras: dict[tuple[int, str], _Camera] = {}
        self._sightings, self._newest_day = FrameSightings(), 0
        self.labels, self.spans, self._trail = LabelBook(), IncidentSpans(), ScoreTrail(rules.rank)
        self.dropped: dict[str, int] = {}  # reason word → frames

    def offer(self, score: Score, partition: int, at: datetime) -> None:
        """Take note of the score that was read from ``partition``, where the broker wrote it ``at``.

        The scores of a camera must come in order. Raises PoisonMessage when the score names no frame.
        """
        identity = FrameId.parse(score.frame)
        camera = self._camera(partition, identity.camera, at)
        if camera is None or score.camera != identity.camera:
            self._count("unknown_camera")
            return
        camera.read_until = max(at, camera.read_until)  # a broker's clock that was set back stands still
        self._end_quarantines(camera)
        self._age(camera.read_until)
        epoch = camera.epoch(identity.epoch)
        if score.verdict == "anomalous":
            self._note_anomalous(camera, epoch, identity)
        else:
            epoch.streak.clear()
        self._keep_on_trail(camera, identity, score)
        seen = self._seen(score, identity, partition, camera.read_until)
        if seen is not None:
            self._sightings.remember(seen, is_labelled=self.labels.of(score.frame) is not None)
            reason = self._take(camera, seen)
            if reason not in (None, UNSURE):
                self._count(str(reason))

    def label(self, label: Label) -> None:
        """Take note of what somebody has said of a frame, whose score may have been read or not."""
        seen = self.sighting(label.frame)
        self.labels.put(label)
        for camera in self._cameras_named(label.frame.camera):
            self._let_go_unless_wanted(camera, str(label.frame))
        if seen is None:
            return
        self._sightings.remember(seen, is_labelled=True)
        home = self._cameras.get((seen.partition, seen.frame.camera))
        if home is not None:
            self._take(home, seen)

    def incident(self, first: FrameId, last: FrameId) -> None:
        """Take note that an incident reaches from one frame of a camera to another."""
        if not self.spans.add(first, last):
            return
        for camera in self._cameras_named(first.camera):
            inside = [
                seen.normal.frame
                for day in camera.days.values()
                for held in (day.waiting, day.admitted)
                for seen in held
                if self.spans.holds(seen.frame)
            ]
            for frame in inside:
                self._let_go_unless_wanted(camera, frame)

    def sighting(self, frame: FrameId) -> Sighting | None:
        """Return what is known of the picture of a frame; None when nothing is, or no longer."""
        found = self._sightings.of(frame)
        if found is not None:
            return found
        name = str(frame)
        held = (
            day.waiting.get(name) or day.admitted.get(name)
            for camera in self._cameras_named(frame.camera)
            for day in camera.days.values()
        )
        return next((seen for seen in held if seen is not None), None)

    def normals(self) -> list[Normal]:
        """Return the admitted sample, ordered by frame id.

        Every camera's day gives its first frame, then its second, until the sample is full: whoever sends a
        thousand times as many frames gets no more of the sample.
        """
        by_day: dict[tuple[str, int], dict[str, Normal]] = {}
        for (_, name), camera in self._cameras.items():
            for number, day in camera.days.items():
                for seen in day.admitted:
                    by_day.setdefault((name, number), {})[seen.normal.frame] = seen.normal
        rank, turns = self._rules.rank, []
        for (name, number), found in by_day.items():
            ranked = sorted(found.values(), key=lambda normal: rank(normal.frame))[: self._rules.quota]
            turns += [(turn, rank(f"{name} {number} {turn}"), normal) for turn, normal in enumerate(ranked)]
        turns.sort(key=lambda entry: entry[:2])
        sample = {normal.frame: normal for _, _, normal in turns[: self._rules.size]}
        return [sample[frame] for frame in sorted(sample)]

    def newer_than(self, moment: datetime) -> int:
        """Return how many of the frames that training may draw from were admitted after ``moment``."""
        return sum(
            seen.normal.admitted_at is not None and seen.normal.admitted_at > moment
            for day in self._days()
            for seen in day.admitted
        )

    def recent_scores(self, since: datetime) -> dict[str, list[TrailScore]]:
        """Return of each camera the raw scores after ``since`` that nothing speaks against, one of each
        part.
        """
        return {
            camera: [seen for seen in self._trail.of(camera, since) if not self._is_spoilt(seen.frame)]
            for camera in self._trail.cameras()
        }

    @property
    def waiting(self) -> int:
        """The number of frames in quarantine."""
        return sum(len(day.waiting) for day in self._days())

    @property
    def admitted(self) -> int:
        """The number of admitted frames that the sample is drawn from, at most its size."""
        return min(self._rules.size, sum(len(day.admitted) for day in self._days()))

    def _days(self) -> Iterator[ReservoirDay]:
        return (day for camera in self._cameras.values() for day in camera.days.values())

    def _camera(self, partition: int, name: str, at: datetime) -> _Camera | None:
        known = self._cameras.get((partition, name))
        if known is not None:
            return known
        allowed = self._rules.cameras
        if len(self._cameras) >= MOST_CAMERAS if allowed is None else name not in allowed:
            return None
        return self._cameras.setdefault((partition, name), _Camera(at))

    def _cameras_named(self, name: str) -> Iterator[_Camera]:
        return (camera for (_, known), camera in self._cameras.items() if known == name)

    def _seen(self, score: Score, frame: FrameId, partition: int, at: datetime) -> Sighting | None:
        """Return the frame with its picture; None when none was kept or it is not the frame's own."""
        if score.picture_uri is None or score.picture_sha256 is None:
            return None  # its picture was not kept, or nobody says which one was
        confident = score.verdict == "normal" and score.p_value >= LEAST_P_VALUE
        if not self._rules.is_own_picture(score):
            if confident:
                self._count("foreign_picture")
            return None
        normal = Normal(
            score.frame,
            score.camera,
            score.captured_at,
            score.picture_uri,
            score.picture_sha256,
            score.model_version,
            at,
        )
        return Sighting(frame, partition, normal, confident, at)

    def _keep_on_trail(self, camera: _Camera, frame: FrameId, score: Score) -> None:
        epoch = camera.epochs.get(frame.epoch)
        if not math.isfinite(score.score):
            self._count("not_finite")
        elif not (epoch and epoch.is_near(frame.sequence)):
            name = score.frame if score.part is None else f"part {score.part}"
            versions = score.model_version, score.threshold_version
            self._trail.add(TrailScore(frame, name, score.score, *versions, camera.read_until))

    def _is_spoilt(self, frame: FrameId) -> bool:
        """Tell whether people, or an incident, say that a frame is none of a good part."""
        label = self.labels.of(str(frame))
        if label is None or label.label == "withdrawn":
            return self.spans.holds(frame)
        return label.label == "defect"

    def _take(self, camera: _Camera, seen: Sighting) -> str | None:
        """Let a frame wait unless what is known of it now speaks against it; return the word for that."""
        reason, label = self._against(camera, seen), self.labels.of(seen.normal.frame)
        if reason is not None:
            return reason
        if label is not None and self._unaided(camera, seen) is not None:
            seen = replace(seen, since=max(seen.since, label.at))  # what speaks against it may still come
        self._wait(camera, seen)
        return None

    def _against(self, camera: _Camera, seen: Sighting) -> str | None:
        """Return the word for what keeps a frame out; None when it may wait."""
        label = self.labels.of(seen.normal.frame)
        if label is not None and label.label == "defect":
            return "labelled_defect"
        if label is not None and label.label == "good":
            return None
        return self._unaided(camera, seen)

    def _unaided(self, camera: _Camera, seen: Sighting) -> str | None:
        """Return the word for what keeps a frame out of which nobody has said anything."""
        if self.spans.holds(seen.frame):
            return "in_incident"
        if not seen.confident:
            return UNSURE
        epoch = camera.epochs.get(seen.frame.epoch)
        return "near_anomalous_run" if epoch and epoch.is_near(seen.frame.sequence) else None

    def _let_go_unless_wanted(self, camera: _Camera, frame: str) -> None:
        """Take a frame out that is in and may not be there by what is known now."""
        for day in camera.days.values():
            seen = day.waiting.get(frame) or day.admitted.get(frame)
            reason = None if seen is None else self._against(camera, seen)
            if seen is not None and reason is not None:
                day.let_go(frame)
                self._count("label_withdrawn" if reason == UNSURE else reason)
                seen = replace(seen, normal=replace(seen.normal, admitted_at=None))
                self._sightings.remember(seen, is_labelled=self.labels.of(frame) is not None)

    def _wait(self, camera: _Camera, seen: Sighting) -> None:
        number, quota = seen.normal.at.toordinal(), self._rules.quota
        if number < self._newest_day - self._rules.keep.days:
            return
        day = camera.days.setdefault(number, ReservoirDay(LowestRanks(SPARE * quota), LowestRanks(quota)))
        if day.is_known(seen.normal.frame):
            return
        if day.wait(self._rules.rank(seen.normal.frame), seen) is not None:
            self._count("not_sampled")
        self._end_quarantines(camera)  # a quarantine of no time at all ends at once

    def _end_quarantines(self, camera: _Camera) -> None:
        until = camera.read_until - self._rules.quarantine
        for day in camera.days.values():
            while (seen := day.next_due(until)) is not None:
                normal = replace(seen.normal, admitted_at=camera.read_until)
                rank = self._rules.rank(normal.frame)
                if day.admitted.add(rank, normal.frame, replace(seen, normal=normal)) is not None:
                    self._count("not_sampled")

    def _age(self, now: datetime) -> None:
        """Let the days go that are too old, also those of cameras that have stopped."""
        if now.toordinal() <= self._newest_day:
            return
        self._newest_day = now.toordinal()
        oldest = self._newest_day - self._rules.keep.days
        for camera in self._cameras.values():
            for number in [number for number in camera.days if number < oldest]:
                gone = camera.days.pop(number)
                self._count("too_old", len(gone.admitted) + len(gone.waiting))

    def _note_anomalous(self, camera: _Camera, epoch: _Epoch, identity: FrameId) -> None:
        epoch.streak = [*epoch.streak[: RUN_LENGTH - 1], identity.sequence]
        if len(epoch.streak) < RUN_LENGTH:
            return
        fresh = [sequence for sequence in epoch.streak if sequence not in epoch.anomalous]
        epoch.anomalous.extend(fresh)
        for sequence in fresh:
            for near in range(sequence - NEAR_FRAMES, sequence + NEAR_FRAMES + 1):
                self._veto(camera, replace(identity, sequence=near))

    def _veto(self, camera: _Camera, frame: FrameId) -> None:
        self._trail.let_go(frame)
        label = self.labels.of(str(frame))
        if label is not None and label.label == "good":
            return
        for day in camera.days.values():
            if day.let_go(str(frame)):
                self._count("near_anomalous_run")

    def _count(self, reason: str, frames: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + frames
