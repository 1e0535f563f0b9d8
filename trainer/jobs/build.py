"""Makes a model package from an order, its snapshot and its bank: fits, exports, calibrates and describes."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.bank.entry import BankEntry, BankManifest
from steadyline.clock import Clock
from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, Probe
from steadyline.contracts.station import StationReference
from steadyline.grid import Grid
from steadyline.package import CARD, MODEL, PROVENANCE, WEIGHTS, Card, write_card
from steadyline.picture import encode_png
from steadyline.station import reference_of
from trainer.arrays import KnownDefects, Pictures
from trainer.data.banks import HeldOutSet, held_out_frames
from trainer.data.drawn_pairs import DRAWN_PAIRS, DrawnPairs
from trainer.data.known_defects import known_digest
from trainer.data.snapshot import HELD_OUT_BY, LEAST_NORMALS, Snapshot
from trainer.detector_protocol import Served
from trainer.detectors.registry import licence_of
from trainer.fit import FitSettings, Trained, train
from trainer.jobs.calibrate import MOST_NAMED, Calibrated, HeldOutScore, calibrate
from trainer.jobs.encoded_probes import encoded_probes
from trainer.jobs.export import Exported, OnnxModel, export
from trainer.jobs.gate_figures import attacked, measure, named_figures
from trainer.jobs.lineage import code_digest
from trainer.jobs.native_sight import native_sight, sight_figures
from trainer.jobs.provenance import provenance
from trainer.jobs.served_cost import cost_figures
from trainer.jobs.spec import JobSpec
from trainer.progress import ReportProgress
from trainer.pseudo.entry import from_entries

COMPARED = 24  # pictures of each kind at most on which the graph is compared with torch
PROBES = 2  # a package carries so many normals and as many pseudo-anomalies as probes
SCORE_BATCH = 64
MOST_LEFT_OUT = 4_000  # characters of the names of what was left out; they may be paths

# Another machine, or TensorRT, sums in another order. The tolerance is a tenth of the gap between the most
# and the least anomalous probe: far more than that difference, and far less than another model's answer is
# off by.
PROBE_TOLERANCE = 0.02
MOST_PROBE_BYTES = 24 << 10  # of a probe's PNG: with ten versions of four each an event has 1.3 MB of them


@dataclass(frozen=True, slots=True)
class PackageInputs:
    """What a package is made from."""

    spec: JobSpec
    snapshot: Snapshot
    manifest: BankManifest
    entries: Sequence[BankEntry]
    known_defects: KnownDefects | None = None
    drawn: DrawnPairs | None = None  # at the camera's own pixels, into the held-out normals at hand
    drawn_digest: str | None = None  # under which the store keeps them; None when it does not

    def held_out(self) -> HeldOutSet:
        """Return the frames that calibrate and judge; decodes a picture for each pseudo-anomaly."""
        return held_out_frames(self.entries, self.snapshot)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a build needs beside its inputs: where checkpoints lie, who is told of the progress, and the line
    that trains; "" for a folder.
    """

    checkpoints: Path
    on_progress: ReportProgress
    clock: Clock
    line: str = ""


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """A package's files, its card, the module they were made from, and notes that a person should read."""

    files: Mapping[str, bytes]
    card: Card
    module: Served
    notes: tuple[str, ...]


def make_package(inputs: PackageInputs, known: HeldOutSet, context: BuildContext) -> BuiltPackage:
    """Train a model and package it; the same inputs give the same weights, even after an interruption.

    ``known`` is what ``inputs.held_out`` returns: its frames calibrate the threshold, and the figures and
    the probes come from them.
    Raises InvalidConfiguration when the detector or its profile is unknown, ContractBroken when the
    exported graph differs from torch.
    """
    spec, snapshot, started = inputs.spec, inputs.snapshot, context.clock.now()
    trained = train_on(inputs, context)
    context.on_progress("export", 0, 1)
    exported = export(trained.module, compared_pictures(trained.module, known, spec.gate.epsilon))
    context.on_progress("calibrate", 0, 1)
    run = OnnxModel(exported.model)
    normal, anomalous = all_scores(run, known.normals), all_scores(run, known.anomalies)
    calibrated = calibrate(_held_out_scores(snapshot, normal), spec.false_alarm_rate)
    certified = _certified_calibrations(run, inputs, known.normals)
    threshold = calibrated.calibrations[PRODUCT_WIDE].threshold
    measured = measure(
        trained.module, known, threshold, spec.gate, lambda done, of: context.on_progress("measure", done, of)
    )
    figures = {
        **trained.figures,
        **named_figures(measured, spec.gate),
        **_sight_figures(run, inputs, normal, threshold),
        **_export_figures(exported),
        "training_seconds": round(trained.seconds, 1),
    }
    card = _card(inputs, context, (trained, calibrated, figures))
    known_answers = probes(run, known, normal, anomalous)
    most_anomalous, tolerance = known.anomalies[int(np.argmax(anomalous))], known_answers[0].tolerance
    update = {
        "probes": known_answers,
        "encoded_probes": encoded_probes(trained.module, most_anomalous, spec.channels, tolerance),
        "certified_calibrations": certified,
        "references": station_references(snapshot),
    }
    card = card.model_copy(update=update)
    files = {
        MODEL: exported.model,
        CARD: write_card(card),
        WEIGHTS: trained.weights(),
    }
    files[PROVENANCE] = provenance(card, spec, files, started)
    return BuiltPackage(files, card, trained.module, calibrated.notes)


