"""Does a model see defects made at the camera's own pixels? What its grid averages away it cannot.

The figures of the gate come from pseudo-anomalies at the model's input: of a defect that the resize hides
they know nothing, and a model at too coarse a grid passes them. These are drawn into held-out normals as the
camera took them, and go the way of a frame.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.grid import Grid
from steadyline.picture import Channels
from steadyline.prepare import prepare
from trainer.arrays import Pictures
from trainer.data.mvtec import decode_native
from trainer.data.snapshot import Snapshot
from trainer.evaluation.auroc import auroc
from trainer.jobs.export import OnnxModel
from trainer.pseudo.native import LEAST_WINDOW, native_defects
from trainer.sight import Sight, raised_share

MOST_PICTURES = 96
MOST_BYTES = 256 << 20  # of them, decoded: of very large frames there are fewer
DRAWS = 3  # defects in each picture
LEAST_DEFECTS = 90  # with fewer the figures are told, and nobody is called blind by them
NATIVE_AUROC, NATIVE_FOUND = "native_auroc", "native_found"
NATIVE_RAISED, NATIVE_DEFECTS = "native_raised", "native_defects"

ReadUri = Callable[[str], bytes]


def held_out_natives(snapshot: Snapshot, channels: Channels, read: ReadUri) -> list[Pictures]:
    """Return held-out normals (H, W, C) as the camera took them, evenly drawn; those that ``read`` still has.

    Only what gives the very input that the snapshot holds counts: who writes the store could put other
    pictures in their place. Nothing is drawn into a picture that is smaller than a window. ``read`` raises
    InvalidConfiguration or OSError for a picture that it cannot have, StoreUnavailable when nobody answers.
    """
    prepared = snapshot.pictures[snapshot.held_out]
    grid = Grid(*prepared.shape[1:3])
    sources = snapshot.held_out_sources()
    chosen = np.unique(np.linspace(0, len(sources) - 1, min(len(sources), MOST_PICTURES)).round().astype(int))
    found: list[Pictures] = []
    held = 0
    for at in np.random.default_rng(len(chosen)).permutation(chosen):  # so that a part is drawn evenly, too
        try:
            picture = decode_native(read(sources[at].uri), channels, sources[at].id)[0]
        except (InvalidConfiguration, OSError):
            continue
        except StoreUnavailable:
            break
        if min(picture.shape[:2]) < LEAST_WINDOW:
            continue
        if not np.array_equal(prepare(picture, grid, channels), prepared[at]):
            continue
        held += picture.nbytes
        if held > MOST_BYTES:
            break
        found.append(picture)
    return found


def native_sight(
    run: OnnxModel, natives: Sequence[Pictures], normal: NDArray[np.float32], threshold: float, seed: int
) -> Sight | None:
    """Return what the graph makes of DRAWS defects in each of ``natives``; None where none could be drawn.

    ``normal`` are its scores of the held-out normals, ``threshold`` is what they give.
    """
    grid, depth = run.input_shape
    channels: Channels = "gray" if depth == 1 else "rgb"

    def score(picture: Pictures) -> float:
        return float(run(prepare(picture, grid, channels)[None])[0][0])

    own = [score(picture) for picture in natives]
    pairs = [
        (score(defect.picture), own[defect.source])
        for draw in range(DRAWS)
        for defect in native_defects(natives, None, seed + draw)
    ]
    if not pairs:
        return None
    scores, before = np.array(pairs, np.float32).T
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
