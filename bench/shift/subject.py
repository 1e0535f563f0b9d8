"""What is measured: a package's served graph with its frozen threshold, on the test pictures of a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.digest import sha256
from steadyline.package import MODEL, Card, load_package, read_card, read_package
from steadyline.station import Reference, reference_of
from steadyline.store import Store
from trainer.arrays import Pictures
from trainer.data.mvtec import Preparation, TestSet, read_normals, read_test, with_native
from trainer.jobs.build import all_scores
from trainer.jobs.calibrate import calibration
from trainer.jobs.export import OnnxModel

Scores = NDArray[np.float64]
ThresholdFrom = Literal["held-out", "test-good"]


@dataclass(frozen=True, slots=True)
class ShiftedModel:
    """A model and what it is judged on.

    ``normals`` are the scores that the threshold is a conformal quantile of, for the promised ``rate``.
    ``digest`` tells one graph from another.
    """

    name: str
    card: Card
    run: OnnxModel
    test: TestSet
    normals: Scores
    threshold: float
    rate: float
    reference: Reference
    digest: str

    def scores(self, pictures: Pictures) -> Scores:
        """Return the scores (N,) of prepared pictures, by the graph that is served."""
        return all_scores(self.run, pictures).astype(np.float64)


def open_model(name: str, package: Path, data: Path, source: ThresholdFrom, sampled: int) -> ShiftedModel:
    """Return a package of ``fit --out`` on a folder in MVTec layout, of whose defective pictures one in
    ``sampled`` is judged.

    The threshold is the package's own, of the normals that its training held out; or, with ``test-good``,
    that of every other good test picture, which are then not judged: the two are exchangeable, whatever batch
    the training had. Raises PackageRejected, or InvalidConfiguration when the folder is wrong.
    """
    store = Store(f"file://{package.resolve()}")
    files = load_package(store, read_package(store, ""))
    card, run = read_card(files), OnnxModel(files[MODEL])
    how = Preparation(card.grid, card.channels)
    test = with_native(read_test(data, how), data, how)
    good, bad = np.flatnonzero(~test.anomalous), np.flatnonzero(test.anomalous)[::sampled]
    known = card.calibrations[PRODUCT_WIDE]
    normals = np.array(known.scores)
    if source == "test-good":
        normals = np.sort(all_scores(run, test.pictures[good[::2]]).astype(np.float64))
        known, good = calibration(normals.tolist(), card.false_alarm_rate), good[1::2]
    kept = card.references.get(PRODUCT_WIDE)
    reference = reference_of(read_normals(data, how)[0]) if kept is None else Reference.of(kept)
    judged = _only(test, [*good, *bad])
    digest = sha256(files[MODEL])
    return ShiftedModel(
        name, card, run, judged, normals, known.threshold, card.false_alarm_rate, reference, digest
    )


def _only(test: TestSet, places: Sequence[int]) -> TestSet:
    chosen, native = np.array(places), test.native
    assert native is not None, "the set was read with its native pictures"
    return replace(
        test,
        pictures=test.pictures[chosen],
        kinds=tuple(test.kinds[place] for place in places),
        names=tuple(test.names[place] for place in places),
        masks=None,
        located=test.located[chosen],
        native=tuple(native[place] for place in places),
    )
