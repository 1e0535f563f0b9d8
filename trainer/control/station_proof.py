"""The proof that a station's calibration costs no detection, on the pseudo-anomalies of the monitor."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadyline.correction import IDENTITY, Correction, corrected, uncorrected
from steadyline.station_choice import StationCandidate
from trainer.arrays import Pictures
from trainer.data.banks import HeldOutSet
from trainer.monitor.detection import highest_rate

MOST_PROOF = 256  # pseudo-anomalies that a calibration is proven on, and as many normals

ScoreAll = Callable[[Pictures], NDArray[np.float64]]  # (N, S, S, C) uint8 → (N,)


@dataclass(frozen=True, slots=True)
class Proof:
    """What held-out frames say of a candidate: how many pseudo-anomalies, and normals, are above the
    threshold as they are, and once they have gone through the station's light and the correction.
    """

    found_before: int
    found_after: int
    anomalies: int
    alarms_before: int
    alarms_after: int
    normals: int

    @property
    def is_held(self) -> bool:
        """True unless less is found than chance explains, by the monitor's confidence."""
        return highest_rate(self.found_after, self.anomalies) >= self.found_before / self.anomalies

    def figures(self) -> dict[str, float]:
        """Return the rates by their names in the event."""
        return {
            "detection_before": round(self.found_before / self.anomalies, 4),
            "detection_after": round(self.found_after / self.anomalies, 4),
            "false_alarms_before": round(self.alarms_before / self.normals, 4),
            "false_alarms_after": round(self.alarms_after / self.normals, 4),
        }


@dataclass(frozen=True, slots=True)
class ProofScores:
    """Scores of held-out pseudo-anomalies and normals, as they are and behind a correction."""

    anomalies_before: NDArray[np.float64]
    anomalies_after: NDArray[np.float64]
    normals_before: NDArray[np.float64]
    normals_after: NDArray[np.float64]

    def at(self, threshold: float, shift: float) -> Proof:
        """Return what they say of shifting ``threshold``, which is that of the training."""
        return Proof(
            int((self.anomalies_before > threshold).sum()),
            int((self.anomalies_after > threshold + shift).sum()),
            len(self.anomalies_before),
            int((self.normals_before > threshold).sum()),
            int((self.normals_after > threshold + shift).sum()),
            len(self.normals_before),
        )


def prove(taken: StationCandidate, known: HeldOutSet, threshold: float, score: ScoreAll) -> Proof:
    """Return what held-out frames say of a candidate at its threshold, for which ``threshold`` is shifted."""
    return measured(taken.correction, known, score).at(threshold, taken.threshold_shift)


def measured(correction: Correction, known: HeldOutSet, score: ScoreAll) -> ProofScores:
    """Return the scores of held-out frames, as they are and behind a correction.

    A frame goes through the inverse of the correction, as the camera would have taken it, and back: what the
    8 bits of a darker picture have lost is lost there too. Without a correction both are the frames
    themselves.
    """
    anomalies = known.anomalies[evenly(known.transforms, MOST_PROOF)]
    normals = known.normals[:MOST_PROOF]
    before = score(anomalies), score(normals)
    if correction == IDENTITY:
        return ProofScores(before[0], before[0], before[1], before[1])
    through = [corrected(correction, uncorrected(correction, one)) for one in (anomalies, normals)]
    return ProofScores(before[0], score(through[0]), before[1], score(through[1]))


def evenly(transforms: Sequence[str], most: int) -> list[int]:
    """Return the places of at most so many pseudo-anomalies, all transforms equally frequent, in order."""
    turns, seen = [], Counter[str]()
    for place, transform in enumerate(transforms):
        turns.append((seen[transform], place))
        seen[transform] += 1
    return sorted(place for _, place in sorted(turns)[:most])
