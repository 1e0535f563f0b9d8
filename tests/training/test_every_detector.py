"""Whatever is registered goes the whole way of a line's model: package, rebuild, gate, watch."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, Package
from steadyline.line import GateSection
from steadyline.package import (
    MODEL,
    Card,
    Packages,
    read_card,
)
from steadyline.store import Store
from steadyline.triton import parse_config
from steadyline.triton_config import Serving
from tests.support.parts import good_parts
from trainer.data.banks import Banks, BankStore, HeldOutSet
from trainer.data.snapshot import NormalSource, make_snapshot
from trainer.detectors.registry import DETECTORS
from trainer.jobs.bank_maker import pseudo_maker
from trainer.jobs.build import BuildContext, BuiltPackage, PackageInputs, all_scores, make_package
from trainer.jobs.export import OnnxModel
from trainer.jobs.gate_figures import figures_of, measure, rebuilt
from trainer.jobs.spec import JobSpec
from trainer.lifecycle.gate import GateFigures, rule
from trainer.monitor.detection import DetectionMonitor
from trainer.monitor.monitor import draw, to_round
from trainer.triton_config import config_of

Overrides = dict[str, float | int | str | bool]

# Smaller numbers for those that would take long; the others train as they are, two steps.
ATTACKED: Overrides = {"schedule.batch": 4, "schedule.attack_steps": 1, "shape.width": 8}
SMALL: dict[str, Overrides] = {
    "bgad": {"flow.couplings": 2, "flow.hidden": 16, "schedule.normal": 64},
    "cobra": ATTACKED,
    "daf": {"schedule.batch": 2, "shape.student": 8, "shape.decoder": 8},
    "either": {f"robust.{name}": value for name, value in ATTACKED.items()} | {"patch.nearest.memory": 100},
    "patch": {"nearest.memory": 100, "nearest.seen": 1000},
    "robust": ATTACKED,
    "robust&certified": ATTACKED,
    "robust+certified": {f"verdict.{name}": value for name, value in ATTACKED.items()},
}
SIDE = 32


@dataclass(frozen=True, slots=True)
class Packaged:
    """What was made of a detector, and the package as the store gives it back."""

    made: BuiltPackage
    known: HeldOutSet
    card: Card
    files: dict[str, bytes]


def an_order(detector: str, uri: str, digest: str) -> JobSpec:
    return JobSpec(
        product="plate", version=1, why="test", detector=detector, profile="cpu", steps=2,
        overrides=SMALL.get(detector, {}), seed=0, size=SIDE, channels="gray", false_alarm_rate=0.1,
        gate=GateSection(steps=1), snapshot_uri=uri, snapshot_digest=digest, live=None,
        ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture(scope="module", params=[*sorted(DETECTORS), "robust+certified", "robust&certified"])
def packaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    torch.set_num_threads(1)
    store, clock = Store(f"memory://{uuid.uuid4().hex}"), ManualClock()
    parts = good_parts(24, SIDE)
    snapshot = make_snapshot([(NormalSource(id=f"{i:02}", uri=""), part) for i, part in enumerate(parts)])
    kept = BankStore(store, "line-1")
    spec = an_order(request.param, *kept.put_snapshot("plate", snapshot.pack()))
    bench = BuildContext(tmp_path_factory.mktemp("kept"), lambda phase, done, of: None, clock)
    banks = Banks(MemoryBank(), kept, pseudo_maker(bench.on_progress), clock)
    manifest, entries = banks.ensure(spec.bank_spec(), snapshot, ())
    inputs = PackageInputs(spec, snapshot, manifest, entries)
    known = inputs.held_out()
    made = make_package(inputs, known, bench)
    packages = Packages(store, "line-1")
    files = packages.load("plate", 1, packages.write("plate", 1, made.files))
    return Packaged(made, known, read_card(files), files)


def test_every_detector_leaves_as_a_package_that_rebuilds_it_and_keeps_its_figures_at_the_gate(
    packaged: Packaged,
) -> None:
    card, made, known, gate = packaged.card, packaged.made, packaged.known, GateSection(steps=1)
    assert card.detector == card.recipe["detector"]
    assert card.figures["export_score_difference"] < 1e-4
    assert card.figures["served_p99_ms"] > 0
    assert card.figures["served_memory_mib"] > 20
    assert card.figures["export_map_difference"] < 1e-4
    again = rebuilt(card, packaged.files)
    pictures = torch.from_numpy(np.concatenate([known.normals[:4], known.anomalies[:4]]))
    for one, other in zip(again(pictures), made.module(pictures), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)  # sums may be taken in another order
    threshold = card.calibrations[PRODUCT_WIDE].threshold
    measured = measure(again, known, threshold, gate, lambda done, of: None)
    before = figures_of(card, gate)
    for figure in ("clean", "attacked", "corrupted", "detection"):
        assert getattr(measured, figure) == pytest.approx(getattr(before, figure), abs=0.005)
    ruling = rule(GateFigures(**measured.model_dump()), None, gate)
    refused = ("clean_floor", "masked_gradients", "blind_at_threshold")
    assert ruling.accepted or ruling.reason.split(":")[0] in refused
    assert (again.lipschitz is None) == (made.module.lipschitz is None)


def test_every_detector_is_served_as_the_contract_says_and_seen_by_the_watch(packaged: Packaged) -> None:
    card, known = packaged.card, packaged.known
    graph = OnnxModel(packaged.files[MODEL])
    said = card.model(Package(uri="", digests={}), "candidate", "trained")
    config = parse_config(config_of("plate", said, packaged.files[MODEL], Serving()).decode())
    score, anomaly_map = graph(known.normals[:3])
    assert (score.shape, list(anomaly_map.shape[1:])) == ((3,), list(config.output[1].dims))
    assert graph.is_certified == said.is_certified == ("certified" in card.detector)
    halves = ["halves"] * (card.detector == "either")
    assert [item.name for item in config.output][2:] == ["certified_score"] * graph.is_certified + halves
    assert len(said.halves) == 2 * len(halves)
    for known_answer in said.probes:
        assert (known_answer.certified_score is not None) == said.is_certified
    if graph.is_certified:
        _check_that_normals_are_below(graph.certified_scores(known.normals), said.certified_calibrations)
    threshold = card.calibrations[PRODUCT_WIDE].threshold
    anomalous = all_scores(graph, known.anomalies)
    assert float(np.mean(anomalous > threshold)) == card.figures["detection_rate"]
    sample = draw(known, 16, random.Random(0))
    scores = all_scores(graph, np.concatenate([sample.anomalies, sample.normals]))
    seen = to_round(scores, sample, threshold)
    assert seen.is_finite()
    assert not seen.is_constant()
    assert DetectionMonitor(card.figures["detection_rate"], 0.5).judge(seen) is None


def _check_that_normals_are_below(
    certified: NDArray[np.float32], calibrations: Mapping[str, Calibration]
) -> None:
    found = calibrations[PRODUCT_WIDE]
    np.testing.assert_allclose(found.scores, np.sort(certified)[: len(found.scores)], rtol=1e-5, atol=1e-6)
    assert found.rate == 0.1
