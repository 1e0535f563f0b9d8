"""Trainings as Jobs: one for each order, which gives it its name, so that any trainer finds it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.cluster.client import JobRefused
from trainer.cluster.job_status import PodWait, end_of, is_leaving, is_over, wait_of
from trainer.cluster.job_template import JobTemplate, Manifest
from trainer.control.launch import Launcher, RunningTraining, TrainingEnd
from trainer.control.training_supervisor import NOT_STARTED, REFUSED
from trainer.jobs.spec import JobSpec

log = get_logger(__name__)

LOOK = timedelta(seconds=2)  # between two looks at a Job; the outcome itself lies in the work folder


class Cluster(Protocol):
    """What the launcher needs of the API server: see ``TrainingCluster``."""

    def job(self, name: str) -> Mapping[str, Any] | None: ...

    def jobs(self, selector: str) -> Sequence[Mapping[str, Any]]: ...

    def pods(self, job: str) -> Sequence[Mapping[str, Any]]: ...

    def pod(self, name: str) -> Mapping[str, Any] | None: ...

    def create(self, manifest: Manifest) -> None: ...

    def delete(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class JobWatch:
    """How Jobs are watched: all of them through one cluster, each given ``start_within`` to begin."""

    cluster: Cluster
    template: JobTemplate
    start_within: timedelta
    clock: Clock


class TrainingJob(RunningTraining):
    """The Job of one order: made when it is not there, gone on with when it is, its end told once.

    A Job that has ended, or that somebody has deleted, makes way first: of one order there is one Job.
    """

    def __init__(self, watch: JobWatch, spec: JobSpec, manifest: Manifest) -> None:
        self._watch, self._spec, self._manifest = watch, spec, manifest
        self._name = str(manifest["metadata"]["name"])
        self._is_there = False
        self._look_at = float("-inf")
        self._waits: PodWait | None = None
        self._start_by = watch.clock.monotonic() + watch.start_within.total_seconds()

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    def poll(self) -> TrainingEnd | None:
        now = self._watch.clock.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK.total_seconds()
        job = self._watch.cluster.job(self._name)
        if not self._is_there:
            return self._make(job)
        if job is None:
            return TrainingEnd("its Job was deleted")
        pods = self._watch.cluster.pods(self._name)
        end = end_of(job, pods)
        return end if end is not None else self._waiting(wait_of(job, pods, self._watch.template.pods))

    @override
    def stop(self) -> None:
        self._watch.cluster.delete(self._name)

    @override
    def leave(self) -> None:
        """Let it run: whoever takes the order up finds it by its name."""

    def _make(self, job: Mapping[str, Any] | None) -> TrainingEnd | None:
        """Make the Job once nothing is in its way, or go on with the one that is there."""
        if job is not None and not is_over(job) and not is_leaving(job):
            self._is_there = True
            log.info("training_job_adopted", product=self._spec.product, job=self._name)
            return None
        in_the_way = [] if job is None else [job]
        for other in self._watch.cluster.jobs(self._watch.template.selector(self._spec.product)):
            if other["metadata"]["name"] != self._name and not is_over(other):
                in_the_way.append(other)
        for one in in_the_way:
            if not is_leaving(one):
                self._watch.cluster.delete(one["metadata"]["name"])
        if in_the_way:
            return None
        try:
            self._watch.cluster.create(self._manifest)
        except JobRefused as error:
            return TrainingEnd(f"Kubernetes takes no Job {self._name}: {error}", False, REFUSED)
        self._is_there = True
        return None

    def _waiting(self, waits: PodWait | None) -> TrainingEnd | None:
        """Say once what the Job waits for; return its end when it has waited too long."""
        if waits is None:
            self._start_by = float("inf")
        elif self._waits is None or waits.reason != self._waits.reason:
            metrics.TRAINING_WAITS.add(product=self._spec.product, reason=waits.word)
            log.warning("training_waits", product=self._spec.product, job=self._name, why=waits.said())
        self._waits = waits
        if waits is None or self._watch.clock.monotonic() < self._start_by:
            return None
        minutes = round(self._watch.start_within.total_seconds() / 60)
        how = f"the Job {self._name} has not begun in {minutes} minutes (TRAINER_JOB_START_MINUTES)"
        return TrainingEnd(f"{how}: {waits.said()}", False, NOT_STARTED)


class JobLauncher(Launcher):
    """Makes the Jobs of trainings in the namespace of a template."""

    def __init__(self, watch: JobWatch) -> None:
        self._watch = watch

    @override
    def start(self, spec: JobSpec, folder: Path, within: timedelta) -> RunningTraining:
        return TrainingJob(self._watch, spec, self._watch.template.job_of(spec, within))

    @override
    def clear(self, product: str) -> None:
        for job in self._watch.cluster.jobs(self._watch.template.selector(product)):
            if not is_over(job) and not is_leaving(job):
                log.warning("training_job_without_an_order", product=product, job=job["metadata"]["name"])
                self._watch.cluster.delete(job["metadata"]["name"])


def owned(template: JobTemplate, cluster: Cluster, pod: str) -> JobTemplate:
    """Return the template with the owner of the trainer's own pod as the owner of its Jobs.

    A pod of a Deployment belongs to a ReplicaSet, which outlives the pod: Jobs outlive a restart of the
    trainer, and go with its release. Raises InvalidConfiguration when there is no such pod, Transient when
    the API server is away.
    """
    found = cluster.pod(pod)
    if found is None:
        raise InvalidConfiguration(
            f"TRAINER_POD={pod} is no pod of the namespace {template.namespace}: it is the trainer's own"
        )
    owners = [one for one in found["metadata"].get("ownerReferences", ()) if one.get("controller")]
    if not owners:
        return template
    kept = {name: owners[0][name] for name in ("apiVersion", "kind", "name", "uid")}
    return replace(template, owner=kept)
