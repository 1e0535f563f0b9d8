"""Model events of a product whose versions went live one after another."""

from datetime import UTC, datetime

from steadyline.contracts.model_event import Calibration, Model, ModelEvent, Package
from steadyline.digest import sha256
from steadyline.package import MODEL
from tests.support.graphs import a_graph
from trainer.lifecycle import transitions
from trainer.lifecycle.transitions import Step

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_model(version: int, cameras: int = 0) -> Model:
    """Return a candidate with a calibration of the product and of ``cameras`` cameras."""
    one = Calibration(scores=[1.0], threshold=1.0, achieved_rate=0.5)
    return Model(
        version=version,
        detector="cobra",
        state="candidate",
        reason="trained",
        trained_at=NOW,
        size=32,
        channels="gray",
        package=Package(uri=f"file:///models/cell/{version}", digests={MODEL: sha256(a_graph("0.5"))}),
        threshold_version=1,
        calibrations={"*": one, **{f"c{n}": one for n in range(cameras)}},
        probes=[],
        lineage={},
        figures={"clean_auroc": 0.9},
    )


def live(event: ModelEvent, version: int) -> ModelEvent:
    """Return the event after ``version`` was added and went live."""
    added = transitions.add(event, a_model(version, cameras=2), NOW)
    return transitions.go_live(added, Step(version, "live", "passed", NOW), {})


def a_history(*versions: int) -> ModelEvent:
    """Return the event after these versions went live in this order."""
    event = transitions.nothing_yet("cell", NOW)
    for version in versions:
        event = live(event, version)
    return event
