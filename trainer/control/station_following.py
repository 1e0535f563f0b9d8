"""Let the thresholds of a product's cameras follow the slow drift of their own scores, by steps that are
bounded, proven and announced.

The method and what it was measured on: docs/station.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from steadyline.clock import Clock
from steadyline.contracts.model_event import Calibration, Model, calibration_of
from steadyline.contracts.station import STREAM, Followed, Station
from steadyline.correction import IDENTITY, Correction
from steadyline.digest import sha256
from steadyline.errors import PackageRejected
from steadyline.line import WatchSection
from steadyline.station import correction_of
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.inbox import ProductInbox
from trainer.control.station_calibration import ScorePictures, StationRefused
from trainer.control.station_drift import (
    LEAST_HOURS,
    LEAST_SCORES,
    DriftStep,
    allowance,
    next_step,
    room,
)
from trainer.control.station_proof import Proof, ProofScores, measured
from trainer.data.score_trail import HOURS, TrailScore
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventTooLarge
from trainer.lifecycle.product_state import ProductState
from trainer.monitor.monitor import ModelMonitor

log = get_logger(__name__)

Outcome = Literal["moved", "holds", "too_few_scores", "too_few_hours", "detection_lost", "no_proof"]

_WINDOW = timedelta(hours=HOURS)


@dataclass(frozen=True, slots=True)
class CameraLook:
    """What a look at one camera found: the station that it is to have, and what is to be said of it."""

    outcome: Outcome
    said: str
    station: Station | None = None


class StationFollowing:
    """Follows the streams of one product's cameras, for the version in service."""

    def __init__(
        self, state: ProductState, monitor: ModelMonitor, settings: WatchSection, clock: Clock
    ) -> None:
        self._state, self._monitor, self._settings, self._clock = state, monitor, settings, clock
        self._look_at: float | None = None  # by the monotonic clock, which nobody sets back

    def turn(self, inbox: ProductInbox) -> None:
        """Look at every camera when that is due, and announce all steps as one.

        Raises Transient when Triton, the store or the bank is away; nothing is changed then.
        """
        live = self._state.event.live()
        if not self._settings.follow or live is None or not inbox.has_read_history or not self._is_due(live):
            return
        at = self._clock.now()
        proofs = _Proofs(self._monitor, live)
        looks = {
            camera: self._look(camera, live, seen, proofs)
            for camera, seen in inbox.recent_scores(at - _WINDOW).items()
        }
        self._announce(live, looks, at)
        self._look_at = self._clock.monotonic() + self._settings.follow_every.total_seconds()

    def _is_due(self, live: Model) -> bool:
        """Tell whether it is time to look; a process that has just begun goes by the event's last step."""
        if self._look_at is None:
            steps = [one.followed.at for one in live.stations.values() if one.followed is not None]
            every, rest = self._settings.follow_every, timedelta(0)
            if steps:
                rest = min(max(every - (self._clock.now() - max(steps)), rest), every)
            self._look_at = self._clock.monotonic() + rest.total_seconds()
        return self._clock.monotonic() >= self._look_at

    def _look(self, camera: str, live: Model, seen: Sequence[TrailScore], proofs: "_Proofs") -> CameraLook:
        trail = usable(seen, camera, live)
        if len(trail) < LEAST_SCORES:
            told = (
                f"{len(trail)} of the {len(seen)} kept are of its version and last order, and {LEAST_SCORES} "
                "needed; frames of incidents and of anomalous runs are not kept"
            )
            return CameraLook("too_few_scores", told)
        hours = len({one.hour for one in trail})
        if hours < LEAST_HOURS:
            return CameraLook("too_few_hours", f"they are of {hours} hours, and {LEAST_HOURS} are needed")
        calibration = calibration_of(camera, live.calibrations)
        known = live.stations.get(camera)
        step = next_step(
            [one.score for one in trail],
            calibration,
            known.threshold_shift if known else 0.0,
            self._allowed(calibration, known),
        )
        told = _told(step, trail)
        if not step.is_due:
            return CameraLook("holds", told)
        try:
            proof = proofs.of(correction_of(known) if known else IDENTITY).at(
                calibration.threshold, step.shift
            )
        except (PackageRejected, StationRefused) as error:
            return CameraLook("no_proof", f"it stays at {step.present:+.4g}, {error}")
        told = f"{told}; {_proven(proof)}"
        if step.shift > step.present and not proof.is_held:
            return CameraLook("detection_lost", f"it stays at {step.present:+.4g}; {told}")
        return CameraLook("moved", told, _moved(known, step, trail, proof, self._clock.now()))

    def _allowed(self, calibration: Calibration, known: Station | None) -> float:
        """Return how far a threshold may move now, by when the event says that it moved last."""
        since = self._settings.follow_every
        if known is not None:
            moved_at = known.followed.at if known.followed else known.at
            since = min(since, self._clock.now() - moved_at)
        return allowance(calibration, self._settings.follow_step, since)

    def _announce(self, live: Model, looks: dict[str, CameraLook], at: datetime) -> None:
        stations = {camera: look.station for camera, look in looks.items() if look.station is not None}
        notes = [
            f"{camera}: {look.outcome}: {look.said}"
            for camera, look in looks.items()
            if look.outcome == "moved"
            or (look.outcome in ("detection_lost", "no_proof") and not self._is_said(camera, look.outcome))
        ]
        failure = ""
        if notes:
            try:
                self._state.announce(
                    transitions.with_followed(self._state.event, live.version, stations, notes, at)
                )
            except EventTooLarge as error:
                log.error("threshold_not_followed", product=self._state.product, error=str(error))
                failure, stations = "event_too_large", {}
        for camera, look in looks.items():
            log.info(
                "threshold_looked_at",
                product=self._state.product,
                camera=camera,
                outcome=look.outcome,
                said=look.said,
            )
            outcome = failure if failure and look.outcome == "moved" else look.outcome
            metrics.FOLLOWING.add(product=self._state.product, outcome=outcome)
            self._export_shift(camera, live, stations.get(camera) or live.stations.get(camera))

    def _is_said(self, camera: str, outcome: str) -> bool:
        """Tell whether the newest note of a camera says so already: a look every few hours repeats itself."""
        begin = f"{transitions.FOLLOWING}{camera}: "
        told = [change for change in self._state.event.changes if change.reason.startswith(begin)]
        return bool(told) and told[-1].reason.startswith(f"{begin}{outcome}: ")

    def _export_shift(self, camera: str, live: Model, station: Station | None) -> None:
        unit = room(calibration_of(camera, live.calibrations))
        share = station.threshold_shift / unit if station and unit else 0.0
        metrics.THRESHOLD_SHIFT.set(share, product=self._state.product, camera=camera)


