"""Trains missing models, which are packages of detectors or baselines, once per folder of results."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bench.robustness.anomalib import PREFIX, model_named
from bench.robustness.baseline import Baseline, BaselineInput, StoredBaseline
from bench.robustness.baselines import BASELINES
from bench.robustness.model import EvaluatedModel, digest_of, from_package, prepared
from bench.robustness.plan import FitSettingsByModel, Run
from steadyline.clock import SystemClock
from steadyline.grid import Grid
from steadyline.line import PictureSection
from steadyline.manifest import SUMS
from steadyline.package import MODEL, WEIGHTS
from steadyline.replace_file import replace_file
from trainer.data.normals import from_folder
from trainer.data.snapshot import Snapshot, make_snapshot
from trainer.detector_protocol import Served
from trainer.folder import FolderOrder, fit_folder
from trainer.jobs.build import BuildContext, all_scores
from trainer.jobs.calibrate import calibration
from trainer.jobs.export import OnnxModel, export

ReportPhase = Callable[[str, int, int], None]
_CARD = "baseline.json"


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Where models lie, how they are trained, and who gets their progress."""

    folder: Path
    fitting: FitSettingsByModel
    on_progress: ReportPhase

    def model(self, run: Run, data: Path) -> EvaluatedModel:
        """Return the model of a run and train it if it does not exist; a killed training is continued."""
        out = self.folder / run.path
        if baseline := _baseline_named(run.model):
            if not (out / _CARD).exists():
                self._fit_baseline(baseline, self._order(run, data, out))
            return _stored_baseline(baseline, out)
        if not (out / SUMS).exists():
            context = BuildContext(out, self.on_progress, SystemClock())
            fit_folder(self._order(run, data, out), context)
        return from_package(out)

    def _order(self, run: Run, data: Path, out: Path) -> FolderOrder:
        fitting = self.fitting
        detector, overrides = fitting.detector(run.model)
        return FolderOrder(
            data=data,
            out=out,
            product=run.data,
            detector=detector,
            profile=fitting.profile,
            steps=fitting.steps,
            seed=run.seed,
            grid=fitting.grid(run.model),
            channels=fitting.channels,
            false_alarm_rate=fitting.false_alarm_rate,
            overrides=overrides,
            guard=False,  # every method gets the same pictures
        )

    def _fit_baseline(self, baseline: Baseline, order: FolderOrder) -> None:
        section = PictureSection(grid=order.grid, channels=order.channels)
        snapshot = make_snapshot(from_folder(order.data, section))
        order.out.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        given = BaselineInput(snapshot.pictures[~snapshot.held_out], order.profile, order.steps, order.seed)
        module = baseline.fit(
            given, lambda step, of, message: self.on_progress("fit", step, of), order.out / ".work"
        )
        module = module.eval().to(memory_format=torch.contiguous_format)
        seconds = time.monotonic() - began
        self.on_progress("export", 0, 1)
        _write_baseline(order, module, snapshot, seconds)


def _baseline_named(name: str) -> Baseline | None:
    return model_named(name) if name.startswith(PREFIX) else BASELINES.get(name)


def _write_baseline(order: FolderOrder, module: Served, snapshot: Snapshot, seconds: float) -> None:
    out = order.out
    held_out = snapshot.pictures[snapshot.held_out]
    exported = export(module, held_out[:8])
    (out / MODEL).write_bytes(exported.model)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, out / WEIGHTS)
    scores = all_scores(OnnxModel(exported.model), held_out)
    card = {
        "size": order.grid.height,
        "width": order.grid.width,
        "channels": order.channels,
        "profile": order.profile,
        "threshold": calibration(scores.tolist(), order.false_alarm_rate).threshold,
        "training_seconds": round(seconds, 1),
        "export_score_difference": exported.score_difference,
    }
    replace_file(out / _CARD, json.dumps(card, indent=1).encode())


def _stored_baseline(baseline: Baseline, out: Path) -> EvaluatedModel:
    card: dict[str, Any] = json.loads((out / _CARD).read_text(encoding="utf-8"))
    channels = 1 if card["channels"] == "gray" else 3
    module = baseline.rebuilt(StoredBaseline(card["profile"], channels, load_file(out / WEIGHTS)))
    return EvaluatedModel(
        module=prepared(module),
        graph=(out / MODEL).read_bytes(),
        digest=digest_of(module),
        grid=Grid.of(card["size"], card.get("width")),
        channels=card["channels"],
        threshold=card["threshold"],
        facts={"training_seconds": card["training_seconds"]},
    )