def _sight_figures(
    run: OnnxModel, inputs: PackageInputs, normal: NDArray[np.float32], threshold: float
) -> dict[str, float]:
    if inputs.drawn is None:
        return {}
    return sight_figures(native_sight(run, inputs.drawn, inputs.snapshot.pictures, normal, threshold))


def _export_figures(exported: Exported) -> dict[str, float]:
    return {
        **cost_figures(exported.model),
        "export_score_difference": exported.score_difference,
        "export_map_difference": exported.map_difference,
    }


def compared_pictures(module: Served, known: HeldOutSet, epsilon: float) -> Pictures:
    """Return real frames and their attacked copies, for the comparison of the graph with torch: fewer of a
    large grid.
    """
    most = Grid(*known.normals.shape[1:3]).batch(COMPARED)
    real = np.concatenate([known.normals[:most], known.anomalies[:most]])
    is_anomaly = np.arange(len(real)) >= len(known.normals[:most])
    return np.concatenate([real, attacked(module, real, is_anomaly, epsilon)])


def all_scores(run: OnnxModel, pictures: Pictures) -> NDArray[np.float32]:
    """Return the graph's scores (N,) of pictures (N, H, W, C)."""
    return np.concatenate([run(part)[0] for part in _batches(pictures)])


def _batches(pictures: Pictures) -> list[Pictures]:
    size = Grid(*pictures.shape[1:3]).batch(SCORE_BATCH)
    return np.split(pictures, range(size, len(pictures), size))


def probes(
    run: OnnxModel, known: HeldOutSet, normal: NDArray[np.float32], anomalous: NDArray[np.float32]
) -> list[Probe]:
    """Return known answers: those of the least anomalous normals and of the most anomalous pseudo-anomalies.

    Their scores are far apart, so that another model is unlikely to give the same answers. Large pictures are
    made coarse (``coarse_enough``), since a model event carries the probes of every version.
    """
    low, high = np.argsort(normal)[:PROBES], np.argsort(-anomalous)[:PROBES]
    whole = np.concatenate([known.normals[low], known.anomalies[high]])
    pictures = np.stack([coarse_enough(picture) for picture in whole])
    scores = np.concatenate([normal[low], anomalous[high]])
    if not np.array_equal(pictures, whole):
        scores = all_scores(run, pictures)
    tolerance = max(PROBE_TOLERANCE * float(scores[PROBES:].max() - scores[:PROBES].min()), 1e-4)
    certified = run.certified_scores(pictures).tolist() if run.is_certified else [None] * len(pictures)
    return [
        Probe(
            picture_png=base64.b64encode(_png(picture)).decode(),
            score=float(score),
            tolerance=tolerance,
            certified_score=proven,
        )
        for picture, score, proven in zip(pictures, scores, certified, strict=True)
    ]


def coarse_enough(picture: Pictures) -> Pictures:
    """Return a picture (H, W, C) whose PNG has MOST_PROBE_BYTES at most: itself, or a mosaic of its pixels in
    squares that are no larger than that needs.
    """
    found, side = picture, 1
    while len(_png(found)) > MOST_PROBE_BYTES and side < max(picture.shape):
        side *= 2
        rows = picture[::side, ::side].repeat(side, axis=0)[: len(picture)]
        found = np.ascontiguousarray(rows.repeat(side, axis=1)[:, : picture.shape[1]])
    return found


