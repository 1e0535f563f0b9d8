"""What a Job and its pods say of a training: that it runs, what it waits for, or how it has ended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer import metrics
from trainer.control.launch import TrainingEnd
from trainer.control.training_supervisor import OVERDUE

_KILLED = 137  # the status of a container that SIGKILL has ended


@dataclass(frozen=True, slots=True)
class PodWait:
    """Why a training does not run yet: the word of Kubernetes, and its sentence."""

    reason: str
    message: str

    @property
    def word(self) -> str:
        """The reason as the label of a metric."""
        return self.reason if self.reason in metrics.WAITING_REASONS else "other"

    def said(self) -> str:
        """Return both as one text."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


def is_over(job: Mapping[str, Any]) -> bool:
    """True when a Job has ended, or is being ended: its pods may still be on their way out."""
    return _condition(job, "Complete") is not None or _failure(job) is not None


def is_leaving(job: Mapping[str, Any]) -> bool:
    """True when somebody has deleted the Job and its pods are not gone yet."""
    return "deletionTimestamp" in job.get("metadata", {})


def end_of(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> TrainingEnd | None:
    """Return how a Job has ended, by the words of its pods; None while it has not."""
    if _condition(job, "Complete") is not None:
        return TrainingEnd("exit status 0", is_success=True)
    failed = _failure(job)
    if failed is None:
        return None
    if failed.get("reason") == "DeadlineExceeded":
        return TrainingEnd(f"the Job was ended by its deadline: {failed.get('message', '')}", False, OVERDUE)
    words = sorted({word for pod in pods for word in _endings(pod)})
    return TrainingEnd("; ".join(words) or f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}")


def wait_of(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], wanted: int) -> PodWait | None:
    """Return what a Job waits for, None when all of its ``wanted`` pods have started."""
    for pod in pods:
        waits = _wait(pod)
        if waits is not None:
            return waits
    if len(pods) < wanted:
        return PodWait("FailedCreate", f"{len(pods)} of {wanted} pods are there; see the events of the Job")
    return None


def _condition(job: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    conditions: Sequence[Mapping[str, Any]] = job.get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)


def _failure(job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return _condition(job, "Failed") or _condition(job, "FailureTarget")


def _endings(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a pod has ended: the reason of its containers, or its own, as after an eviction."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed":
        return
    if status.get("reason"):
        yield f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    for container in status.get("containerStatuses") or ():
        ended = container.get("state", {}).get("terminated")
        if ended and ended.get("exitCode") != 0:
            reason = ended.get("reason", "Error")
            killed = " by SIGKILL" if ended["exitCode"] == _KILLED and reason == "Error" else ""
            yield f"{reason} (exit status {ended['exitCode']}{killed})"


def _wait(pod: Mapping[str, Any]) -> PodWait | None:
    status = pod.get("status", {})
    if status.get("phase") not in (None, "Pending"):
        return None
    for container in status.get("containerStatuses") or ():
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return PodWait(waiting.get("reason", "other"), waiting.get("message", ""))
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return PodWait(condition.get("reason", "Unschedulable"), condition.get("message", ""))
    return PodWait("ContainerCreating", "")
