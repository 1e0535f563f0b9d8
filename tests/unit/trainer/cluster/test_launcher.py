"""The Job of an order: made once, gone on with, out of the way of the next, and gone without an order."""

from datetime import timedelta
from pathlib import Path

import pytest

from steadyline.clock import ManualClock
from steadyline.errors import InvalidConfiguration, Transient
from tests.support.job_templates import a_template, a_training_order
from tests.support.training_cluster import MemoryCluster, a_pod, ended, held_up
from trainer.cluster.launcher import LOOK, JobLauncher, JobWatch, owned
from trainer.control.launch import RunningTraining, TrainingEnd

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FOLDER = Path("unused")


class Shift:
    """A launcher and what it works with."""

    def __init__(self, folder: Path) -> None:
        self.cluster, self.clock, self.template = MemoryCluster(), ManualClock(), a_template(folder)
        self.launcher = JobLauncher(JobWatch(self.cluster, self.template, HOUR, self.clock))
        self.order = a_training_order()
        self.name = self.template.name_of(self.order)

    def start(self) -> RunningTraining:
        return self.launcher.start(self.order, FOLDER, DAY)

    def look(self, training: RunningTraining) -> TrainingEnd | None:
        """Look once more, after the pause between two looks."""
        self.clock.advance(LOOK)
        return training.poll()


@pytest.fixture
def shift(tmp_path: Path) -> Shift:
    return Shift(tmp_path)


def test_a_job_is_made_followed_and_its_success_told(shift: Shift) -> None:
    training = shift.start()
    assert training.poll() is None
    assert list(shift.cluster.kept) == [shift.name] == [training.name]
    shift.cluster.pods_of[shift.name] = [a_pod()]
    assert shift.look(training) is None
    shift.cluster.kept[shift.name]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert training.poll() is None, "the server is not asked at every turn"
    end = shift.look(training)
    assert end is not None
    assert end.is_success
    training.leave()
    assert shift.name in shift.cluster.kept, "its pods' logs stay for a while"


def test_a_job_that_an_earlier_trainer_made_is_gone_on_with(shift: Shift) -> None:
    shift.start().poll()
    shift.cluster.kept[shift.name]["metadata"]["uid"] = "first"
    second = shift.start()
    assert second.poll() is None
    assert shift.cluster.kept[shift.name]["metadata"]["uid"] == "first"
    assert shift.cluster.deleted == []


def test_a_trainer_that_leaves_lets_its_job_run_and_one_that_stops_deletes_it(shift: Shift) -> None:
    training = shift.start()
    training.poll()
    training.leave()
    assert shift.name in shift.cluster.kept
    training.stop()
    assert shift.cluster.kept == {}


def test_a_job_of_the_attempt_before_makes_way_first(shift: Shift) -> None:
    shift.start().poll()
    shift.cluster.end(shift.name, ended("OOMKilled", 137))
    shift.cluster.lingers = True
    training = shift.start()
    assert training.poll() is None
    assert shift.look(training) is None
    assert shift.cluster.deleted == [shift.name], "deleted once, and waited for"
    shift.cluster.sweep()
    assert shift.look(training) is None
    assert "deletionTimestamp" not in shift.cluster.kept[shift.name]["metadata"]
    shift.cluster.end(shift.name, ended("OOMKilled", 137))
    assert shift.look(training) == TrainingEnd("OOMKilled (exit status 137)")


def test_a_job_of_an_order_that_was_closed_makes_way_too(shift: Shift) -> None:
    shift.start().poll()
    newer = a_training_order(version=2)
    training = shift.launcher.start(newer, FOLDER, DAY)
    assert training.poll() is None
    assert shift.cluster.deleted == [shift.name]
    assert shift.look(training) is None
    assert list(shift.cluster.kept) == [shift.template.name_of(newer)]


def test_a_product_without_an_order_keeps_no_job_and_other_products_keep_theirs(shift: Shift) -> None:
    shift.start().poll()
    other = shift.launcher.start(a_training_order("lid"), FOLDER, DAY)
    other.poll()
    shift.launcher.clear("cell")
    assert list(shift.cluster.kept) == [other.name]


def test_a_job_that_does_not_begin_is_given_up_with_the_word_of_kubernetes(shift: Shift) -> None:
    training = shift.start()
    training.poll()
    shift.cluster.pods_of[shift.name] = [held_up("ImagePullBackOff", "no such image")]
    assert shift.look(training) is None
    shift.clock.advance(HOUR)
    end = training.poll()
    assert end is not None
    assert end.reason == "training_not_started"
    assert "ImagePullBackOff: no such image" in end.how
    assert "TRAINER_JOB_START_MINUTES" in end.how


def test_a_job_that_has_begun_may_take_longer_than_the_start(shift: Shift) -> None:
    training = shift.start()
    training.poll()
    shift.cluster.pods_of[shift.name] = [a_pod()]
    assert shift.look(training) is None
    shift.clock.advance(HOUR + HOUR)
    assert training.poll() is None


def test_a_job_that_kubernetes_does_not_take_is_not_tried_again(shift: Shift) -> None:
    shift.cluster.refuses = 'jobs.batch is forbidden: violates PodSecurity "restricted"'
    end = shift.start().poll()
    assert end is not None
    assert end.reason == "training_refused"
    assert "violates PodSecurity" in end.how


def test_a_job_that_somebody_deletes_is_told_and_an_outage_is_not_the_end(shift: Shift) -> None:
    training = shift.start()
    training.poll()
    shift.cluster.is_away = True
    with pytest.raises(Transient):
        shift.look(training)
    shift.cluster.is_away = False
    shift.cluster.kept.clear()
    assert shift.look(training) == TrainingEnd("its Job was deleted")


def test_jobs_belong_to_the_owner_of_the_trainers_pod(shift: Shift) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "trainer-1", "uid": "u"}
    reference = {**owner, "controller": True, "blockOwnerDeletion": True}
    shift.cluster.others["trainer-1-x"] = {"metadata": {"ownerReferences": [reference]}}
    template = owned(shift.template, shift.cluster, "trainer-1-x")
    assert template.job_of(shift.order, DAY)["metadata"]["ownerReferences"] == [owner]
    shift.cluster.others["alone"] = {"metadata": {}}
    assert owned(shift.template, shift.cluster, "alone").owner is None
    with pytest.raises(InvalidConfiguration, match="TRAINER_POD"):
        owned(shift.template, shift.cluster, "nobody")
