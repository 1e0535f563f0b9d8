"""Trainings of one product as the chart's Jobs, each pod a process: ordered, launched and told of as by the
trainer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors.numpy import load

from steadyline.clock import ManualClock
from steadyline.line import GateSection, load_line
from steadyline.package import WEIGHTS, Card, Packages, read_card
from steadyline.store import Store
from tests.support.chart import RenderedChart
from tests.support.eventually import eventually
from tests.support.parts import good_parts
from tests.support.pod_processes import JobOfProcesses, PodMounts, pod_statuses
from tests.support.training_cluster import MemoryCluster
from trainer.cluster.job_status import is_over
from trainer.cluster.job_template import JobTemplate, read_template
from trainer.cluster.launcher import LOOK, JobLauncher, JobWatch
from trainer.control.launch import RunningTraining, TrainingEnd
from trainer.data.banks import BankStore
from trainer.data.snapshot import NormalSource, make_snapshot
from trainer.jobs.spec import JobFolder, JobResult, JobSpec

PRODUCT, SIDE = "part", 32
STORE = "/var/lib/steadyline/store"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ENDED_WITHIN = 120.0  # seconds; a training takes some ten, two cores may be shared with a lot
SMALL: dict[str, float | int | str | bool] = {
    "shape.width": 8,
    "schedule.batch": 8,
    "schedule.attack_steps": 1,
    "score.memory": 8,
}


class TrainingDay:
    """A trainer's disk, store and cluster; the pods of a Job that it makes run as processes here."""

    def __init__(self, home: Path, chart: RenderedChart, redis_url: str) -> None:
        home.mkdir()
        self.home, self._clock, self.cluster = home, ManualClock(), MemoryCluster()
        self.template = _template(home, chart)
        self.mounts = _mounts(home, self.template, chart, redis_url)
        self.line = load_line(home / "line" / "line.yaml")
        self.store = Store(self.line.store)
        kept, self.packages = BankStore(self.store, self.line.line), Packages(self.store, self.line.line)
        parts = enumerate(good_parts(24, SIDE))
        packed = make_snapshot([(NormalSource(id=f"{i:02}", uri=""), part) for i, part in parts]).pack()
        self._snapshot = kept.put_snapshot(PRODUCT, packed)
        self.folder = home / "work" / PRODUCT
        self.jobs = JobFolder(self.folder)
        self._launcher = JobLauncher(JobWatch(self.cluster, self.template, HOUR, self._clock))

    def order(self, steps: int) -> JobSpec:
        """Order a training of so many steps and return its order."""
        uri, digest = self._snapshot
        spec = JobSpec(
            product=PRODUCT, version=1, why="test", detector="cobra", profile="cpu", steps=steps,
            overrides=SMALL, seed=0, size=SIDE, channels="gray", false_alarm_rate=0.1,
            gate=GateSection(steps=1), snapshot_uri=uri, snapshot_digest=digest, live=None,
            ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
        )  # fmt: skip
        self.jobs.order(spec)
        return spec

    @contextmanager
    def launched(
        self, spec: JobSpec, first_is_late: bool = False
    ) -> Iterator[tuple[RunningTraining, JobOfProcesses]]:
        """Launch an order as the trainer does; yields the training, and the pods of the Job that it made."""
        training = self._launcher.start(spec, self.home, DAY)
        kept = self.cluster.kept
        for _ in range(2):  # a Job of the attempt before makes way first
            if training.name not in kept or is_over(kept[training.name]):
                assert self.look(training) is None
        job = kept[training.name]
        pods = JobOfProcesses(job, self.mounts, self.home, first_is_late)
        try:
            yield training, pods
        finally:
            pods.close()

    def look(self, training: RunningTraining) -> TrainingEnd | None:
        """Look at a training once more, after the pause between two looks."""
        self._clock.advance(LOOK)
        return training.poll()

    def ended(self, training: RunningTraining, pods: JobOfProcesses) -> TrainingEnd:
        """Wait until each pod has ended by itself; return what the trainer tells of it."""
        ends = pods.wait(ENDED_WITHIN)
        self.cluster.pods_of[training.name] = pod_statuses(ends)
        kind = "Failed" if any(ends) else "Complete"
        status = {"conditions": [{"type": kind, "status": "True", "reason": "", "message": ""}]}
        self.cluster.kept[training.name]["status"] = status
        end = self.look(training)
        assert end is not None
        return end

    def trained(self, steps: int, first_is_late: bool = False) -> JobResult:
        """Return the result of an undisturbed training."""
        spec = self.order(steps)
        with self.launched(spec, first_is_late) as (training, pods):
            end = self.ended(training, pods)
            assert end.is_success, f"{end}\n{pods.tails()}"
        return self.result(spec)

    def first_step(self, spec: JobSpec) -> int:
        """Return the first step that a training tells of after this call."""
        (self.folder / "progress.json").unlink()

        def told() -> int:
            progress = self.jobs.progress(spec)
            return progress.done if progress.phase == "fit" else 0

        return eventually(told, ENDED_WITHIN, "a step")

    def result(self, spec: JobSpec) -> JobResult:
        """Return the result that a training has left."""
        found = self.jobs.outcome(spec)
        assert isinstance(found, JobResult), found
        return found

    def package(self, result: JobResult) -> tuple[Card, Mapping[str, NDArray[np.float32]]]:
        """Return the card of a package, and its weights by their name."""
        files = self.packages.load(PRODUCT, result.version, result.package)
        return read_card(files), load(files[WEIGHTS])


def _template(home: Path, chart: RenderedChart) -> JobTemplate:
    """Return the template of the chart as the trainer reads it from its file."""
    (job,) = chart.trainings()
    path = home / "job.yaml"
    path.write_text(yaml.safe_dump(job), encoding="utf-8")
    return read_template(path)


def _mounts(home: Path, template: JobTemplate, chart: RenderedChart, redis_url: str) -> PodMounts:
    """Return a folder for each mount of the training's pods, with the chart's own line and the secret."""
    (container,) = template.manifest["spec"]["template"]["spec"]["containers"]
    folders = {}
    for mount in container["volumeMounts"]:
        below = mount.get("subPathExpr", "").replace("$(TRAINING_PRODUCT)", PRODUCT)
        folders[mount["mountPath"]] = home / mount["name"] / below
        folders[mount["mountPath"]].mkdir(parents=True)
    line = chart.of_kind("ConfigMap")["rel-steadyline-line"]["data"]["line.yaml"]
    (home / "line" / "line.yaml").write_text(line.replace(STORE, str(folders[STORE])), encoding="utf-8")
    (home / "redis" / "url").write_text(redis_url, encoding="utf-8")
    return PodMounts(folders)
