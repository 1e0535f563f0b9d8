"""A namespace of Kubernetes in memory, as far as trainings use one: Jobs that are made, and pods as told."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from steadyline.errors import Transient
from trainer.cluster.client import ClusterUnavailable, JobRefused
from trainer.cluster.job_template import Manifest


class MemoryCluster:
    """Keeps Jobs by name; a deleted one goes at once, or lingers until ``sweep`` where ``lingers`` is set."""

    def __init__(self) -> None:
        self.kept: dict[str, Manifest] = {}
        self.pods_of: dict[str, list[Manifest]] = {}
        self.others: dict[str, Manifest] = {}
        self.refuses = ""
        self.lingers = False
        self.is_away = False
        self.deleted: list[str] = []

    def job(self, name: str) -> Mapping[str, Any] | None:
        self._answer()
        return deepcopy(self.kept.get(name))

    def jobs(self, selector: str) -> list[Mapping[str, Any]]:
        self._answer()
        wanted = dict(pair.split("=") for pair in selector.split(","))
        return [
            deepcopy(job)
            for job in self.kept.values()
            if wanted.items() <= job["metadata"].get("labels", {}).items()
        ]

    def pods(self, job: str) -> list[Mapping[str, Any]]:
        self._answer()
        return deepcopy(list(self.pods_of.get(job, ())))

    def pod(self, name: str) -> Mapping[str, Any] | None:
        self._answer()
        return self.others.get(name)

    def create(self, manifest: Manifest) -> None:
        self._answer()
        if self.refuses:
            raise JobRefused(self.refuses)
        self.kept.setdefault(manifest["metadata"]["name"], deepcopy(manifest))

    def delete(self, name: str) -> None:
        self._answer()
        self.deleted.append(name)
        if self.lingers and name in self.kept:
            self.kept[name]["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:00Z"
        else:
            self.kept.pop(name, None)
            self.pods_of.pop(name, None)

    def sweep(self) -> None:
        """Let go what was deleted."""
        for name in [name for name, job in self.kept.items() if "deletionTimestamp" in job["metadata"]]:
            del self.kept[name]

    def end(self, name: str, *pods: Manifest, reason: str = "BackoffLimitExceeded") -> None:
        """Let a Job fail, with what its pods say."""
        conditions = [{"type": "Failed", "status": "True", "reason": reason, "message": "as told"}]
        self.kept[name]["status"] = {"conditions": conditions}
        self.pods_of[name] = list(pods)

    def _answer(self) -> None:
        if self.is_away:
            error: Transient = ClusterUnavailable("away")
            raise error


def a_pod(phase: str = "Running", **status: Any) -> Manifest:
    """Return a pod in a phase, with more of its status."""
    return {"metadata": {"name": "pod"}, "status": {"phase": phase, **status}}


def ended(reason: str, code: int) -> Manifest:
    """Return a failed pod whose container has ended for a reason, with a status."""
    state = {"terminated": {"reason": reason, "exitCode": code}}
    return a_pod("Failed", containerStatuses=[{"name": "training", "state": state}])


def held_up(reason: str, message: str = "") -> Manifest:
    """Return a pod that Kubernetes cannot start, for a reason of its container."""
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod("Pending", containerStatuses=[{"name": "training", "state": state}])


def unschedulable(message: str) -> Manifest:
    """Return a pod for which there is no node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return a_pod("Pending", conditions=[condition])
