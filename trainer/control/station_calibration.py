"""Follow orders to calibrate a camera's station, and to take that back: found, proven and announced, or
refused.

The method and what it was measured on: docs/station.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, Model, calibration_of
from steadyline.contracts.station import STATION, Station, StationReference
from steadyline.correction import corrected
from steadyline.digest import sha256
from steadyline.errors import ContractBroken, PackageRejected
from steadyline.station import FEWEST_PICTURES, Reference, corrections
from steadyline.station_choice import StationCandidate, StationChoice, candidates_of, choose
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Pictures
from trainer.control.station_proof import Proof, prove
from trainer.data.station_pictures import StationPictures, StationPictureUnusable
from trainer.lifecycle import transitions
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.transitions import Step
from trainer.monitor.monitor import ModelMonitor

log = get_logger(__name__)


class StationRefused(Exception):
    """The order cannot be followed and nothing was changed; the message begins with a fixed word and says
    why.
    """


class StationCalibration:
    """Calibrates the stations of one product's cameras, for the version in service.

    ``cameras`` are those of the product, None where the line lists none.
    """

    def __init__(
        self,
        state: ProductState,
        pictures: StationPictures,
        monitor: ModelMonitor,
        cameras: frozenset[str] | None,
        clock: Clock,
    ) -> None:
        self._state, self._pictures, self._monitor = state, pictures, monitor
        self._cameras, self._clock = cameras, clock

    def calibrate(self, command: ModelCommand) -> None:
        """Find the calibration of a station by its pictures, and announce it, or what it would be.

        Raises StationRefused; Transient when Triton, the store or the bank is away: the order waits then.
        """
        camera, live = self._camera_of(command), self._live()
        shown = self._read(command, live)
        reference = reference_of(camera, live)
        calibration = calibration_of(camera, live.calibrations)
        choice = self._choose(live, reference, shown, calibration)
        taken = choice.chosen
        figures = {"distance_before": choice.before, "distance_after": choice.after, "margin": choice.margin}
        if taken.kind is None:
            self._holds_as_it_is(command, camera, _distances(choice))
            return
        try:
            proof = prove(taken, self._monitor.held_out(), calibration.threshold, self._scores_of(live))
        except PackageRejected as error:
            raise StationRefused(
                f"no_proof: there are no pseudo-anomalies to prove it on: {error}"
            ) from error
        told = f"{_sentence(taken)}; {_distances(choice)}; {_proven(proof)}"
        if not proof.is_held:
            raise StationRefused(f"detection_lost: {told}")
        station = Station(
            kind=taken.kind,
            gains=list(taken.correction.gains),
            offsets=list(taken.correction.offsets),
            slopes=list(taken.correction.slopes),
            threshold_shift=taken.threshold_shift,
            pictures=len(shown),
            pictures_digest=sha256("\n".join(command.pictures).encode()),
            at=self._clock.now(),
            who=command.who,
            figures={name: round(value, 6) for name, value in (figures | proof.figures()).items()},
        )
        self._announce(command, camera, station, told)

    def undo(self, command: ModelCommand) -> None:
        """Take the calibration of a station back; raises StationRefused when it has none."""
        camera, live = self._camera_of(command), self._live()
        if camera not in live.stations:
            raise StationRefused(
                f"not_calibrated: version {live.version} has no calibration of camera {camera}"
            )
        self._announce(command, camera, None, f"taken back: {_who(command)}")

    def _holds_as_it_is(self, command: ModelCommand, camera: str, distances: str) -> None:
        """Say so; a calibration from another day is taken back, since the pictures do not need it any
        more.
        """
        is_calibrated = camera in self._live().stations
        told = f"none is needed{', and the one it had is taken back' if is_calibrated else ''}: {distances}"
        self._announce(command, camera, None, told)

    def _announce(self, command: ModelCommand, camera: str, station: Station | None, told: str) -> None:
        """Announce what was found: a note of it in a trial, and where nothing changes."""
        live, now = self._live(), self._clock.now()
        reason = f"{STATION} {camera}: {'trial: ' if command.dry_run else ''}{told}"
        log.info("station_calibrated", product=self._state.product, camera=camera, said=reason)
        if command.dry_run or live.stations.get(camera) is station:
            self._state.announce(transitions.note(self._state.event, live.version, reason, now))
            return
        step = Step(live.version, live.state, reason, now)
        self._state.announce(transitions.with_station(self._state.event, camera, station, step))

    def _camera_of(self, command: ModelCommand) -> str:
        if command.camera is None:
            raise StationRefused("no_camera: which camera was not said")
        if self._cameras is not None and command.camera not in self._cameras:
            raise StationRefused(f"unknown_camera: {self._state.product} has no camera {command.camera}")
        return command.camera

    def _live(self) -> Model:
        live = self._state.event.live()
        if live is None:
            raise StationRefused(f"no_live_model: {self._state.product} has no model in service")
        return live

    def _read(self, command: ModelCommand, live: Model) -> Pictures:
        digests = list(dict.fromkeys(command.pictures))
        if len(digests) < FEWEST_PICTURES:
            raise StationRefused(
                f"too_few_pictures: {len(digests)} different ones, and at least {FEWEST_PICTURES} are "
                "needed, so that half of them may be defective"
            )
        try:
            return self._pictures.read(digests, live.grid, live.channels)
        except StationPictureUnusable as error:
            raise StationRefused(f"picture_unusable: {error}") from error

    def _choose(
        self, live: Model, reference: StationReference, shown: Pictures, calibration: Calibration
    ) -> StationChoice:
        found = corrections(Reference.of(reference), shown)
        score = self._scores_of(live)
        behind = [(kind, one, score(corrected(one, shown))) for kind, one in found.items()]
        candidates = candidates_of(score(shown), behind, calibration.scores)
        return choose(candidates, calibration.scores)

    def _scores_of(self, live: Model) -> "ScorePictures":
        return ScorePictures(self._monitor, live)


@dataclass(frozen=True, slots=True)
class ScorePictures:
    """The scores of the version in service, as Triton gives them."""

    monitor: ModelMonitor
    live: Model

    def __call__(self, pictures: Pictures) -> NDArray[np.float64]:
        """Return the scores (N,) of pictures (N, S, S, C); raises StationRefused when the model fails at
        them.
        """
        try:
            return self.monitor.scores_of(self.live, pictures).astype(np.float64)
        except ContractBroken as error:
            raise StationRefused(f"contract_broken: {error}") from error


def reference_of(camera: str, live: Model) -> StationReference:
    """Return what the normals of a camera looked like, or those of the product; raises StationRefused."""
    found = live.references.get(camera) or live.references.get(PRODUCT_WIDE)
    if found is None:
        raise StationRefused(
            f"no_reference: version {live.version} was trained by an earlier release, which kept nothing to "
            "compare with: order a training first (steadyline models retrain)"
        )
    return found


def _sentence(taken: StationCandidate) -> str:
    if taken.kind == "shift":
        return f"shift: threshold {taken.threshold_shift:+.4g}"
    correction = taken.correction
    gains = "/".join(f"{gain:.3g}" for gain in correction.gains)
    offsets = "/".join(f"{offset:+.3g}" for offset in correction.offsets)
    told = f"{taken.kind}: gain {gains}, offset {offsets}"
    if correction.slopes:
        told += f", gradient {correction.slopes[0]:+.2g} across {correction.slopes[1]:+.2g} down"
    return told


def _distances(choice: StationChoice) -> str:
    return (
        f"the lower half of the scores is {choice.before:.3g} from the held-out normals, {choice.after:.3g} "
        f"with it, {choice.margin:.3g} by chance"
    )


def _proven(proof: Proof) -> str:
    return (
        f"of {proof.anomalies} pseudo-anomalies {proof.found_before} are found without it, "
        f"{proof.found_after} with it"
    )


def _who(command: ModelCommand) -> str:
    return f"by {command.who}" + (f": {command.why}" if command.why else "")