def train_on(inputs: PackageInputs, context: BuildContext) -> Trained:
    """Train on the normals that are not held out; the same inputs give the same weights."""
    spec, snapshot = inputs.spec, inputs.snapshot
    trained = ~snapshot.held_out
    ids = [source.id for source, kept in zip(snapshot.sources, trained, strict=True) if kept]
    index = {name: place for place, name in enumerate(ids)}
    return train(
        snapshot.pictures[trained],
        from_entries(inputs.entries, index, spec.channels),
        FitSettings(spec.detector, spec.profile, spec.seed, spec.steps, spec.overrides, inputs.known_defects),
        lambda step, total, message: context.on_progress("fit", step, total),
        context.checkpoints,
    )


def _card(
    inputs: PackageInputs, context: BuildContext, outcome: tuple[Trained, Calibrated, dict[str, float]]
) -> Card:
    spec, manifest = inputs.spec, inputs.manifest
    trained, calibrated, figures = outcome
    return Card(
        line=context.line,
        product=spec.product,
        version=spec.version,
        detector=spec.detector,
        profile=spec.profile,
        seed=spec.seed,
        trained_at=context.clock.now(),
        size=spec.size,
        width=spec.width,
        channels=spec.channels,
        recipe=dict(trained.recipe),
        false_alarm_rate=spec.false_alarm_rate,
        calibrations=calibrated.calibrations,
        probes=[],
        figures=figures,
        acceptance=manifest.acceptance,
        licence=licence_of(spec.detector, trained.recipe),
        lineage={
            "data": spec.snapshot_digest,
            "data_uri": spec.snapshot_uri,
            "bank": manifest.digest,
            "bank_version": str(manifest.version),
            "code": code_digest(),
            "seed": str(spec.seed),
            "profile": spec.profile,
            "order": spec.digest(),
            "why": spec.why,
            HELD_OUT_BY: inputs.snapshot.held_out_by,
            **_left_out(inputs.snapshot, calibrated),
            **_known_lineage(inputs.known_defects),
            **({} if inputs.drawn_digest is None else {DRAWN_PAIRS: inputs.drawn_digest}),
        },
        halves=list(trained.module.halves),
    )


def _left_out(snapshot: Snapshot, calibrated: Calibrated) -> dict[str, str]:
    """Return the frames that were not believed to be normal, for a person to look at."""
    named, more = ", ".join(snapshot.left_out[:MOST_NAMED]), len(snapshot.left_out) - MOST_NAMED
    texts = [
        f"of the normals {named}" + (f" and {more} more" if more > 0 else "") if named else "",
        f"of those held out {calibrated.left_out_text()}" if calibrated.left_out else "",
    ]
    found = "; ".join(text for text in texts if text)
    return {"left_out": found[:MOST_LEFT_OUT]} if found else {}


def _known_lineage(known: KnownDefects | None) -> dict[str, str]:
    return {} if known is None else {"known_defects": known_digest(known)}


def _held_out_scores(snapshot: Snapshot, scores: NDArray[np.float32]) -> list[HeldOutScore]:
    rows = zip(snapshot.held_out_sources(), scores, strict=True)
    return [HeldOutScore(source.id, source.camera, float(score)) for source, score in rows]


def station_references(snapshot: Snapshot) -> dict[str, StationReference]:
    """Return what the normals look like, those of the product (key ``*``) and of each camera that has
    enough.
    """
    cameras = np.array([source.camera for source in snapshot.sources])
    found = {PRODUCT_WIDE: reference_of(snapshot.pictures).kept()}
    for camera in sorted(set(cameras.tolist()) - {""}):
        own = snapshot.pictures[cameras == camera]
        if len(own) >= LEAST_NORMALS:
            found[camera] = reference_of(own).kept()
    return found


def _certified_calibrations(
    run: OnnxModel, inputs: PackageInputs, normals: Pictures
) -> dict[str, Calibration]:
    """Return the calibrations of the certified score on the same held-out normals, by the same rank; none
    where the graph has no certified part.
    """
    if not run.is_certified:
        return {}
    scores = np.concatenate([run.certified_scores(part) for part in _batches(normals)])
    return calibrate(_held_out_scores(inputs.snapshot, scores), inputs.spec.false_alarm_rate).calibrations


def _png(picture: Pictures) -> bytes:
    return encode_png(picture if picture.shape[2] == 3 else picture[..., 0], level=9)
