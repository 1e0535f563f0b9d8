"""A real COBRA network that is trained a few steps only, because its speed does not depend on its weights."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench.line.pictures import MODEL_SIDE, good_parts
from steadyline.contracts.model_event import PRODUCT_WIDE, Change, Model, ModelEvent, Package
from steadyline.inference import Pixels
from steadyline.package import MODEL
from trainer.data.banks import HeldOutSet
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.jobs.build import all_scores, probes
from trainer.jobs.calibrate import HeldOutScore, calibrate
from trainer.jobs.export import OnnxModel, export
from trainer.jobs.lineage import code_digest
from trainer.pseudo.entry import in_memory

NORMALS, HELD_OUT, STEPS = 12, 40, 2
FALSE_ALARM_RATE = 0.05
EVENT = "model.json"


@dataclass(frozen=True, slots=True)
class BenchModel:
    """The model file and the model as events carry it; every version is the same network."""

    file: bytes
    first: Model

    def version(self, number: int) -> Model:
        """Return the model as version ``number``."""
        return self.first.model_copy(update={"version": number})


def model_for(product: str, folder: Path) -> BenchModel:
    """Return the model kept in ``folder``, or train one and keep it; when the trainer has changed, train
    anew.
    """
    key = f"{code_digest()}-{product}"
    kept = folder / key
    if not kept.is_dir():
        model = train_model()
        shutil.rmtree(folder, ignore_errors=True)
        half = folder / "half"
        half.mkdir(parents=True)
        (half / MODEL).write_bytes(model.file)
        (half / EVENT).write_text(model.first.model_dump_json(), encoding="utf-8")
        half.rename(kept)
    return BenchModel((kept / MODEL).read_bytes(), Model.model_validate_json((kept / EVENT).read_bytes()))


def train_model() -> BenchModel:
    """Train, export and calibrate a model as for a package, but without its gate."""
    torch.set_num_threads(1)  # on a busy machine two torch threads wait for each other more than they work
    parts = good_parts(NORMALS + HELD_OUT)
    normals, held_out = parts[:NORMALS], parts[NORMALS:]
    settings = FitSettings("cobra", steps=STEPS)
    bank = in_memory(make_pseudo_anomalies(normals, settings))
    trained = train(normals, bank, settings, lambda step, total, message: None)
    exported = export(trained.module, held_out)
    return BenchModel(exported.model, _model(exported.model, held_out))


def live_event(product: str, models: list[Model]) -> ModelEvent:
    """Return the event that says that the last of ``models`` is in service."""
    now, live = datetime.now(UTC), models[-1].version
    change = Change(at=now, version=live, before="candidate", after="live", reason="benchmark")
    return ModelEvent(product=product, at=now, live_version=live, models=models, changes=[change])


def _model(onnx: bytes, held_out: Pixels) -> Model:
    run = OnnxModel(onnx)
    defective = held_out.copy()
    defective[:, 20:40, 20:40] = 255 - defective[:, 20:40, 20:40]
    normal, anomalous = all_scores(run, held_out), all_scores(run, defective)
    known = HeldOutSet(defective, ("inverted",) * len(defective), held_out)
    calibrated = calibrate([HeldOutScore("", "", float(value)) for value in normal], FALSE_ALARM_RATE)
    return Model(
        version=1,
        detector="cobra",
        state="live",
        reason="benchmark",
        trained_at=datetime.now(UTC),
        size=MODEL_SIDE,
        channels="gray",
        package=Package(uri="memory://bench", digests={}),
        threshold_version=1,
        calibrations={PRODUCT_WIDE: calibrated.calibrations[PRODUCT_WIDE]},
        probes=probes(run, known, normal, anomalous),
        lineage={},
        figures={},
    )
