"""What a Job and its pods say of a training, in the words of Kubernetes."""

from typing import Any

import pytest

from tests.support.training_cluster import a_pod, ended, held_up, unschedulable
from trainer.cluster.job_status import end_of, is_over, wait_of
from trainer.control.launch import TrainingEnd


def a_job(kind: str = "", reason: str = "", message: str = "") -> dict[str, Any]:
    """Return a Job that has come to a condition, or that runs."""
    conditions = [{"type": kind, "status": "True", "reason": reason, "message": message}] if kind else []
    return {"metadata": {"name": "j"}, "status": {"conditions": conditions}}


FAILED = a_job("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")


@pytest.mark.parametrize(
    ("pods", "how"),
    [
        ([ended("OOMKilled", 137)], "OOMKilled (exit status 137)"),
        ([ended("Error", 3)], "Error (exit status 3)"),
        ([ended("Error", 137)], "Error (exit status 137 by SIGKILL)"),
        (
            [ended("Error", 1), a_pod(), ended("OOMKilled", 137)],
            "Error (exit status 1); OOMKilled (exit status 137)",
        ),
        ([a_pod("Failed", reason="Evicted", message="low on memory")], "Evicted: low on memory"),
        ([], "BackoffLimitExceeded: Job has reached the specified backoff limit"),
    ],
)
def test_a_failed_job_says_why_its_pods_ended(pods: list[dict[str, Any]], how: str) -> None:
    assert end_of(FAILED, pods) == TrainingEnd(how)
    assert is_over(FAILED)


def test_a_job_that_runs_has_no_end_and_one_that_is_done_is_a_success() -> None:
    assert end_of(a_job(), [a_pod()]) is None
    assert not is_over(a_job())
    assert end_of(a_job("Complete"), []) == TrainingEnd("exit status 0", is_success=True)


def test_a_job_past_its_deadline_is_not_tried_again() -> None:
    end = end_of(a_job("Failed", "DeadlineExceeded", "was active longer"), [])
    assert end is not None
    assert (end.reason, end.is_success) == ("training_overdue", False)


def test_what_a_job_waits_for_is_the_word_of_kubernetes() -> None:
    image = wait_of(a_job(), [a_pod(), held_up("ImagePullBackOff", "no such image")], 2)
    assert image is not None
    assert (image.word, image.said()) == ("ImagePullBackOff", "ImagePullBackOff: no such image")
    room = wait_of(a_job(), [unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")], 1)
    assert room is not None
    assert room.said().startswith("Unschedulable: 0/3 nodes")
    strange = wait_of(a_job(), [held_up("SomethingNew")], 1)
    assert strange is not None
    assert (strange.reason, strange.word) == ("SomethingNew", "other")
    missing = wait_of(a_job(), [a_pod()], 2)
    assert missing is not None
    assert missing.word == "FailedCreate"
    assert wait_of(a_job(), [a_pod(), a_pod("Succeeded")], 2) is None
    unknown = wait_of(a_job(), [a_pod("Pending")], 1)
    assert unknown is not None
    assert unknown.word == "ContainerCreating"
