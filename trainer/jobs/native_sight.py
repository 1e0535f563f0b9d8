"""Does a model see defects made at the camera's own pixels? What its grid averages away it cannot.

The figures of the gate come from pseudo-anomalies at the model's input: of a defect that the resize hides
they know nothing, and a model at too coarse a grid passes them. These are drawn into held-out normals as the
camera took them, and go the way of a frame.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.grid import Grid
from steadyline.picture import Channels
from steadyline.prepare import prepare
from trainer.arrays import Pictures
from trainer.data.drawn_pairs import DrawnPair, DrawnPairs
from trainer.data.mvtec import decode_native
from trainer.data.snapshot import Snapshot
from trainer.evaluation.auroc import auroc
from trainer.jobs.export import OnnxModel
from trainer.pseudo.native import LEAST_WINDOW, native_defects
from trainer.sight import LEAST_DEFECTS, Sight, raised_share

MOST_PICTURES = 96
MOST_BYTES = 256 << 20  # of them, decoded: of very large frames there are fewer
DRAWS = 3  # defects in each picture
NATIVE_AUROC, NATIVE_FOUND = "native_auroc", "native_found"
NATIVE_RAISED, NATIVE_DEFECTS = "native_raised", "native_defects"

ReadUri = Callable[[str], bytes]


def drawn_pairs(snapshot: Snapshot, channels: Channels, read: ReadUri, seed: int) -> DrawnPairs:
    """Return DRAWS defects in each held-out normal that ``read`` still has as its camera took it.

    The same pictures and the same seed give the same defects.
    """
    natives = held_out_natives(snapshot, channels, read)
    places, pictures = list(natives), list(natives.values())
    height, width, depth = snapshot.pictures.shape[1:]
    pairs = []
    for draw in range(DRAWS):
        for defect in native_defects(pictures, None, seed + draw):
            normal = places[defect.source]
            after = prepare(defect.picture, Grid(height, width), channels)
            pairs.append(DrawnPair.of(normal, snapshot.pictures[normal], after))
    return DrawnPairs.of((height, width, depth), pairs)


def held_out_natives(snapshot: Snapshot, channels: Channels, read: ReadUri) -> dict[int, Pictures]:
    """Return held-out normals (H, W, C) as the camera took them, evenly drawn, by their place in the
    snapshot; those that ``read`` still has.

    Only what gives the very input that the snapshot holds counts: who writes the store could put other
    pictures in their place. Nothing is drawn into a picture that is smaller than a window. ``read`` raises
    InvalidConfiguration or OSError for a picture that it cannot have, StoreUnavailable when nobody answers.
    """
    grid, places = Grid(*snapshot.pictures.shape[1:3]), np.flatnonzero(snapshot.held_out)
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_PICTURES)).round().astype(int))
    found: dict[int, Pictures] = {}
    held = 0
    for at in np.random.default_rng(len(chosen)).permutation(chosen):  # so that a part is drawn evenly, too
        place = int(places[at])
        source = snapshot.sources[place]
        try:
            picture = decode_native(read(source.uri), channels, source.id)[0]
        except (InvalidConfiguration, OSError):
            continue
        except StoreUnavailable:
            break
        if min(picture.shape[:2]) < LEAST_WINDOW:
            continue
        if not np.array_equal(prepare(picture, grid, channels), snapshot.pictures[place]):
            continue
        held += picture.nbytes
        if held > MOST_BYTES:
            break
        found[place] = picture
    return found


def native_sight(
    run: OnnxModel, drawn: DrawnPairs, normals: Pictures, normal: NDArray[np.float32], threshold: float
) -> Sight | None:
    """Return what the graph makes of drawn defects; None where none could be drawn.

    ``normals`` are the frames of their snapshot. ``normal`` are the graph's scores of those held out, and
    ``threshold`` is what they give.
    """
    if not drawn.pairs:
        return None

    def score(picture: Pictures) -> float:
        return float(run(picture[None])[0][0])

    own = {place: score(normals[place]) for place in sorted({pair.normal for pair in drawn.pairs})}
    before = np.array([own[pair.normal] for pair in drawn.pairs], np.float32)
    scores = np.array([score(pair.drawn_into(normals[pair.normal])) for pair in drawn.pairs], np.float32)
    if not (np.isfinite(scores).all() and np.isfinite(before).all()):
        return Sight("pseudo", math.nan, math.nan, len(scores), math.nan)
    truth = np.arange(len(normal) + len(scores)) >= len(normal)
    value = auroc(np.concatenate([normal, scores]), truth)
    found = float((scores > threshold).mean())
    return Sight("pseudo", round(value, 4), round(found, 4), len(scores), raised_share(scores, before))


def sight_figures(sight: Sight | None) -> dict[str, float]:
    """Return a sight under the names that cards have for it."""
    if sight is None:
        return {}
    assert sight.raised is not None
    return {
        NATIVE_AUROC: sight.auroc,
        NATIVE_FOUND: sight.found,
        NATIVE_RAISED: sight.raised,
        NATIVE_DEFECTS: float(sight.count),
    }


def sight_of(figures: Mapping[str, float]) -> Sight | None:
    """Return the sight that a card's figures tell; None where they tell none, or one of too few pictures."""
    count = int(figures.get(NATIVE_DEFECTS, 0))
    if count < LEAST_DEFECTS:
        return None
    return Sight("pseudo", figures[NATIVE_AUROC], figures[NATIVE_FOUND], count, figures[NATIVE_RAISED])