class _Proofs:
    """The scores that proofs stand on, asked for once in a round for all cameras with the same correction."""

    def __init__(self, monitor: ModelMonitor, live: Model) -> None:
        self._monitor, self._live = monitor, live
        self._known: dict[Correction, ProofScores] = {}

    def of(self, correction: Correction) -> ProofScores:
        """Return the scores behind a correction; raises StationRefused, PackageRejected, Transient."""
        if correction not in self._known:
            score = ScorePictures(self._monitor, self._live)
            self._known[correction] = measured(correction, self._monitor.held_out(), score)
        return self._known[correction]


def usable(seen: Sequence[TrailScore], camera: str, live: Model) -> list[TrailScore]:
    """Return the scores that the version in service gave since the camera's last order.

    A step of a threshold changes no raw score, so those of before it count as well.
    """
    since = live.ordered_since.get(camera, 1)
    return [
        one
        for one in seen
        if one.model_version == live.version and since <= one.threshold_version <= live.threshold_version
    ]


def _moved(
    known: Station | None, step: DriftStep, trail: Sequence[TrailScore], proof: Proof, at: datetime
) -> Station:
    """Return the station with its threshold one step on; an ordered correction stays as it is."""
    before = known.followed.shift if known and known.followed else 0.0
    figures = {name: round(value, 6) for name, value in (step.figures() | proof.figures()).items()}
    followed = Followed(
        shift=before + step.shift - step.present,
        wanted=step.wanted,
        scores=len(trail),
        first=trail[0].at,
        last=trail[-1].at,
        at=at,
        figures=figures,
    )
    if known is not None:
        return known.model_copy(update={"threshold_shift": step.shift, "followed": followed})
    return Station(
        kind="shift",
        gains=list(IDENTITY.gains),
        offsets=list(IDENTITY.offsets),
        threshold_shift=step.shift,
        pictures=0,
        pictures_digest=sha256(b""),
        at=at,
        who=STREAM,
        figures=figures,
        followed=followed,
    )


def _told(step: DriftStep, trail: Sequence[TrailScore]) -> str:
    return (
        f"threshold {step.present:+.4g} to {step.shift:+.4g}, {step.wanted:+.4g} wanted by {len(trail)} "
        f"scores since {trail[0].at:%Y-%m-%d %H:%M}, best explained with {step.defective:.0%} of them "
        f"defective; their lower half is {step.before:.3g} from the held-out normals, {step.after:.3g} "
        f"there, {step.margin:.3g} of that by chance"
    )


def _proven(proof: Proof) -> str:
    return (
        f"of {proof.anomalies} pseudo-anomalies {proof.found_before} are found at the training's threshold, "
        f"{proof.found_after} with it"
    )
