"""Test pictures beside their maps, for people: the highest defects, the missed ones and the false alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from steadyline.contracts.model_event import Calibration
from steadyline.glow import under_map
from steadyline.map_png import encode_map
from steadyline.picture import encode_png
from steadyline.picture_folder import printable
from steadyline.score_scale import ScoreScale
from trainer.arrays import Pictures
from trainer.data.mvtec import TestSet
from trainer.detector_protocol import Served
from trainer.evaluation.subject import Scores

SHOWN = 4  # pictures of each group
_SIDE = 192  # pixels that small pictures are enlarged to, so that an outline is thin beside a defect
_OUTLINE = (0, 190, 220)  # no colour of a map


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """One test picture: its file and kind, its score on the model's scale, where 0.5 is the threshold, and
    two PNGs of it: with the truth outlined, where that is known, and with its map over it.
    """

    name: str
    kind: str
    calibrated: float
    picture_png: bytes
    map_png: bytes


@dataclass(frozen=True, slots=True)
class Judging:
    """What turns scores into verdicts: the product's calibration; and whether the map is another detector's
    than the score, and so on a scale of its own.
    """

    calibration: Calibration
    is_pair: bool = False

    @property
    def scale(self) -> ScoreScale:
        """The scale of the scores."""
        return ScoreScale.of(self.calibration.scores, self.calibration.threshold)


def examples(
    module: Served, test: TestSet, clean: Scores, judging: Judging
) -> Mapping[str, Sequence[ShownPicture]]:
    """Return at most SHOWN pictures of each group, by what the group is and how many there are of it.

    ``clean`` (N,) are the scores of all pictures. Of what is missed the lowest scores come first.
    """
    is_above, is_bad = clean > judging.calibration.threshold, test.anomalous
    down = np.argsort(-clean, kind="stable")
    bad, good = int(is_bad.sum()), int((~is_bad).sum())
    found, missed, alarms = is_bad & is_above, is_bad & ~is_above, ~is_bad & is_above
    groups = {
        f"Defects found, the highest scores: {found.sum()} of {bad}": down[found[down]],
        f"Missed defects, the lowest scores: {missed.sum()} of {bad}": down[::-1][missed[down[::-1]]],
        f"False alarms, the highest scores: {alarms.sum()} of {good} good pictures": down[alarms[down]],
    }
    return {
        name: [_example(module, test, int(place), judging) for place in places[:SHOWN]]
        for name, places in groups.items()
    }


def _example(module: Served, test: TestSet, place: int, judging: Judging) -> ShownPicture:
    picture = test.pictures[place]
    with torch.inference_mode():
        scores, maps = module(torch.from_numpy(picture[None]))[:2]
    score, anomaly_map, scale = float(scores[0]), maps[0].numpy(), judging.scale
    kept = encode_map(anomaly_map, None if judging.is_pair else scale.on_map(anomaly_map, score))
    shown, mask = enlarged(picture), None if test.masks is None else enlarged(test.masks[place])
    return ShownPicture(
        name=printable(Path(test.names[place])),
        kind=printable(Path(test.kinds[place])),
        calibrated=scale.calibrated(score),
        picture_png=encode_png(_colour(shown) if mask is None else outlined(_colour(shown), mask)),
        map_png=encode_png(np.asarray(under_map(Image.fromarray(_colour(shown)), kept))),
    )


def enlarged(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a picture (H, W, …) with each pixel repeated, so that its longer side is about _SIDE or more."""
    times = max(1, round(_SIDE / max(picture.shape[:2])))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def outlined(picture: Pictures, mask: NDArray[np.generic]) -> Pictures:
    """Return a picture (H, W, 3) with the edge of a mask (H, W) in colour."""
    wide = np.pad(mask.astype(bool), 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    drawn = picture.copy()
    drawn[mask.astype(bool) & ~inner] = _OUTLINE
    return drawn


def _colour(picture: NDArray[np.generic]) -> Pictures:
    """Return a picture (H, W, C) with three channels."""
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)), np.uint8)
