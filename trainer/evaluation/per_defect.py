"""Shows which kinds of defects are found: the figures of each kind alone, against all good pictures."""

import numpy as np
from numpy.typing import NDArray

from trainer.data.mvtec import GOOD, TestSet
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import Maps, localisation
from trainer.evaluation.subject import Scores

KindFigures = dict[str, float]


def by_kind(test: TestSet, scores: Scores, maps: Maps | None) -> dict[str, KindFigures]:
    """Return, by kind of defect, how many ``pictures`` it has and its figures against the good pictures.

    ``scores`` (N,) belong to all pictures, ``maps`` (L, H, W) to the located ones. Kinds that have masks get
    pixel figures as well, with the number of ``defective_pixels``, because a kind of large defects dominates
    the figures of all kinds together.
    """
    kinds = np.array(test.kinds)
    found: dict[str, KindFigures] = {}
    for kind in sorted(set(test.kinds) - {GOOD}):
        chosen = (kinds == kind) | (kinds == GOOD)
        figures = {"image_auroc": auroc(scores[chosen], test.anomalous[chosen])}
        if maps is not None:
            figures |= _pixel(test, maps, chosen)
        rounded = {name: round(value, 4) for name, value in figures.items()}
        found[kind] = {"pictures": int((kinds == kind).sum()), **rounded}
    return found


def _pixel(test: TestSet, maps: Maps, chosen: NDArray[np.bool_]) -> KindFigures:
    assert test.masks is not None
    masks, own = test.masks[chosen & test.located], maps[chosen[test.located]]
    if not masks.any():
        return {}
    where = localisation(own, masks)
    return {
        "defective_pixels": int(masks.sum()),
        "pixel_auroc": where.auroc,
        "aupro": where.aupro,
        "ap": where.ap,
    }
